from __future__ import annotations

import numpy as np

from tierwise.savings.resample import MOST_UNITS, interval, resample_counts, unit_sums, units_of


def test_few_conversations_are_their_own_units() -> None:
    """Up to the limit each block is drawn by itself."""
    block = np.array([0, 1, 1, 2])

    unit, units = units_of(block, 3, rng=np.random.default_rng(1))

    assert unit.tolist() == block.tolist()
    assert units == 3


def test_many_conversations_are_dealt_into_units_of_one_size() -> None:
    """Above the limit conversations are put together at random, whole and evenly."""
    block = np.repeat(np.arange(5 * MOST_UNITS), 2)

    unit, units = units_of(block, 5 * MOST_UNITS, rng=np.random.default_rng(1))

    assert units == MOST_UNITS
    assert set(np.bincount(unit).tolist()) == {10}
    assert (unit[::2] == unit[1::2]).all()


def test_sums_by_unit() -> None:
    """Values add up over their unit, column by column."""
    sums = unit_sums(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), np.array([1, 1, 0]), 2)

    assert sums.tolist() == [[3.0, 30.0], [3.0, 30.0]]


def test_each_draw_has_as_many_units_as_there_are() -> None:
    """Draws are with replacement and of the same size as the sample."""
    counts = resample_counts(7, draws=50, rng=np.random.default_rng(1))

    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.max() > 1


def test_the_interval_holds_the_value() -> None:
    """A value outside what was drawn still lies within its interval."""
    estimate = interval(5.0, np.array([1.0, 2.0, 3.0]), level=0.95, n=3, units=3, unit="USD")

    assert estimate.low <= estimate.value <= estimate.high
