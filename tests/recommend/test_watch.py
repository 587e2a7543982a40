from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.recommend import guards
from tierwise.recommend.watch import RuleWatch, rule_watch
from tierwise.routing.policy import parse

from .routed import in_force, score_arms, without_pairs

if TYPE_CHECKING:
    from conftest import Worlds
    from tierwise.store.duckdb import DuckDBStore


def test_a_look_takes_a_bad_rule_out_and_steps_a_good_one_up(worlds: Worlds, store: DuckDBStore) -> None:
    """One look is enough for either, and the next has nothing to do."""
    world = without_pairs(worlds.make(2, conversations=400, weak_model=worlds.MIDDLE))
    in_force(worlds, store, world, share=0.05, auto_step_up=True, min_calls=10, min_retention=0.95)
    watch = RuleWatch()

    watch.look(store, now=worlds.AS_OF)
    stepped = parse(store.policy_history()[0].text)
    score_arms(store, treated=0.0, kept=1.0)
    watch.look(store, now=worlds.AS_OF)
    watch.look(store, now=worlds.AS_OF)

    assert stepped.rules[0].share == 0.1
    assert [record.action for record in store.policy_history()] == ["guard", "step_up", "apply"]
    assert not parse(store.policy_history()[0].text).rules[0].enabled


def test_quality_is_looked_at_when_there_are_new_scores(
    worlds: Worlds, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is computed again from the same scores."""
    world = without_pairs(worlds.make(2, conversations=50, weak_model=worlds.MIDDLE))
    in_force(worlds, store, world, min_retention=0.95)
    looked: list[bool] = []
    monkeypatch.setattr(
        guards, "tripped", lambda store, *, now, looks_at_quality: looked.append(looks_at_quality) or []
    )
    watch = RuleWatch()

    watch.look(store, now=worlds.AS_OF)
    watch.look(store, now=worlds.AS_OF)
    score_arms(store, treated=1.0, kept=1.0)
    watch.look(store, now=worlds.AS_OF)

    assert looked == [True, False, True]


def test_the_collector_looks_every_minute(store: DuckDBStore) -> None:
    """As a job of the collector it needs nothing but the store, empty or not."""
    job = rule_watch()

    job.run(store)

    assert (job.every_s, store.policy_history()) == (60.0, [])
