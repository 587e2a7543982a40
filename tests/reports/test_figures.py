from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tierwise.recommend.recommendation import Scope
from tierwise.reports.figures import FILTERS, read_figures, selected
from tierwise.reports.table_files import jsonable
from tierwise.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from tierwise.recommend import Recommendation

ITEM = cast("Recommendation", SimpleNamespace(scope=Scope("uc_1", "replies", "conversation", "openai", "gpt-6.1-sol")))


def test_everything_is_json() -> None:
    """Figures of an empty store are JSON, every part of them by name."""
    store = DuckDBStore.open(None)
    figures = read_figures(store, since=None, until=datetime(2026, 11, 24, tzinfo=UTC))
    store.close()

    said = jsonable(figures.to_dict())

    assert said["overview_totals"]["calls"] == 0
    assert said["overview_totals"]["spend_usd"] is None
    assert set(said) == {
        "since", "until", "filters", "overview_totals", "spend_change", "spend_series", "token_mix", "use_cases",
        "unpriced", "price_versions", "alerts", "budgets", "recommendations", "verifications",
    }  # fmt: skip
    assert len(FILTERS) == 5


@pytest.mark.parametrize(
    ("filters", "stays"),
    [
        ({}, True),
        ({"use_case": ("replies",)}, True),
        ({"use_case": ("uc_1", "other")}, True),
        ({"use_case": ("other",)}, False),
        ({"model": ("gpt-6.1-sol",), "task_type": ("extraction",)}, False),
        ({"tenant": ("acme",)}, True),
    ],
)
def test_filters_leave_what_they_can_judge(filters: dict[str, tuple[str, ...]], stays: bool) -> None:
    """A recommendation answers to model, task type and use case, by id or name; it has no tenant of its own."""
    assert selected(ITEM, filters) is stays
