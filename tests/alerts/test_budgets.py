from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tierwise.alerts.budgets import budget_statuses
from tierwise.evidence.estimate import Estimate, NotEnoughData

if TYPE_CHECKING:
    from alerts.conftest import Spend
    from tierwise.store.duckdb import DuckDBStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(("limit", "state"), [("20", "exceeded"), ("28", "will exceed"), ("1000", "within")])
def test_a_month_of_steady_spend(limit: str, state: str, memory: DuckDBStore, spend: Spend) -> None:
    """A dollar a day is exceeded, surely going to be, or fine, by how much the month may cost."""
    spend(["1"] * 40)
    memory.put_budget("all", "", Decimal(limit), who="ada", why="")

    (status,) = budget_statuses(memory, now=NOW)

    assert (status.spent_usd, status.state) == (Decimal(24), state)
    assert isinstance(status.forecast, Estimate)
    assert status.forecast.value == pytest.approx(30.5, abs=0.01)


def test_a_few_days_forecast_nothing(memory: DuckDBStore, spend: Spend) -> None:
    """Below two weeks the month comes to nobody knows what."""
    spend(["1"] * 5)
    memory.put_budget("tenant", "acme", Decimal(100), who="ada", why="")

    (status,) = budget_statuses(memory, now=NOW)

    assert isinstance(status.forecast, NotEnoughData)
    assert status.state == "unknown"


def test_the_rows_behind_a_budget_add_up_to_it(memory: DuckDBStore, spend: Spend) -> None:
    """The statement that a budget names gives the calls that are in its amount, and no others."""
    spend(["1"] * 40, tenant="o'neill")
    spend(["7"] * 40, tenant="globex")
    memory.put_budget("tenant", "o'neill", Decimal(100), who="ada", why="")

    (status,) = budget_statuses(memory, now=NOW)
    rows = memory.sql(status.sql)

    assert sum(rows["cost_usd"].to_pylist()) == status.spent_usd == Decimal(24)
    assert set(rows["tenant"].to_pylist()) == {"o'neill"}


def test_an_unknown_subject_has_spent_nothing(memory: DuckDBStore, spend: Spend) -> None:
    """A budget of somebody who has not called yet is there, with nothing spent."""
    spend(["1"] * 20)
    memory.put_budget("model", "gpt-9", Decimal(100), who="ada", why="")

    (status,) = budget_statuses(memory, now=NOW)

    assert (status.spent_usd, status.spent_share) == (Decimal(0), 0.0)
    assert status.to_dict()["forecast"]["kind"] == "not_enough_data"
