"""The block bootstrap: whole conversations are drawn again, because the calls inside one depend on each other."""

from __future__ import annotations

import numpy as np

from tierwise.evidence.estimate import Estimate
from tierwise.savings.traffic import Floats, Ints

MOST_UNITS = 1000
"""More conversations than this are first dealt at random into this many groups of equal size, and the groups are drawn
again: a sum over a group of independent conversations is as good a unit, and the work stays the same at any volume."""


def units_of(block: Ints, blocks: int, *, rng: np.random.Generator) -> tuple[Ints, int]:
    """The unit of each row, shape (n,), and how many units there are, from the block of each row."""
    if blocks <= MOST_UNITS:
        return block, blocks
    return (rng.permutation(blocks) % MOST_UNITS)[block], MOST_UNITS


def unit_sums(values: Floats, unit: Ints, units: int) -> Floats:
    """Sums of `values`, shape (n, k), over each unit, shape (units, k)."""
    sums = [np.bincount(unit, column, minlength=units).astype(np.float64) for column in values.T]
    return np.stack(sums, axis=1)


def resample_counts(units: int, *, draws: int, rng: np.random.Generator) -> Floats:
    """How often each of `units` is drawn with replacement, shape (draws, units)."""
    if not units:
        return np.zeros((draws, 0))
    # Counting places is several times faster than drawing from the multinomial distribution, and the same thing.
    drawn = rng.integers(units, size=(draws, units), dtype=np.int64)
    drawn += (np.arange(draws) * units)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


def interval(value: float, drawn: Floats, *, level: float, n: int, units: float, unit: str) -> Estimate:
    """`value` between the percentiles of what was `drawn`, shape (draws,)."""
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return Estimate(
        value=value,
        low=min(float(low), value),
        high=max(float(high), value),
        confidence_level=level,
        n=n,
        effective_n=float(units),
        method=f"percentile bootstrap over conversations and pairs, {len(drawn):,} draws",
        unit=unit,
    )
