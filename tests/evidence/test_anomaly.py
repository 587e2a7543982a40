from __future__ import annotations

import numpy as np

from tierwise.evidence.anomaly import DAYS_NEEDED, DayJudged, judge_day
from tierwise.evidence.estimate import NotEnoughData


def weekdays(n: int) -> np.ndarray:
    return np.arange(n) % 7


def test_too_few_days_judge_nothing() -> None:
    """Below two weeks no day stands out."""
    assert judge_day(1e6, 0, daily=np.ones(13), weekdays=weekdays(13)) == NotEnoughData(
        13, DAYS_NEEDED, "full days of spend"
    )


def test_days_without_spend_judge_nothing() -> None:
    """Where most days cost nothing there is no ratio to judge by."""
    assert isinstance(judge_day(1.0, 0, daily=np.zeros(30), weekdays=weekdays(30)), NotEnoughData)


def test_a_spike_stands_out_although_there_was_one_before() -> None:
    """Medians do not follow an earlier outlier."""
    daily = np.random.default_rng(1).normal(100, 5, 20)
    daily[4] = 900.0

    judged = judge_day(300.0, 6, daily=daily, weekdays=weekdays(20))

    assert isinstance(judged, DayJudged)
    assert judged.stands_out
    assert judged.low <= judged.expected <= judged.high < 300.0


def test_a_weekend_is_compared_with_weekends() -> None:
    """A working day's spend on a Sunday stands out, and a Sunday's does not."""
    days = weekdays(35)
    daily = np.where(days < 5, 100.0, 10.0)

    assert judge_day(100.0, 6, daily=daily, weekdays=days).stands_out  # type: ignore[union-attr]
    assert not judge_day(10.3, 6, daily=daily, weekdays=days).stands_out  # type: ignore[union-attr]


def test_a_few_percent_are_no_news() -> None:
    """Spend that never varies does not alarm at 5% more."""
    judged = judge_day(105.0, 0, daily=np.full(28, 100.0), weekdays=weekdays(28))

    assert isinstance(judged, DayJudged)
    assert not judged.stands_out


def test_false_alarms_are_rare() -> None:
    """Days like those before stand out less than one time in fifty."""
    rng = np.random.default_rng(5)
    found = sum(
        judge_day(float(days[-1]), 0, daily=days[:-1], weekdays=weekdays(42)).stands_out  # type: ignore[union-attr]
        for days in rng.normal(100, 10, (500, 43))
    )

    assert found / 500 < 0.02
