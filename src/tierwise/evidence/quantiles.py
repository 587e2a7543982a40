"""Quantiles of the normal, beta and Student t distributions, in plain Python."""

from __future__ import annotations

import math
from statistics import NormalDist

_STANDARD_NORMAL = NormalDist()
_TINY = 1e-300


def normal_quantile(p: float) -> float:
    """The standard normal quantile of p in (0, 1)."""
    return _STANDARD_NORMAL.inv_cdf(p)


def normal_cdf(x: float) -> float:
    """The share of a standard normal below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b).

    Continued fraction DLMF 8.17.22 by the modified Lentz method, on whichever tail converges (x below the mean).
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _continued_fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _continued_fraction(1.0 - x, b, a) / b


def _continued_fraction(x: float, a: float, b: float) -> float:
    numerator = 1.0
    denominator = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = denominator
    # The number of terms grows like sqrt(max(a, b)); this is enough for counts in the hundreds of millions.
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            denominator = 1.0 / _away_from_zero(1.0 + term * denominator)
            numerator = _away_from_zero(1.0 + term / numerator)
            change = denominator * numerator
            value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which I_x(a, b) = p, by bisection to the last bit of the double."""
    low, high = 0.0, 1.0
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle


def student_t_quantile(p: float, degrees_of_freedom: float) -> float:
    """The Student t quantile of p in (0, 1), through the beta distribution (Abramowitz and Stegun 26.7.1)."""
    if p < 0.5:
        return -student_t_quantile(1.0 - p, degrees_of_freedom)
    if p == 0.5:
        return 0.0
    x = beta_quantile(2.0 * (1.0 - p), 0.5 * degrees_of_freedom, 0.5)
    return math.sqrt(degrees_of_freedom * (1.0 - x) / x)
