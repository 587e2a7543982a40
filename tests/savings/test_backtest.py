from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.routing.policy import Rule, When
from tierwise.savings.backtest import compare, realised
from tierwise.savings.predict import Prediction, predict

if TYPE_CHECKING:
    from conftest import Worlds
    from tierwise.store.duckdb import DuckDBStore


def test_the_measured_saving_holds_the_truth(worlds: Worlds) -> None:
    """Over many worlds, the 95% interval of the measured saving per call holds the true one, and the interval of a
    prediction made beforehand holds the measured one, about 95 times in 100 each."""
    truth = worlds.make(1, conversations=40_000, pair_share=0.00001, weak_model=worlds.MIDDLE).saved_per_call
    rule = Rule("r", "route", When(request_model=(worlds.STRONG,)), to=worlds.MIDDLE, share=0.5, holdout=0.2)
    runs = 80

    held = covered = 0
    for seed in range(runs):
        before = worlds.make(2000 + seed, conversations=150, pair_share=0.3, weak_model=worlds.MIDDLE)
        after = worlds.make(5000 + seed, conversations=250, weak_model=worlds.MIDDLE)
        predicted = predict(rule, before.calls, before.pairs, as_of=worlds.AS_OF, seed=seed, draws=200)
        measured = realised(
            worlds.route(after, rule_id="r", share=0.5, holdout=0.2, seed=seed), "r", seed=seed, draws=200
        )
        assert isinstance(predicted, Prediction)
        assert isinstance(measured.per_call, Estimate)
        held += measured.per_call.low <= truth <= measured.per_call.high
        covered += compare(predicted, measured).covered is True

    # Three standard errors below 95%.
    least = 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5
    assert held / runs > least
    assert covered / runs > least


def test_a_wrong_prediction_is_found_out(worlds: Worlds) -> None:
    """When the target turns out to need four times the tokens, less is saved than was predicted, and it is said."""
    rule = Rule("r", "route", to=worlds.MIDDLE)
    before = worlds.make(1, conversations=600, weak_model=worlds.MIDDLE)
    after = worlds.make(2, conversations=1500, weak_model=worlds.MIDDLE, output_ratio=4.0)
    predicted = predict(rule, before.calls, before.pairs, as_of=worlds.AS_OF, seed=1)

    measured = realised(worlds.route(after, rule_id="r", share=0.5, holdout=0.2, seed=1), "r", seed=1)

    assert isinstance(predicted, Prediction)
    comparison = compare(predicted, measured)
    assert comparison.verdict == "less than predicted"
    assert comparison.covered is False


def test_arms_are_counted(worlds: Worlds) -> None:
    """Calls of each arm are counted, and the total is the saving per call times the treated ones."""
    world = worlds.make(3)
    calls = worlds.route(world, rule_id="r", share=0.5, holdout=0.2, seed=1)

    measured = realised(calls, "r", seed=1)

    arms = calls["arm"].to_pylist()
    assert measured.n_treated == arms.count("canary")
    assert measured.n_holdout == arms.count("holdout")
    assert measured.n_control == arms.count("control")
    assert measured.n_kept == measured.n_holdout + measured.n_control
    assert isinstance(measured.per_call, Estimate)
    assert isinstance(measured.total, Estimate)
    assert measured.total.value == pytest.approx(measured.per_call.value * measured.n_treated)
    assert measured.calls_per_conversation == pytest.approx((3.0, 3.0), abs=0.4)


def test_other_rules_and_refused_calls_are_not_in_an_arm(worlds: Worlds) -> None:
    """Calls of other rules count nowhere; refused, failed and fallen-back ones are told apart."""
    world = worlds.make(4, conversations=100)
    calls = worlds.route(world, rule_id="r", share=0.5, holdout=0.2, seed=1).to_pydict()
    treated = [row for row, arm in enumerate(calls["arm"]) if arm == "canary"]
    calls["decision"][treated[0]] = "fell_back"
    calls["error_type"] = [None] * len(calls["arm"])
    calls["error_type"][treated[1]] = "timeout"
    calls["cost_usd"][treated[2]] = None
    calls["arm"][treated[3]], calls["decision"][treated[3]] = None, "refused"
    calls["rule_id"][treated[4]] = "other"

    measured = realised(pa.table(calls), "r", seed=1)

    assert (measured.fell_back, measured.failed, measured.refused, measured.unpriced) == (1, 1, 1, 1)
    assert measured.n_treated == len(treated) - 3
    assert measured.failure_rate == pytest.approx(2 / (len(treated) - 2))


def test_without_a_holdout_nothing_is_measured(worlds: Worlds) -> None:
    """When every call is treated there is nothing to compare with, and no simulation stands in for it."""
    calls = worlds.route(worlds.make(5), rule_id="r", share=1.0, holdout=0.0, seed=1)

    measured = realised(calls, "r", seed=1)

    assert isinstance(measured.per_call, NotEnoughData)
    assert isinstance(measured.total, NotEnoughData)
    assert measured.calls_per_conversation is None


