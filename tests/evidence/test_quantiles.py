from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.quantiles import beta_cdf, beta_quantile, normal_cdf, normal_quantile, student_t_quantile


@pytest.mark.parametrize(
    ("p", "a", "b", "expected"),
    [
        # scipy 1.17.1: scipy.stats.beta.ppf(p, a, b)
        (0.025, 9, 2, 0.5549838829718047),
        (0.5, 2, 3, 0.3857275681323895),
        (0.975, 1, 10, 0.3084971078187607),
        (0.1, 300, 700, 0.28151941741064423),
        (0.001, 0.5, 0.5, 2.4673990709169446e-06),
    ],
)
def test_beta_quantile_agrees_with_scipy(p: float, a: float, b: float, expected: float):
    """Beta quantiles are those of scipy.stats.beta.ppf."""
    assert beta_quantile(p, a, b) == pytest.approx(expected, rel=1e-11)


def test_beta_cdf_agrees_with_scipy():
    """scipy 1.17.1: stats.beta.cdf(0.3, 2.5, 4.5) and stats.beta.cdf(0.6, 200, 150)."""
    assert beta_cdf(0.3, 2.5, 4.5) == pytest.approx(0.40653901668245934, rel=1e-12)
    assert beta_cdf(0.6, 200, 150) == pytest.approx(0.8601906604801528, rel=1e-12)


@given(st.integers(0, 1024).map(lambda k: k / 1024), st.floats(0.1, 500.0), st.floats(0.1, 500.0))
def test_the_two_tails_of_the_beta_distribution_sum_to_one(x: float, a: float, b: float):
    """I_x(a, b) = 1 - I_(1-x)(b, a)."""
    assert beta_cdf(x, a, b) + beta_cdf(1.0 - x, b, a) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("p", "degrees_of_freedom", "expected"),
    [
        # scipy 1.17.1: scipy.stats.t.ppf(p, degrees_of_freedom)
        (0.975, 9, 2.262157162798205),
        (0.95, 1, 6.313751514675037),
        (0.995, 250, 2.5956376304661806),
        (0.5, 4, 0.0),
    ],
)
def test_student_t_quantile_agrees_with_scipy(p: float, degrees_of_freedom: float, expected: float):
    """Student t quantiles are those of scipy.stats.t.ppf, and odd around one half."""
    assert student_t_quantile(p, degrees_of_freedom) == pytest.approx(expected, rel=1e-10)
    assert student_t_quantile(1 - p, degrees_of_freedom) == pytest.approx(-expected, rel=1e-10)


def test_normal_quantile_inverts_the_normal_cdf():
    """The quantile of the share below x is x."""
    for x in (-3.0, -0.5, 0.0, 2.0):
        assert normal_quantile(normal_cdf(x)) == pytest.approx(x, abs=1e-12)
