from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.estimate import Estimate, NotEnoughData, clopper_pearson, mean_interval, wilson


def an_estimate(value: float, low: float, high: float, unit: str) -> Estimate:
    return Estimate(
        value=value, low=low, high=high, confidence_level=0.95, n=1204, effective_n=300.0, method="test", unit=unit
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (412.3, 305.2, 540.0, "USD", "$412 [305, 540], n=1,204"),
        (-0.0123, -1.5, 12345.0, "USD", "-$0.0123 [-1.50, 12,345], n=1,204"),
        (0.9512, 0.91, 0.978, "share", "95.1% [91.0%, 97.8%], n=1,204"),
        (1.234, 0.5, 99.0, "s", "1.23 [0.500, 99.0] s, n=1,204"),
        (2.0, 0.0, math.inf, "", "2.00 [0, ∞], n=1,204"),
    ],
)
def test_an_estimate_reads_as_one_line(value: float, low: float, high: float, unit: str, text: str):
    """An estimate is shown with its interval, its unit and n."""
    assert an_estimate(value, low, high, unit).describe() == text


def test_scaling_an_estimate_scales_its_bounds():
    """A known factor multiplies value and bounds, and a negative one swaps the bounds."""
    estimate = an_estimate(2.0, 1.0, 4.0, "USD")

    assert estimate.scaled(10.0, "USD/month") == an_estimate(20.0, 10.0, 40.0, "USD/month")
    assert estimate.scaled(-1.0) == an_estimate(-2.0, -4.0, -1.0, "USD")


def test_estimates_and_their_absence_are_json():
    """Both answers say which they are, and an infinite bound becomes null."""
    estimate = json.loads(json.dumps(an_estimate(2.0, 0.0, math.inf, "").to_dict(), allow_nan=False))
    absence = json.loads(json.dumps(NotEnoughData(12, 30, "pairs").to_dict()))

    assert (estimate["kind"], estimate["high"]) == ("estimate", None)
    assert absence == {"kind": "not_enough_data", "n": 12, "needed": 30, "why": "pairs"}


def test_not_enough_data_says_what_is_missing():
    """The absence of an estimate is worded as such, not as zero."""
    assert NotEnoughData(12, 30, "pairs").describe() == "not enough data: 12 of 30 (pairs)"


def test_wilson_agrees_with_statsmodels():
    """statsmodels 0.15.0: proportion_confint(126, 143, 0.05, "wilson")."""
    interval = wilson(126, 143)

    assert isinstance(interval, Estimate)
    assert (interval.low, interval.high) == pytest.approx((0.8178598793728052, 0.9244372952493719), rel=1e-12)


def test_clopper_pearson_agrees_with_statsmodels():
    """statsmodels 0.15.0: proportion_confint(126, 143, 0.05, "beta")."""
    interval = clopper_pearson(126, 143)

    assert isinstance(interval, Estimate)
    assert (interval.low, interval.high) == pytest.approx((0.8164933834238586, 0.9291997816028744), rel=1e-12)


def test_59_of_59_shows_95_percent():
    """59 successes in a row put the one-sided exact 95% bound above 95%; 58 do not."""
    assert clopper_pearson(59, 59, level=0.90).low > 0.95  # pyright: ignore[reportAttributeAccessIssue]
    assert clopper_pearson(58, 58, level=0.90).low < 0.95  # pyright: ignore[reportAttributeAccessIssue]


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_contains_the_proportion(counts: tuple[int, int]):
    """Both proportion intervals contain the observed share and stay within [0, 1]."""
    for interval in (wilson(*counts), clopper_pearson(*counts)):
        assert isinstance(interval, Estimate)
        assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0


def test_clopper_pearson_covers_at_least_nominally():
    """The exact interval's coverage, summed over the binomial distribution, is at least 95% at every rate tried."""
    n = 40
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    for rate in (0.03, 0.2, 0.5, 0.95):
        covered = [isinstance(i, Estimate) and i.low <= rate <= i.high for i in intervals]

        probability = sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1) if covered[k])

        assert probability >= 0.95


def test_no_observations_give_no_proportion():
    """Nothing observed is NotEnoughData, not 0%."""
    assert isinstance(wilson(0, 0), NotEnoughData)
    assert isinstance(clopper_pearson(0, 0), NotEnoughData)


def test_more_successes_than_trials_are_refused():
    """Impossible counts raise."""
    with pytest.raises(ValueError, match="successes is 3 of n=2"):
        wilson(3, 2)


def test_mean_interval_agrees_with_scipy():
    """scipy 1.17.1: stats.t.interval(0.95, 39, loc=x.mean(), scale=stats.sem(x))."""
    x = (np.arange(40) * 7 % 11) / 10.0

    interval = mean_interval(x, unit="USD")

    assert isinstance(interval, Estimate)
    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (0.505, 0.4008126627127891, 0.609187337287211), rel=1e-10
    )


def test_few_values_have_no_mean_interval():
    """Below 30 values there is no interval."""
    assert mean_interval(np.ones(29)) == NotEnoughData(29, 30, "independent values for a t interval")
