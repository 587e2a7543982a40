from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import NotEnoughData
from tierwise.routing.policy import Policy, Rule, When, dump, parse
from tierwise.savings.predict import Prediction, from_evidence, predict

if TYPE_CHECKING:
    from conftest import Worlds


def predicted(worlds: Worlds) -> Prediction:
    world = worlds.make(1, weak_model=worlds.MIDDLE)
    found = predict(rule(worlds), world.calls, world.pairs, as_of=worlds.AS_OF, seed=1, draws=200)
    assert isinstance(found, Prediction)
    return found


def rule(worlds: Worlds) -> Rule:
    return Rule("r", "route", When(request_model=(worlds.STRONG,)), to=worlds.MIDDLE, share=0.1, holdout=0.03)


def test_the_saving_per_call_is_predicted(worlds: Worlds) -> None:
    """The prediction is near what moving every call would have saved, whatever the rule's share."""
    world = worlds.make(1, weak_model=worlds.MIDDLE)

    found = predicted(worlds)

    assert found.per_call.low < world.saved_per_call < found.per_call.high
    assert found.n == len(world.calls)
    assert found.sd_requested > found.sd_target > 0


def test_the_predictive_interval_adds_errors_in_squares(worlds: Worlds) -> None:
    """On each side: the error of the prediction, and 1.96 standard errors of the difference of the two arms."""
    found = predicted(worlds)

    low, high = found.interval(n_treated=400, n_kept=100)

    noise = 1.959964 * math.sqrt(found.sd_target**2 / 400 + found.sd_requested**2 / 100)
    assert found.per_call.value - low == pytest.approx(math.hypot(found.per_call.value - found.per_call.low, noise))
    assert high - found.per_call.value == pytest.approx(math.hypot(found.per_call.high - found.per_call.value, noise))


def test_more_calls_make_a_narrower_predictive_interval(worlds: Worlds) -> None:
    """With many calls in both arms only the error of the prediction is left."""
    found = predicted(worlds)

    few, many, endless = (found.interval(n_treated=n, n_kept=n) for n in (50, 500, 10**12))

    assert few[0] < many[0] < endless[0] == pytest.approx(found.per_call.low)
    assert few[1] > many[1] > endless[1] == pytest.approx(found.per_call.high)


def test_a_prediction_survives_the_policy_file(worlds: Worlds) -> None:
    """What is written into a rule's evidence table is read back as the same prediction."""
    found = predicted(worlds)
    written = Rule("r", "route", to="small", evidence=found.to_evidence())

    read = from_evidence(parse(dump(Policy(rules=(written,)))).rules[0].evidence)

    assert read is not None
    assert read.interval(n_treated=10, n_kept=10) == found.interval(n_treated=10, n_kept=10)
    assert (read.n, read.pairs, read.as_of, read.price_version) == (
        found.n,
        found.pairs,
        found.as_of,
        found.price_version,
    )


@pytest.mark.parametrize("evidence", [{}, {"n": 5}, {"predicted_saving_usd": "a lot"}])
def test_evidence_written_by_hand_predicts_nothing(evidence: dict[str, object]) -> None:
    """An evidence table without the entries of a prediction is no error."""
    assert from_evidence(evidence) is None


def test_few_conversations_are_not_enough(worlds: Worlds) -> None:
    """Below 30 conversations in scope nothing is predicted."""
    world = worlds.make(2, conversations=29, weak_model=worlds.MIDDLE)

    found = predict(rule(worlds), world.calls, world.pairs, as_of=worlds.AS_OF, seed=1)

    assert isinstance(found, NotEnoughData)


def test_routed_and_refused_calls_are_not_asked(worlds: Worlds) -> None:
    """Only calls that the requested model answered, and that the target could serve, say what moving would save."""
    world = worlds.make(3, weak_model=worlds.MIDDLE)
    routed = worlds.route(world, rule_id="r", share=0.5, holdout=0.1, seed=1)

    found = predict(rule(worlds), routed, world.pairs, as_of=worlds.AS_OF, seed=1, draws=50)

    assert isinstance(found, Prediction)
    assert found.n == sum(model == worlds.STRONG for model in routed["request_model"].to_pylist())


def test_long_conversations_widen_the_spread(worlds: Worlds) -> None:
    """Calls that depend on each other count for less: the spread is that of conversations, not of calls."""
    world = worlds.make(4, weak_model=worlds.MIDDLE)
    loose = world.calls.drop_columns("conversation_id")

    together = predict(rule(worlds), world.calls, world.pairs, as_of=worlds.AS_OF, seed=1, draws=50)
    apart = predict(rule(worlds), loose, world.pairs, as_of=worlds.AS_OF, seed=1, draws=50)

    assert isinstance(together, Prediction)
    assert isinstance(apart, Prediction)
    assert together.sd_requested > apart.sd_requested
