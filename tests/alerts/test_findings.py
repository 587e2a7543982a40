from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tierwise.alerts import findings as looking
from tierwise.alerts.findings import check, tell
from tierwise.recommend.verify import Drift, Verification

if TYPE_CHECKING:
    from alerts.conftest import Spend
    from tierwise.store.duckdb import DuckDBStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_nothing_is_wrong_with_steady_spend(memory: DuckDBStore, spend: Spend) -> None:
    """Days that are alike and no budget: nothing is told."""
    spend(["5"] * 40)

    found = check(memory, now=NOW)

    assert (found.budgets, found.alerts, found.breached) == ((), (), False)


def test_a_breach_is_told_once(memory: DuckDBStore, spend: Spend) -> None:
    """An exceeded budget is an alert; the next look finds the same one, which is not new."""
    spend(["1"] * 40)
    memory.put_budget("all", "", Decimal(20), who="ada", why="")

    first, second = check(memory, now=NOW), check(memory, now=NOW + timedelta(minutes=15))

    assert first.breached
    (alert,) = first.alerts
    assert (alert.kind, alert.subject) == ("budget", "all traffic")
    assert "$24.00 in 2026-11, over $20.00" in alert.message
    assert tell(memory, first.alerts) == [alert]
    assert tell(memory, second.alerts) == []


def test_a_forecast_is_told_before_it_happens(memory: DuckDBStore, spend: Spend) -> None:
    """What will surely be exceeded is told while there is time."""
    spend(["1"] * 40)
    memory.put_budget("all", "", Decimal(28), who="ada", why="")

    (alert,) = check(memory, now=NOW).alerts

    assert alert.kind == "forecast"
    assert check(memory, now=NOW).breached


def test_a_spike_names_its_rows(memory: DuckDBStore, spend: Spend) -> None:
    """A day far above the days before is told for everyone it concerns, with the calls behind it."""
    spend([*["5"] * 38, "90", "5"])

    alerts = check(memory, now=NOW).alerts

    assert {alert.subject for alert in alerts} == {
        "all traffic",
        "tenant acme",
        "use case replies",
        "model gpt-6.1-sol",
    }
    for alert in alerts:
        assert alert.kind == "anomaly"
        assert memory.sql(alert.sql)["cost_usd"].to_pylist() == [Decimal(90)]


def test_cents_are_no_anomaly(memory: DuckDBStore, spend: Spend) -> None:
    """Ten times almost nothing is almost nothing."""
    spend([*["0.01"] * 38, "0.1", "0.01"])

    assert check(memory, now=NOW).alerts == ()


def test_a_drifting_rule_is_told(memory: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule in force whose monitor has raised the alarm is told, with the scores behind it."""

    def rule(drift: object, share: float | None) -> Verification:
        made = SimpleNamespace(rule_id="triage", target="gpt-6-luna", share=share, since=NOW, drift=drift)
        return cast("Verification", made)

    alarm = Drift(e_value=31.0, alarm=True, min_retention=0.95, conversations=80, source="pairs")
    quiet = Drift(e_value=0.2, alarm=False, min_retention=0.95, conversations=80, source="pairs")
    found: list[Verification] = [rule(alarm, 0.5), rule(quiet, 0.5), rule(alarm, None)]

    def verified(*_: Any, **__: Any) -> list[Verification]:
        return found

    monkeypatch.setattr(looking, "verify", verified)

    (alert,) = check(memory, now=NOW).alerts

    assert (alert.kind, alert.subject) == ("drift", "rule triage")
    assert "95%" in alert.message
    assert memory.sql(alert.sql).num_rows == 0
