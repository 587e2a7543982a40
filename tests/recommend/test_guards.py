from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tierwise.recommend import guards
from tierwise.routing.policy import parse

from .routed import in_force, score_arms, without_pairs

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Later traffic without shadow calls."""
    return without_pairs(worlds.make(2, conversations=400, weak_model=worlds.MIDDLE))


def test_a_target_that_keeps_failing_trips_the_guard(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Failures well above the limit are named with their number, the limit and the evidence."""
    in_force(worlds, store, world, failing=0.2, max_failure_rate=0.05)

    (trip,) = guards.tripped(store, now=worlds.AS_OF)

    assert (trip.rule_id, trip.limit) == ("r", "max_failure_rate")
    assert trip.measured["e_value"] >= 20
    assert f"failed {trip.measured['failures']} of {trip.measured['calls']} calls" in trip.why
    assert "above its limit of 5.0%" in trip.why


@pytest.mark.parametrize("failing", [0.0, 0.04])
def test_failures_within_the_limit_are_let_be(worlds: Worlds, store: DuckDBStore, world: World, failing: float) -> None:
    """A rule that fails no more often than its guard allows stays."""
    in_force(worlds, store, world, failing=failing, max_failure_rate=0.05)

    assert guards.tripped(store, now=worlds.AS_OF) == []


def test_a_call_that_both_models_failed_is_not_the_targets_failure(
    worlds: Worlds, store: DuckDBStore, world: World
) -> None:
    """A request that nobody could answer says nothing about the rule."""
    in_force(worlds, store, world, failing=0.2, max_failure_rate=0.05)
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET error_type = 'BadRequestError' WHERE decision = 'fell_back'")

    assert guards.tripped(store, now=worlds.AS_OF) == []


def test_a_budget_is_of_the_day(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """What the calls sent to the target cost today is held against the budget; yesterday's is not."""
    in_force(worlds, store, world, daily_budget_usd=0.01)
    with store.cursor() as cursor:
        cursor.execute(
            "UPDATE llm_calls SET start_time = make_timestamp_ns(?)", [int(worlds.AS_OF.timestamp()) * 10**9]
        )

    (trip,) = guards.tripped(store, now=worlds.AS_OF + timedelta(hours=1))
    tomorrow = guards.tripped(store, now=worlds.AS_OF + timedelta(days=1))

    assert (trip.limit, trip.measured["daily_budget_usd"]) == ("daily_budget_usd", "0.01")
    assert "above its budget of $0.01 a day" in trip.why
    assert tomorrow == []


def test_quality_lost_on_the_arms_trips_the_guard(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Without a single shadow call, scores of treated and kept calls show that the quality is gone."""
    in_force(worlds, store, world, min_retention=0.95)
    score_arms(store, treated=0.6, kept=0.95)

    (trip,) = guards.tripped(store, now=worlds.AS_OF)

    assert (trip.limit, trip.measured["source"]) == ("min_retention", "arms")
    assert "scores of treated calls against those kept back show less than 95%" in trip.why


def test_quality_lost_on_pairs_trips_the_guard(worlds: Worlds, store: DuckDBStore) -> None:
    """Later pairs show that the quality is gone."""
    lost = worlds.make(2, conversations=600, pair_share=0.5, retention=0.7, weak_model=worlds.MIDDLE)
    in_force(worlds, store, lost, min_retention=0.95)

    (trip,) = guards.tripped(store, now=worlds.AS_OF)

    assert (trip.limit, trip.measured["source"]) == ("min_retention", "pairs")


def test_quality_that_is_kept_trips_nothing(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Equal scores in both arms are no reason; quality that nobody asks about is not looked at."""
    in_force(worlds, store, world, min_retention=0.95)
    score_arms(store, treated=0.9, kept=0.9)

    assert guards.tripped(store, now=worlds.AS_OF) == []
    assert guards.tripped(store, now=worlds.AS_OF, looks_at_quality=False) == []


def test_a_rule_without_a_guard_is_never_touched(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Nobody set a limit, so nobody's limit is passed."""
    in_force(worlds, store, world, failing=1.0)

    assert guards.tripped(store, now=worlds.AS_OF) == []


def test_rolling_back_disables_and_tells(
    worlds: Worlds, store: DuckDBStore, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The rule stays in the policy, disabled by tierwise in a new version; history, audit log and log say why."""
    in_force(worlds, store, world, failing=0.2, max_failure_rate=0.05)
    (trip,) = guards.tripped(store, now=worlds.AS_OF)

    record = guards.roll_back(store, trip)

    assert record is not None
    assert (record.version, record.who, record.action) == (2, "tierwise", "guard")
    assert record.why == f"rule r is disabled: {trip.why}"
    assert [rule.enabled for rule in parse(record.text).rules] == [False]
    entry = next(entry for entry in store.audit_log() if entry["action"] == "rule.disabled")
    assert entry["detail"]["limit"] == "max_failure_rate"
    assert entry["detail"]["failures"] == trip.measured["failures"]
    assert trip.why in caplog.text
    assert guards.tripped(store, now=worlds.AS_OF) == []


def test_two_at_once_roll_back_once(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """However many notice, there is one new version."""
    in_force(worlds, store, world, failing=0.2, max_failure_rate=0.05)
    (trip,) = guards.tripped(store, now=worlds.AS_OF)

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda _: guards.roll_back(store, trip), range(8)))

    assert sum(record is not None for record in records) == 1
    assert [record.version for record in store.policy_history()] == [2, 1]


def test_a_rule_enabled_again_is_counted_anew(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """A person who enables the rule again is not overruled by what had been counted before."""
    in_force(worlds, store, world, failing=0.2, max_failure_rate=0.05)
    (trip,) = guards.tripped(store, now=worlds.AS_OF)
    guards.roll_back(store, trip)
    text = store.policy_history()[0].text.replace("enabled = false", "enabled = true")

    store.put_policy(text, who="ada", why="the provider had an outage", based_on=2)

    assert guards.tripped(store, now=worlds.AS_OF) == []
