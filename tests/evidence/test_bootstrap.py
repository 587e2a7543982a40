from __future__ import annotations

import numpy as np
import pytest

from tierwise.evidence.bootstrap import bootstrap_mean, bootstrap_ratio
from tierwise.evidence.estimate import Estimate, NotEnoughData


def test_bca_agrees_with_scipy():
    """scipy 1.17.1: stats.bootstrap((x,), np.mean, n_resamples=20000, method="BCa", rng=1)."""
    x = np.random.default_rng(0).lognormal(0, 1, 60)

    interval = bootstrap_mean(x, seed=0, draws=20_000)

    assert isinstance(interval, Estimate)
    assert (interval.low, interval.high) == pytest.approx((1.2643035743081608, 2.035693199513297), abs=0.02)


def test_the_interval_covers_a_skewed_mean_about_as_often_as_it_says():
    """Over 400 samples of skewed costs, the 95% interval covers the true mean in 91% to 98% of them."""
    rng = np.random.default_rng(1)

    intervals = [bootstrap_mean(rng.exponential(1.0, 100), seed=seed, draws=400) for seed in range(400)]

    covered = np.mean([isinstance(i, Estimate) and i.low <= 1.0 <= i.high for i in intervals])
    assert 0.91 <= covered <= 0.98


def test_correlated_calls_widen_the_interval():
    """Repeating each value ten times in one cluster gives the interval of the values alone, not a narrower one."""
    x = np.random.default_rng(2).exponential(1.0, 50)
    repeated, conversation = np.repeat(x, 10), np.repeat(np.arange(50), 10)

    alone = bootstrap_mean(x, seed=3)
    clustered = bootstrap_mean(repeated, cluster=conversation, seed=3)
    ignored = bootstrap_mean(repeated, seed=3)

    assert isinstance(alone, Estimate)
    assert isinstance(clustered, Estimate)
    assert isinstance(ignored, Estimate)
    assert (clustered.low, clustered.high) == pytest.approx((alone.low, alone.high))
    assert clustered.effective_n == pytest.approx(50.0)
    assert ignored.high - ignored.low < 0.5 * (alone.high - alone.low)


def test_weights_undo_stratified_sampling():
    """Weighting by 1 / propensity gives the mean of the traffic that was sampled from."""
    rng = np.random.default_rng(4)
    cost = np.where(rng.random(20_000) < 0.1, 10.0, 1.0)
    propensity = np.where(cost > 5.0, 1.0, 0.1)
    sampled = rng.random(20_000) < propensity

    interval = bootstrap_mean(cost[sampled], weight=1 / propensity[sampled], seed=5)

    assert isinstance(interval, Estimate)
    assert interval.low <= cost.mean() <= interval.high
    assert interval.effective_n < sampled.sum()


def test_a_ratio_is_bootstrapped_as_a_ratio():
    """A saving that is the same share of every cost has no uncertainty, however much costs vary."""
    cost = np.random.default_rng(6).lognormal(0, 2, 200)

    interval = bootstrap_ratio(0.25 * cost, cost, seed=7, unit="share")

    assert isinstance(interval, Estimate)
    assert (interval.low, interval.value, interval.high) == pytest.approx((0.25, 0.25, 0.25))


def test_merging_many_clusters_into_blocks_keeps_the_interval():
    """With 30,000 rows the interval is still that of the standard error."""
    x = np.random.default_rng(8).exponential(1.0, 30_000)

    interval = bootstrap_mean(x, seed=9)

    assert isinstance(interval, Estimate)
    standard_error = x.std() / np.sqrt(len(x))
    assert (interval.high - interval.low) / (2 * 1.96 * standard_error) == pytest.approx(1.0, abs=0.1)


def test_equal_values_have_an_interval_without_width():
    """All-equal values are their own bounds."""
    interval = bootstrap_mean(np.full(40, 0.2), seed=0)

    assert isinstance(interval, Estimate)
    assert interval.low == interval.value == interval.high == pytest.approx(0.2)


def test_the_seed_decides():
    """The same seed gives the same interval, another seed another one."""
    x = np.random.default_rng(10).exponential(1.0, 100)

    assert bootstrap_mean(x, seed=1) == bootstrap_mean(x, seed=1)
    assert bootstrap_mean(x, seed=1) != bootstrap_mean(x, seed=2)


def test_few_clusters_give_no_interval():
    """Many calls of few conversations are few observations."""
    answer = bootstrap_mean(np.arange(1200.0), cluster=np.arange(1200) % 12, seed=0)

    assert isinstance(answer, NotEnoughData)
    assert (answer.n, answer.needed) == (12, 30)


def test_no_rows_give_no_interval():
    """An empty sample is NotEnoughData."""
    assert isinstance(bootstrap_mean([], seed=0), NotEnoughData)


def test_a_cluster_without_a_denominator_is_refused():
    """A ratio whose denominator can be resampled to 0 raises instead of dividing by it."""
    with pytest.raises(ValueError, match="denominator sums to 0 or less"):
        bootstrap_ratio(np.ones(40), np.append(np.ones(39), 0.0), seed=0)
