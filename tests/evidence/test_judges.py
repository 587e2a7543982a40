from __future__ import annotations

import json

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.judges import agreement, bias, position_bias, ppi


def test_the_mean_agrees_with_ppi_python():
    """ppi-python 0.2.3: ppi_mean_ci(human, judge, other, alpha=0.05), up to the two imagined disagreements."""
    i, k = np.arange(400), np.arange(3000)
    human = ((i * 7) % 10 < 7).astype(float)
    judge = np.where(i % 8 == 3, 1 - human, human)
    other = ((k * 3) % 10 < 7).astype(float) * (k % 9 != 4)

    estimate = ppi(human, judge, other)

    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (0.66965618, 0.63606436, 0.70324801), abs=0.003
    )


@pytest.mark.parametrize("noise", [0.05, 0.5, 1.0])
def test_the_interval_covers_the_human_mean_whatever_the_judge(noise: float):
    """With a good, a poor and a useless judge, biased by construction, 95% intervals cover at least 93%."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        human = (rng.random(1060) < 0.7).astype(float)
        judge = np.where(rng.random(1060) < noise, rng.random(1060) < 0.95, human).astype(float)

        estimate = ppi(human[:60], judge[:60], judge[60:])

        covered += isinstance(estimate, Estimate) and estimate.low <= 0.7 <= estimate.high
    assert covered >= 0.93 * 500


def test_a_good_judge_is_worth_many_reviews():
    """A judge that is right 19 times in 20 narrows the interval to less than half of the human one."""
    rng = np.random.default_rng(2)
    human = (rng.random(2200) < 0.7).astype(float)
    judge = np.where(rng.random(2200) < 0.05, 1 - human, human)

    helped = ppi(human[:200], judge[:200], judge[200:])
    alone = ppi(human[:200], judge[:200], [])

    assert isinstance(helped, Estimate)
    assert isinstance(alone, Estimate)
    assert helped.high - helped.low < 0.6 * (alone.high - alone.low)
    assert helped.effective_n > 400.0


@pytest.mark.parametrize("judge", [np.tile([1.0, 0.0], 50), np.ones(100)], ids=["contrary", "always yes"])
def test_a_useless_judge_leaves_the_human_mean(judge: np.ndarray):
    """A judge that contradicts the humans or never varies is given no say."""
    human = np.tile([0.0, 1.0], 50)

    estimate = ppi(human, judge, np.ones(500))

    assert isinstance(estimate, Estimate)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.method == "human mean, Student t interval"


def test_full_agreement_in_a_small_review_is_not_certainty():
    """When judge and person agree on all 30 items, the interval still has width."""
    scores = np.tile([1.0, 1.0, 0.0], 10)

    estimate = ppi(scores, scores, np.tile(scores, 20))

    assert isinstance(estimate, Estimate)
    assert estimate.high - estimate.low > 0.1


def test_few_reviews_give_no_estimate():
    """Below 30 reviewed items the judge alone is not an answer."""
    assert ppi(np.ones(29), np.ones(29), np.ones(5000)) == NotEnoughData(29, 30, "items reviewed by a person")


def test_a_lenient_judge_has_a_bias_above_zero():
    """A judge that passes a fifth of what people fail scores 10 points too high, and the interval says so."""
    human = np.tile([0.0, 1.0], 100)
    judge = np.where(np.arange(200) % 10 == 0, 1.0, human)

    found = bias(human, judge)

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.1)
    assert 0.0 < found.low < 0.1 < found.high


def test_agreement_agrees_with_other_packages():
    """statsmodels 0.15.0: cohens_kappa(table).kappa; krippendorff 0.9.0: alpha(reliability_data, 'interval')."""
    i = np.arange(60)
    human, judge = ((i * 7) % 10 < 6).astype(float), ((i * 3) % 10 < 7).astype(float)

    found = agreement(human, judge)

    assert isinstance(found.kappa, Estimate)
    assert isinstance(found.alpha, Estimate)
    assert isinstance(found.observed, Estimate)
    assert (found.observed.value, found.kappa.value, found.alpha.value) == pytest.approx(
        (0.3, -0.5217391304347827, -0.5256410256410255)
    )


def test_graded_agreement_is_weighted_by_distance():
    """A judge that is off by one grade in ten agrees far more than one that is off by five."""
    human = np.tile(np.arange(11) / 10, 6)

    near, far = (agreement(human, np.roll(human.reshape(6, 11), step, axis=1).ravel()) for step in (1, 5))

    assert isinstance(near.kappa, Estimate)
    assert isinstance(far.kappa, Estimate)
    assert near.kappa.value > 0.4 > far.kappa.value


def test_the_agreement_interval_covers_the_truth():
    """Over 300 samples of 60 items, the jackknife interval covers the kappa of the population in 92% to 99%."""
    rng = np.random.default_rng(0)
    expected = 0.7 * (0.7 * 0.9 + 0.3 * 0.2) + 0.3 * (0.7 * 0.1 + 0.3 * 0.8)
    truth = ((0.7 * 0.9 + 0.3 * 0.8) - expected) / (1 - expected)
    covered = 0
    for _ in range(300):
        human = (rng.random(60) < 0.7).astype(float)
        judge = (rng.random(60) < np.where(human > 0.5, 0.9, 0.2)).astype(float)

        kappa = agreement(human, judge).kappa

        covered += isinstance(kappa, Estimate) and kappa.low <= truth <= kappa.high
    assert 0.92 <= covered / 300 <= 0.99


def test_there_is_no_agreement_beyond_chance_without_variety():
    """When every score is the same, kappa and alpha have no value; with few items nothing has."""
    uniform, few = agreement(np.ones(40), np.ones(40)), agreement(np.ones(5), np.ones(5))

    assert isinstance(uniform.observed, Estimate)
    assert isinstance(uniform.kappa, NotEnoughData)
    assert isinstance(uniform.alpha, NotEnoughData)
    assert isinstance(few.observed, NotEnoughData)


def test_a_judge_that_prefers_the_first_answer_is_found_out():
    """A judge that picks whatever comes first in a third of comparisons has an advantage of a third."""
    first = np.tile([1.0, 0.0, 1.0], 40)
    second = np.tile([1.0, 0.0, 0.0], 40)

    found = position_bias(first, second)

    assert isinstance(found.advantage, Estimate)
    assert isinstance(found.consistency, Estimate)
    assert found.advantage.value == pytest.approx(1 / 3)
    assert found.advantage.low > 0.2
    assert found.consistency.value == pytest.approx(2 / 3)


def test_what_is_said_about_a_judge_is_json():
    """Agreement and position bias can be stored as they are."""
    human = np.tile([0.0, 1.0], 20)

    assert set(json.loads(json.dumps(agreement(human, human).to_dict()))) == {"observed", "kappa", "alpha"}
    assert set(json.loads(json.dumps(position_bias(human, human).to_dict()))) == {"advantage", "consistency"}
