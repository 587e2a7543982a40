from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tierwise.errors import PolicyError
from tierwise.recommend import step_ups
from tierwise.routing.policy import parse

from .routed import dated, in_force, score_arms, without_pairs

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Later traffic without shadow calls."""
    return without_pairs(worlds.make(2, conversations=800, weak_model=worlds.MIDDLE))


def test_a_canary_that_does_well_may_step_up(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """After its days and calls, with nothing against it, a rule is proposed the next share."""
    in_force(worlds, store, world, share=0.05, min_calls=20)

    (found,) = step_ups.step_ups(store, now=worlds.AS_OF)

    assert (found.rule_id, found.share, found.next_share) == ("r", 0.05, 0.1)
    assert (found.ready, found.waits_for, found.automatic) == (True, (), False)
    assert found.calls > 20
    assert found.days == pytest.approx(30)


def test_time_and_calls_count_from_the_share(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """A share that was raised an hour ago has neither the days nor the calls."""
    in_force(worlds, store, world, share=0.05)
    store.put_policy(
        store.policy_history()[0].text.replace("share = 0.05", "share = 0.1"), who="ada", why="", based_on=1
    )
    dated(store, 2, worlds.AS_OF - timedelta(hours=12))

    (found,) = step_ups.step_ups(store, now=worlds.AS_OF)

    assert not found.ready
    assert found.waits_for[0] == "2.5 more days at a share of 0.1"
    assert found.waits_for[1].endswith(f" more calls to {worlds.MIDDLE} at this share")


def test_above_a_fifth_the_quality_must_be_measured(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Without a certificate and without scores there is a last step to a fifth, and none after it."""
    in_force(worlds, store, world, share=0.1)
    (to_a_fifth,) = step_ups.step_ups(store, now=worlds.AS_OF)
    store.put_policy(
        store.policy_history()[0].text.replace("share = 0.1\n", "share = 0.2\n"), who="ada", why="", based_on=1
    )

    (beyond,) = step_ups.step_ups(store, now=worlds.AS_OF + timedelta(days=30))

    assert to_a_fifth.next_share == 0.2
    assert (beyond.next_share, beyond.ready) == (0.25, False)
    assert "above a share of 0.2 the quality has to be measured" in beyond.waits_for[-1]


def test_scores_of_the_arms_open_the_way(worlds: Worlds, store: DuckDBStore) -> None:
    """Treated calls that score like those kept back allow a larger share; those that score worse do not."""
    plenty = without_pairs(worlds.make(2, conversations=4000, weak_model=worlds.MIDDLE))
    in_force(worlds, store, plenty, share=0.5, holdout=0.3)
    score_arms(store, treated=0.97, kept=0.97)

    (found,) = step_ups.step_ups(store, now=worlds.AS_OF)

    assert (found.next_share, found.ready) == (1.0, True)


def test_what_verify_finds_holds_it_back(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """A rule that somebody should look at is not stepped up."""
    in_force(worlds, store, world, share=0.1, failing=0.5, max_failure_rate=0.05)

    (found,) = step_ups.step_ups(store, now=worlds.AS_OF)

    assert any(line.startswith("somebody to look at it: ") and "above the guard" in line for line in found.waits_for)


def test_rules_at_full_share_and_out_of_force_have_no_step(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """There is nothing to propose where everything is sent, or nothing."""
    in_force(worlds, store, world, share=1.0)
    assert step_ups.step_ups(store, now=worlds.AS_OF) == []

    store.put_policy('mode = "off"\n', who="ada", why="", based_on=1)
    assert step_ups.step_ups(store, now=worlds.AS_OF) == []


def test_a_person_takes_the_step(worlds: Worlds, store: DuckDBStore, world: World) -> None:
    """Taking it is a new version with who and why; a second time waits for the evidence at the new share."""
    in_force(worlds, store, world, share=0.05, min_calls=20)

    record = step_ups.take(store, "r", who="ada", why="looks good", now=worlds.AS_OF)

    assert (record.version, record.who, record.action, record.why) == (2, "ada", "step_up", "looks good")
    assert parse(record.text).rules[0].share == 0.1
    with pytest.raises(PolicyError, match=r"not ready for a share of 0\.2"):
        step_ups.take(store, "r", who="ada", why="", now=worlds.AS_OF)
    with pytest.raises(PolicyError, match="has no next step"):
        step_ups.take(store, "none", who="ada", why="", now=worlds.AS_OF)


def test_only_a_guard_that_says_so_steps_up_by_itself(
    worlds: Worlds, store: DuckDBStore, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without `auto_step_up` a proposal stays one; with it the collector takes the step once, and says so."""
    in_force(worlds, store, world, share=0.05, auto_step_up=False, min_calls=20)
    assert step_ups.take_automatic(store, now=worlds.AS_OF) == []
    text = store.policy_history()[0].text.replace("auto_step_up = false", "auto_step_up = true")
    store.put_policy(text, who="ada", why="", based_on=1)

    (record,) = step_ups.take_automatic(store, now=worlds.AS_OF)

    assert (record.who, record.action) == ("tierwise", "step_up")
    assert record.why.startswith("rule r steps up from 0.05 to 0.1: ")
    assert "steps up" in caplog.text
    assert step_ups.take_automatic(store, now=worlds.AS_OF) == []