def test_no_calls_at_all() -> None:
    """A rule that never ran has counts of 0, no rate and no number."""
    empty = pa.table({"start_time": pa.array([], pa.timestamp("ns")), "cost_usd": pa.array([], pa.decimal128(18, 12))})

    measured = realised(empty, "r", seed=1)

    assert measured.n_treated == 0
    assert measured.failure_rate is None
    assert isinstance(measured.per_call, NotEnoughData)


def scores(treated: float, kept: float, *, n: int = 600, source: str = "check", name: str = "exact") -> pa.Table:
    rng = np.random.default_rng(1)
    on_target = rng.random(n) < 0.5
    return pa.table(
        {
            "rule_id": ["r"] * n,
            "arm": np.where(on_target, "canary", "holdout"),
            "policy_version": [1] * n,
            "use_case_id": ["uc_1"] * n,
            "conversation_id": [str(row) for row in range(n)],
            "evaluation_name": [name] * n,
            "evaluation_source": [source] * n,
            "score": (rng.random(n) < np.where(on_target, treated, kept)).astype(float),
        }
    )


def test_worse_answers_are_seen(worlds: Worlds) -> None:
    """The change of the mean score is treated minus kept, negative when the target is worse."""
    calls = worlds.route(worlds.make(6), rule_id="r", share=0.5, holdout=0.2, seed=1)

    quality = realised(calls, "r", seed=1, scores=scores(0.6, 0.9)).quality

    assert isinstance(quality.change, Estimate)
    assert quality.change.high < 0
    assert quality.change.low < -0.3 + 0.1
    assert (quality.evaluation, quality.source) == ("exact", "check")


def test_the_most_trusted_scores_count(worlds: Worlds) -> None:
    """People's scores count before checks once there are enough; a few of them do not push the checks aside."""
    calls = worlds.route(worlds.make(7, conversations=50), rule_id="r", share=0.5, holdout=0.2, seed=1)
    checks = scores(0.9, 0.9)

    many = realised(calls, "r", seed=1, scores=pa.concat_tables([checks, scores(0.5, 0.9, n=200, source="human")]))
    few = realised(calls, "r", seed=1, scores=pa.concat_tables([checks, scores(0.5, 0.9, n=20, source="human")]))

    assert many.quality.source == "human"
    assert few.quality.source == "check"


def test_without_scores_the_quality_is_not_known(worlds: Worlds) -> None:
    """No evaluations give no change of quality, not a change of 0."""
    calls = worlds.route(worlds.make(8, conversations=50), rule_id="r", share=0.5, holdout=0.2, seed=1)

    assert isinstance(realised(calls, "r", seed=1).quality.change, NotEnoughData)


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    from tierwise.store.duckdb import DuckDBStore

    opened = DuckDBStore.open(None)
    yield opened
    opened.close()


def test_calls_added_up_measure_the_same(worlds: Worlds, store: DuckDBStore) -> None:
    """Added up by conversation and arm, calls with failures and without prices give the numbers of single ones."""
    world = worlds.make(9, conversations=1200, use_cases=4)
    worlds.fill(store, world, calls=worlds.route(world, rule_id="r", share=0.5, holdout=0.2, seed=1))
    with store.cursor() as cursor:
        for change in (
            "cost_usd = NULL WHERE hash(span_id) % 11 = 0",
            "decision = 'fell_back' WHERE arm = 'canary' AND hash(span_id) % 13 = 0",
            "error_type = 'timeout' WHERE arm = 'canary' AND hash(span_id) % 17 = 0",
            "decision = 'refused', arm = NULL WHERE hash(span_id) % 19 = 0",
            "policy_version = 2 WHERE hash(conversation_id) % 2 = 0",
            "rule_id = 'other' WHERE hash(span_id) % 23 = 0",
        ):
            cursor.execute(f"UPDATE llm_calls SET {change}")
    single = store.query("savings_calls", rule_id="r")
    added_up = store.query("rule_arms", rule_id="r")

    one_by_one, at_once = (realised(calls, "r", seed=1) for calls in (single, added_up))

    assert len(added_up) < len(single)
    for name in ("per_call", "total"):
        expected, found = getattr(one_by_one, name), getattr(at_once, name)
        assert isinstance(expected, Estimate)
        for bound in ("low", "value", "high", "n", "effective_n"):
            assert getattr(found, bound) == pytest.approx(getattr(expected, bound), rel=1e-9)
    assert at_once.calls_per_conversation == pytest.approx(one_by_one.calls_per_conversation, rel=1e-9)
    counted = ("n_treated", "n_holdout", "n_control", "unpriced", "left_out", "fell_back", "failed", "refused")
    assert [getattr(at_once, name) for name in counted] == [getattr(one_by_one, name) for name in counted]
    assert min(getattr(at_once, name) for name in counted if name != "left_out") > 0
