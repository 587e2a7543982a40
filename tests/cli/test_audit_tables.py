from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tierwise.audit import Audit, audit
from tierwise.cli import audit_tables as tables
from tierwise.cli.terminal import usd
from tierwise.store import open_store


@pytest.fixture
def found(db: str) -> Iterator[Audit]:
    store = open_store(db, read_only=True)
    yield audit(store, now=datetime.now(UTC))
    store.close()


def test_the_answer_stands_first(found: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, period, spend and the largest change come first; no month is spoken of from less than a day."""
    lines = tables.headline(found)
    short = tables.headline(replace(found, days=0.5))

    assert lines[0].startswith(f"{found.calls:,} calls from ")
    assert usd(found.spend_usd) in lines[0]
    assert "in 30 days like these" in lines[0]
    assert "in 30 days" not in short[0]
    assert lines[2].startswith("Largest single change: ")


def test_rows_say_what_the_figures_are(found: Audit) -> None:
    """Tables repeat the audit's figures, each cost on another model with its interval."""
    (task, *_) = tables.task_rows(found)
    candidates = tables.candidate_rows(found)

    assert task[1:4:2] == [f"{found.tasks[0]['calls']:,}", usd(found.tasks[0]["spend_usd"])]
    assert len(candidates) == sum(max(len(model.candidates), 1) for model in found.models)
    assert all("[" in row[4] for row in candidates if row[4])
    assert [row[0] for row in tables.territory_rows(found)] == [
        name for name, calls in found.territory.calls.items() if calls
    ]


def test_what_is_missing_is_listed(found: Audit) -> None:
    """Calls without a price are listed with their reason, and assumptions each once."""
    row = {"model": "m", "provider": "p", "unpriced_reason": "no price for p/m", "calls": 1200}

    gaps = tables.gap_rows(replace(found, unpriced=[row]))
    lines = tables.assumptions(found)

    assert gaps[0] == ["m (p), no price: no price for p/m", "1,200"]
    assert len(lines) == len(set(lines)) > 0
