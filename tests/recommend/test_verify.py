from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import actions
from tierwise.recommend.verify import Drift, verify
from tierwise.routing.policy import Policy, Rule, When, dump
from tierwise.savings.predict import Prediction, predict

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


def enforce(worlds: Worlds, store: DuckDBStore, before: World, after: World, **fields: Any) -> None:
    """Put a rule in force on a prediction from `before`, and let it route the calls of `after`."""
    rule = Rule(
        "r", "route", When(request_model=(worlds.STRONG,)), to=after.weak_model, share=0.5, holdout=0.2, **fields
    )
    found = predict(rule, before.calls, before.pairs, as_of=worlds.AS_OF, seed=1)
    assert isinstance(found, Prediction)
    evidence = {**found.to_evidence(), "recommendation": "rec_1"}
    text = dump(Policy(mode="enforce", rules=(replace(rule, evidence=evidence),)))
    store.put_policy(text, who="ada", why="", based_on=None)
    with store.cursor() as cursor:
        cursor.execute("UPDATE policies SET created_at = make_timestamp_ns(?)", [
            int((worlds.AS_OF - timedelta(days=30)).timestamp() * 1e9)
        ])  # fmt: skip
    worlds.fill(store, after, calls=worlds.route(after, rule_id="r", share=0.5, holdout=0.2, seed=1))


def test_a_rule_is_held_against_its_prediction(worlds: Worlds, store: DuckDBStore) -> None:
    """What was measured on the arms lies where it was predicted, and nothing speaks against the rule."""
    before, after = (worlds.make(seed, conversations=500, weak_model=worlds.MIDDLE) for seed in (1, 2))
    enforce(worlds, store, before, after)

    (found,) = verify(store, now=worlds.AS_OF)

    assert (found.rule_id, found.target, found.share, found.recommendation_id) == ("r", worlds.MIDDLE, 0.5, "rec_1")
    assert isinstance(found.realised.per_call, Estimate)
    assert found.comparison is not None
    assert found.comparison.verdict == "as predicted"
    assert found.concerns == ()


def test_a_saving_that_does_not_come_is_a_concern(worlds: Worlds, store: DuckDBStore) -> None:
    """When the target writes far longer answers than the pairs showed, it is said."""
    before = worlds.make(1, conversations=500, weak_model=worlds.MIDDLE)
    after = worlds.make(2, conversations=1500, weak_model=worlds.MIDDLE, output_ratio=4.0)
    enforce(worlds, store, before, after)

    (found,) = verify(store, now=worlds.AS_OF)

    assert "it saves less per call than was predicted" in found.concerns
    assert "it costs more than the requested model" in found.concerns


def test_quality_that_goes_is_an_alarm(worlds: Worlds, store: DuckDBStore) -> None:
    """Later pairs that show the quality gone raise the alarm that asks for a rollback."""
    before = worlds.make(1, weak_model=worlds.MIDDLE)
    after = worlds.make(2, conversations=600, pair_share=0.5, retention=0.7, weak_model=worlds.MIDDLE)
    enforce(worlds, store, before, after)

    (found,) = verify(store, now=worlds.AS_OF)

    assert isinstance(found.drift, Drift)
    assert found.drift.alarm
    assert any("roll the rule back" in line for line in found.concerns)


def test_a_good_rule_raises_no_alarm(worlds: Worlds, store: DuckDBStore) -> None:
    """Equal quality in later pairs is no reason for alarm."""
    before, after = (worlds.make(seed, conversations=500, weak_model=worlds.MIDDLE, pair_share=0.5) for seed in (1, 2))
    enforce(worlds, store, before, after)

    (found,) = verify(store, now=worlds.AS_OF)

    assert isinstance(found.drift, Drift)
    assert not found.drift.alarm
    assert found.drift.min_retention == 0.95


def test_failures_above_the_guard_are_a_concern(worlds: Worlds, store: DuckDBStore) -> None:
    """A rule whose calls fail more often than its guard allows is named."""
    before, after = (worlds.make(seed, weak_model=worlds.MIDDLE) for seed in (1, 2))
    n = len(after.calls)
    failing = replace(after, columns={**after.columns, "error_type": pa.array(["timeout"] * n)})
    enforce(worlds, store, before, failing, options={"guard": {"max_failure_rate": 0.05}})

    (found,) = verify(store, now=worlds.AS_OF)

    assert found.realised.failure_rate == 1.0
    assert any("above the guard of 5.0%" in line for line in found.concerns)


def test_a_rule_that_has_not_run_has_nothing_to_show(worlds: Worlds, store: DuckDBStore) -> None:
    """Directly after it was put in force there is no number yet."""
    store.put_policy(
        dump(Policy(mode="enforce", rules=(Rule("r", "route", to="x"),))), who="ada", why="", based_on=None
    )

    (found,) = verify(store, now=worlds.AS_OF)

    assert isinstance(found.realised.per_call, NotEnoughData)
    assert isinstance(found.drift, NotEnoughData)
    assert found.comparison is None


def test_rules_out_of_force_are_still_shown(worlds: Worlds, store: DuckDBStore) -> None:
    """A rule that was switched off or taken out keeps its record, without a share."""
    before, after = (worlds.make(seed, weak_model=worlds.MIDDLE) for seed in (1, 2))
    enforce(worlds, store, before, after)
    actions.switch(store, "off", who="ada", why="")

    (found,) = verify(store, now=worlds.AS_OF)

    assert found.share is None
    assert found.realised.n_treated > 0


@pytest.mark.parametrize("days", [5, 10])
def test_it_looks_no_further_back_than_asked(worlds: Worlds, store: DuckDBStore, days: int) -> None:
    """With a later start only calls from then on are measured."""
    before, after = (worlds.make(seed, weak_model=worlds.MIDDLE) for seed in (1, 2))
    enforce(worlds, store, before, after)

    (everything,) = verify(store, now=worlds.AS_OF)
    (recent,) = verify(store, now=worlds.AS_OF, since=worlds.AS_OF - timedelta(days=days))

    assert 0 < recent.realised.n_treated < everything.realised.n_treated
    assert recent.since == worlds.AS_OF - timedelta(days=days)


def test_without_a_policy_there_is_nothing_to_verify(worlds: Worlds, store: DuckDBStore) -> None:
    """An empty store gives an empty list."""
    assert verify(store, now=worlds.AS_OF) == []


def test_a_changed_recommendation_is_noticed(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Content that is not what was approved, however it came to change, speaks against the rule."""
    (item,) = actions.refresh(store, now=worlds.AS_OF)
    actions.apply(store, [item.id], share=0.1, holdout=0.03, who="ada", why="")

    (before,) = verify(store, now=worlds.AS_OF)
    with store.cursor() as cursor:
        cursor.execute("UPDATE recommendations SET content = json_merge_patch(content, '{\"calls\": 1}')")
    (after,) = verify(store, now=worlds.AS_OF)

    assert not any("not the one that was approved" in line for line in before.concerns)
    assert any("not the one that was approved" in line for line in after.concerns)
