from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tierwise.evidence.judged import certify_judged
from tierwise.evidence.retention import Certificate, certify


def reviews(
    retention: float, pairs: int, seed: int, *, wrong: float = 0.05, lenient: float = 0.0, chance: float = 0.2
) -> dict[str, Any]:
    """Pairs that a judge scored, wrong at random or lenient to the weak model, of which people reviewed a part."""
    rng = np.random.default_rng(seed)
    both = 0.9 * retention - 0.02
    outcome = np.searchsorted(np.cumsum([both, 0.02, 0.9 - both]), rng.random(pairs), side="right")
    weak, strong = np.isin(outcome, (0, 1)).astype(float), np.isin(outcome, (0, 2)).astype(float)
    judge_weak = np.where(rng.random(pairs) < wrong, 1 - weak, weak)
    judge_weak = np.where(rng.random(pairs) < lenient, 1.0, judge_weak)
    reviewed = rng.random(pairs) < chance
    return {
        "judge_weak": judge_weak,
        "judge_strong": np.where(rng.random(pairs) < wrong, 1 - strong, strong),
        "human_weak": np.where(reviewed, weak, np.nan),
        "human_strong": np.where(reviewed, strong, np.nan),
        "review_probability": np.full(pairs, chance),
    }


def judged(columns: dict[str, Any], *, least: float = 0.2) -> Certificate:
    return certify_judged(**columns, least_review_probability=least)


def test_a_lenient_judge_does_not_certify_a_weak_model():
    """At the limit, with a judge that passes nearly all, at most 5% of 60 worlds certify (2 sd of slack)."""
    certified = [judged(reviews(0.95, 1_500, seed, lenient=0.9)).certified for seed in range(60)]

    assert np.mean(certified) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 60)


def test_a_good_judge_certifies_with_fewer_reviews():
    """At 98% and with 600 reviews of 6,000 pairs, the judge's help certifies where people alone mostly do not."""
    helped, alone = [], []
    for seed in range(12):
        columns = reviews(0.98, 6_000, seed, wrong=0.002, chance=0.1)
        rows = np.isfinite(columns["human_weak"])

        helped.append(judged(columns, least=0.1).certified)
        alone.append(certify(columns["human_weak"][rows], columns["human_strong"][rows]).certified)

    assert np.mean(helped) >= np.mean(alone) + 0.25


def test_when_everything_is_reviewed_the_judge_has_no_say():
    """With a review of every pair, any judge leaves nearly the certificate of the human scores."""
    columns = reviews(1.0, 300, seed=1, wrong=0.5, chance=1.0)

    with_judge = judged(columns, least=1.0)
    alone = certify(columns["human_weak"], columns["human_strong"])

    assert with_judge.value == pytest.approx(alone.value)
    assert math.log(with_judge.e_value) == pytest.approx(math.log(alone.e_value), abs=1.0)


def test_the_bounds_are_on_the_side_of_the_verdict():
    """`certified` is the same as `low >= rho`, and the interval holds the estimate."""
    for seed in range(5):
        certificate = judged(reviews(1.0, 800, seed))

        assert certificate.value is not None
        assert certificate.certified == (certificate.low >= 0.95)
        assert certificate.low <= certificate.value <= certificate.high


def test_without_pairs_nothing_is_known():
    """No pairs give an e-value of one, no value and no bounds."""
    empty = judged({name: [] for name in reviews(1.0, 1, 0)})

    assert (empty.certified, empty.value, empty.low, empty.high) == (False, None, 0.0, math.inf)
    assert empty.e_value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"review_probability": [0.1]}, r"review_probability is 0\.1 at position 0"),
        ({"human_weak": [math.nan]}, "a pair has one human score"),
        ({"judge_weak": [2.0]}, r"judge_weak is 2\.0"),
    ],
)
def test_wrong_input_is_refused(changes: dict[str, list[float]], message: str):
    """Reviews rarer than the design allows, half reviews and scores off the scale are refused with the value."""
    columns = {name: [1.0] for name in reviews(1.0, 1, 0)}

    with pytest.raises(ValueError, match=message):
        judged(columns | changes)


def test_weights_scale_bets_as_in_certify():
    """Without a judge and with every pair reviewed, weights and their bound say what they say in `certify`; a bound ten
    times as large makes each bet a tenth."""
    rng = np.random.default_rng(11)
    strong = (rng.random(400) < 0.9).astype(float)
    weak = np.where(rng.random(400) < 0.98, strong, 0.0)
    silent = np.zeros(400)
    weight = rng.choice([2.0, 4.0], 400)

    def certified(**weights: Any) -> Certificate:
        return certify_judged(silent, silent, weak, strong, np.ones(400), least_review_probability=1.0, **weights)

    plain = certify(weak, strong, weight=weight, max_weight=4.0)
    found = certified(weight=weight, max_weight=4.0)
    assert found.value == pytest.approx(float(weight @ weak) / float(weight @ strong))
    assert found.e_value == pytest.approx(plain.e_value, rel=0.9)
    assert certified(weight=np.full(400, 3.0), max_weight=3.0).e_value == pytest.approx(certified().e_value)
    assert certified(weight=weight, max_weight=40.0).e_value < found.e_value
