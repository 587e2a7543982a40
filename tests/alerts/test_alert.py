from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tierwise.alerts.alert import Alert, sql_calls, sql_text

FOUND = Alert(
    "budget", "tenant acme", "2026-11", "too much", "SELECT 1", {"spent": 3}, datetime(2026, 11, 24, 12, tzinfo=UTC)
)


def test_the_same_finding_has_the_same_id() -> None:
    """When and with which numbers it was found does not make it another; kind, subject and period do."""
    later = replace(FOUND, time=datetime(2026, 11, 25, tzinfo=UTC), message="even more", detail={})

    assert later.id == FOUND.id
    assert len({FOUND.id, replace(FOUND, kind="forecast").id, replace(FOUND, period="2026-12").id}) == 3


def test_a_row_holds_the_moment_in_nanoseconds() -> None:
    """The store keeps times as nanoseconds since 1970."""
    assert FOUND.to_row()["time_ns"] == 1_795_521_600_000_000_000
    assert FOUND.to_dict()["time"] == "2026-11-24T12:00:00+00:00"


def test_names_cannot_end_a_text() -> None:
    """A quote in a name stays in the name."""
    assert sql_text("o'neill") == "'o''neill'"
    assert "tenants := ['o''neill']" in sql_calls("tenant", "o'neill", FOUND.time, FOUND.time)
