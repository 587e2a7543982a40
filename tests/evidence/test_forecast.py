from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.forecast import DAYS_NEEDED, sum_to_end


def week_of(n: int) -> np.ndarray:
    return np.arange(n) % 7


def test_too_few_days_give_no_forecast() -> None:
    """Below two weeks there is no number."""
    found = sum_to_end(np.ones(13), week_of(13), so_far=5.0, remaining_weekday=[0], remaining_share=[1.0], seed=1)

    assert found == NotEnoughData(13, DAYS_NEEDED, "full days of spend")


def test_nothing_remaining_is_exact() -> None:
    """At the end of the period the sum is what is there."""
    found = sum_to_end(np.ones(30), week_of(30), so_far=42.0, remaining_weekday=[], remaining_share=[], seed=1)

    assert isinstance(found, Estimate)
    assert (found.low, found.value, found.high) == (42.0, 42.0, 42.0)


def test_constant_days_add_up() -> None:
    """Days that are all alike leave no doubt, and a part of a day counts in part."""
    found = sum_to_end(
        np.full(28, 3.0), week_of(28), so_far=10.0, remaining_weekday=[0, 1], remaining_share=[0.5, 1.0], seed=1
    )

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(14.5)
    assert found.low == pytest.approx(found.high)


def test_weekdays_are_forecast_as_weekdays() -> None:
    """Where weekends cost nothing, a remaining weekend costs nothing."""
    days = week_of(56)
    spend = np.where(days < 5, 100.0, 0.0)

    found = sum_to_end(spend, days, so_far=0.0, remaining_weekday=[5, 6], remaining_share=[1.0, 1.0], seed=1)

    assert isinstance(found, Estimate)
    assert (found.value, found.high) == (0.0, 0.0)
    assert "weekdays" in found.method


def test_same_seed_same_forecast() -> None:
    """The draws are the caller's."""
    spend = np.random.default_rng(3).gamma(4.0, 10.0, 40)
    asked: dict[str, Any] = {"so_far": 0.0, "remaining_weekday": [1, 2, 3], "remaining_share": [1.0, 1.0, 1.0]}

    one, two = (sum_to_end(spend, week_of(40), seed=7, **asked) for _ in range(2))

    assert one == two


@pytest.mark.parametrize("weeks", [3, 6])
def test_interval_covers_what_comes(weeks: int) -> None:
    """In a world of independent days with a weekly pattern, about 95 of 100 intervals hold the sum that comes."""
    rng = np.random.default_rng(11)
    level = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.4, 0.3])
    covered, rounds = 0, 400
    for number in range(rounds):
        days = week_of(7 * weeks + 14)
        spend = level[days] * rng.gamma(8.0, 10.0, len(days))
        seen, coming = spend[: 7 * weeks], spend[7 * weeks :]
        found = sum_to_end(
            seen,
            days[: 7 * weeks],
            so_far=0.0,
            remaining_weekday=days[7 * weeks :],
            remaining_share=np.ones(14),
            seed=number,
            draws=500,
        )
        assert isinstance(found, Estimate)
        covered += found.low <= coming.sum() <= found.high

    assert 0.91 <= covered / rounds <= 0.99
