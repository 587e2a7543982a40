from __future__ import annotations

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.ppi import ppi_mean


def test_the_mean_agrees_with_ppi_python():
    """ppi-python 0.2.3: ppi_mean_ci(human, judge, other, alpha=0.05), up to the two imagined disagreements."""
    i, k = np.arange(400), np.arange(3000)
    human = ((i * 7) % 10 < 7).astype(float)
    judge = np.where(i % 8 == 3, 1 - human, human)
    other = ((k * 3) % 10 < 7).astype(float) * (k % 9 != 4)

    estimate = ppi_mean(human, judge, other)

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

        estimate = ppi_mean(human[:60], judge[:60], judge[60:])

        covered += isinstance(estimate, Estimate) and estimate.low <= 0.7 <= estimate.high
    assert covered >= 0.93 * 500


def test_a_good_judge_is_worth_many_reviews():
    """A judge that is right 19 times in 20 narrows the interval to less than half of the human one."""
    rng = np.random.default_rng(2)
    human = (rng.random(2200) < 0.7).astype(float)
    judge = np.where(rng.random(2200) < 0.05, 1 - human, human)

    helped = ppi_mean(human[:200], judge[:200], judge[200:])
    alone = ppi_mean(human[:200], judge[:200], [])

    assert isinstance(helped, Estimate)
    assert isinstance(alone, Estimate)
    assert helped.high - helped.low < 0.6 * (alone.high - alone.low)
    assert helped.effective_n > 400.0


@pytest.mark.parametrize("judge", [np.tile([1.0, 0.0], 50), np.ones(100)], ids=["contrary", "always yes"])
def test_a_useless_judge_leaves_the_human_mean(judge: np.ndarray):
    """A judge that contradicts the humans or never varies is given no say."""
    human = np.tile([0.0, 1.0], 50)

    estimate = ppi_mean(human, judge, np.ones(500))

    assert isinstance(estimate, Estimate)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.method == "human mean, Student t interval"


def test_full_agreement_in_a_small_review_is_not_certainty():
    """When judge and person agree on all 30 items, the interval still has width."""
    scores = np.tile([1.0, 1.0, 0.0], 10)

    estimate = ppi_mean(scores, scores, np.tile(scores, 20))

    assert isinstance(estimate, Estimate)
    assert estimate.high - estimate.low > 0.1


def test_few_reviews_give_no_estimate():
    """Below 30 reviewed items the judge alone is not an answer."""
    assert ppi_mean(np.ones(29), np.ones(29), np.ones(5000)) == NotEnoughData(29, 30, "items reviewed by a person")
