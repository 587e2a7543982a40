"""What a sum of days comes to by the end of a period, with a prediction interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, numbers, probability, same_length
from tierwise.evidence.estimate import Estimate, NotEnoughData

DAYS_NEEDED = 14
"""Full days from which on a forecast is given: two of each weekday."""
_OF_EACH_WEEKDAY = 4


def sum_to_end(
    daily: npt.ArrayLike,
    weekday: npt.ArrayLike,
    *,
    so_far: float,
    remaining_weekday: npt.ArrayLike,
    remaining_share: npt.ArrayLike,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    unit: str = "USD",
) -> Estimate | NotEnoughData:
    """What is there so far and what the remaining days bring, if they are like the days of `daily`.

    A two-stage bootstrap: the days seen are drawn again, which stands for not knowing their mean, and each remaining
    day is drawn from those, which stands for days differing. Days are drawn among their own weekday once each has four;
    spreads are widened by n / (n - 1), as a resampled variance is short by that. Days are taken to be independent, and
    the level to stay: a trend within `daily` is not carried on.

    Args:
        daily: shape (n,), full days; those without anything are 0.
        weekday: shape (n,), 0 to 6.
        so_far: what the period holds already.
        remaining_weekday: shape (m,), of the days still to come.
        remaining_share: shape (m,), how much of each of them is still to come, in [0, 1].

    Returns: Estimate, exact when nothing remains, or NotEnoughData below 14 days.
    """
    values, days = numbers("daily", daily), np.asarray(weekday, dtype=np.int64)
    ahead, shares = np.asarray(remaining_weekday, dtype=np.int64), numbers("remaining_share", remaining_share)
    same_length(len(values), weekday=days)
    same_length(len(ahead), remaining_share=shares)
    probability("level", level)
    if len(values) < DAYS_NEEDED:
        return NotEnoughData(len(values), DAYS_NEEDED, "full days of spend")
    seasonal = all((days == day).sum() >= _OF_EACH_WEEKDAY for day in range(7))
    if not seasonal:
        days, ahead = np.zeros_like(days), np.zeros_like(ahead)
    rng = np.random.default_rng(seed)
    totals = np.full(draws, so_far, dtype=np.float64)
    expected = so_far
    for day in np.unique(ahead):
        known, part = values[days == day], shares[ahead == day]
        expected += float(known.mean() * part.sum())
        totals += _drawn(known, part, draws, rng)
    low, high = np.quantile(totals, [0.5 * (1 - level), 0.5 * (1 + level)])
    return Estimate(
        value=expected,
        low=min(float(low), expected),
        high=max(float(high), expected),
        confidence_level=level,
        n=len(values),
        effective_n=float(len(values)),
        method=f"two-stage bootstrap over {'weekdays' if seasonal else 'days'}, {draws:,} draws",
        unit=unit,
    )


def _drawn(known: Floats, part: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """What days with these shares bring, shape (draws,)."""
    n = len(known)
    mean = known.mean()
    widened = np.maximum(mean + (known - mean) * np.sqrt(n / (n - 1)), 0.0)
    resampled = widened[rng.integers(n, size=(draws, n))]
    picked = np.take_along_axis(resampled, rng.integers(n, size=(draws, len(part))), axis=1)
    return picked @ part
