from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tierwise.alerts import watch
from tierwise.alerts.alert import Alert

if TYPE_CHECKING:
    import pytest

    from alerts.conftest import Spend
    from tierwise.store.duckdb import DuckDBStore


class Clock:
    """The moment that `spend` ends at."""

    @staticmethod
    def now(zone: object) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC)


class Kept:
    """A webhook that only keeps."""

    def __init__(self) -> None:
        self.sent: list[Alert] = []

    def send(self, alerts: list[Alert]) -> None:
        self.sent += alerts


def test_a_look_tells_what_is_new(
    memory: DuckDBStore, spend: Spend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first look stores, logs and sends; the second finds nothing new."""
    monkeypatch.setattr(watch, "datetime", Clock)
    spend(["1"] * 40)
    memory.put_budget("all", "", Decimal(20), who="ada", why="")
    kept = Kept()

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            watch.look(memory, kept)  # type: ignore[arg-type]

    assert [alert.kind for alert in kept.sent] == ["budget"]
    assert len(caplog.records) == 1
    assert memory.query("alerts").num_rows == 1


def test_the_job_looks_at_the_store_it_is_given(memory: DuckDBStore) -> None:
    """A collector runs the look at its interval."""
    job = watch.alert_watch(None, every_s=5.0)

    job.run(memory)

    assert job.every_s == 5.0
