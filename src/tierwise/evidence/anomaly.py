"""A day that does not belong with those before it, by medians, so that earlier outliers do not hide it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import numbers, same_length
from tierwise.evidence.estimate import NotEnoughData

DAYS_NEEDED = 14
THRESHOLD = 3.5
"""Modified z-score from which on a value is an outlier (Iglewicz and Hoaglin, "How to detect and handle outliers",
1993)."""
_OF_EACH_WEEKDAY = 4
_MAD_TO_SIGMA = 0.6745
_LEAST_SPREAD = 0.05
"""Relative: of spend that hardly varies, a few percent more are no news."""


@dataclass(frozen=True, slots=True)
class DayJudged:
    """One day beside what was to be expected of it."""

    value: float
    expected: float
    low: float
    """Values from `low` to `high` are none that stand out."""
    high: float
    score: float
    """Modified z-score of the ratio to the expected value."""
    n: int
    """Days it is compared with."""
    method: str

    @property
    def stands_out(self) -> bool:
        return abs(self.score) > THRESHOLD


def judge_day(
    value: float, weekday: int, *, daily: npt.ArrayLike, weekdays: npt.ArrayLike
) -> DayJudged | NotEnoughData:
    """`value` against the days before it.

    The expected value is the median of the same weekday once each has four days, else of all days; the spread is the
    median absolute deviation of all days' ratios to theirs.

    Args:
        daily: shape (n,), the full days before; weekdays: theirs, 0 to 6.

    Returns: DayJudged, or NotEnoughData below 14 days or when the expected value is 0.
    """
    values, days = numbers("daily", daily), np.asarray(weekdays, dtype=np.int64)
    same_length(len(values), weekdays=days)
    if len(values) < DAYS_NEEDED:
        return NotEnoughData(len(values), DAYS_NEEDED, "full days of spend")
    seasonal = all((days == day).sum() >= _OF_EACH_WEEKDAY for day in range(7))
    if not seasonal:
        days, weekday = np.zeros_like(days), 0
    medians = {day: float(np.median(values[days == day])) for day in np.unique(days).tolist()}
    expected = medians[weekday]
    if expected <= 0.0 or min(medians.values()) <= 0.0:
        return NotEnoughData(len(values), DAYS_NEEDED, "days with spend: most have none")
    ratios = values / np.array([medians[day] for day in days.tolist()])
    # A median of n normal values varies by pi / 2n of their variance: the new day's distance from it is larger by that,
    # and theirs, as it was made of them, smaller.
    unsure = 0.5 * math.pi / min(int((days == day).sum()) for day in medians)
    widened = math.sqrt((1.0 + unsure) / (1.0 - unsure))
    spread = max(widened * float(np.median(np.abs(ratios - np.median(ratios)))) / _MAD_TO_SIGMA, _LEAST_SPREAD)
    return DayJudged(
        value=value,
        expected=expected,
        low=max(0.0, expected * (1 - THRESHOLD * spread)),
        high=expected * (1 + THRESHOLD * spread),
        score=(value / expected - 1) / spread,
        n=len(values),
        method=f"median and MAD of {'the same weekday' if seasonal else 'all days'}",
    )
