"""How the time to an answer changes with the model, measured on pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.savings.pairs import Pairs
from tierwise.savings.resample import resample_counts
from tierwise.savings.traffic import Floats

MIN_PAIRS = 60
"""Pairs from which on a 95th percentile is worth giving: three of them lie beyond it."""
MOST_PAIRS = 2000
"""The newest so many count."""


@dataclass(frozen=True, slots=True)
class LatencyChange:
    """Seconds to the complete answer, weak minus strong; negative is faster."""

    p50_change: Estimate
    p95_change: Estimate
    strong_p50_s: float
    strong_p95_s: float
    weak_p50_s: float
    weak_p95_s: float
    pairs: int


def latency_change(pairs: Pairs, *, seed: int, draws: int = 400, level: float = 0.95) -> LatencyChange | NotEnoughData:
    """The change at the median and at the 95th percentile, with bootstrap intervals over conversations.

    The newest 2,000 pairs count.
    """
    timed = pairs.distinct()
    timed = timed.take(np.isfinite(timed.strong_duration_s) & np.isfinite(timed.weak_duration_s))
    if len(timed) > MOST_PAIRS:
        timed = timed.take(np.sort(np.argsort(timed.start_ns, kind="stable")[-MOST_PAIRS:]))
    n = len(timed)
    if n < MIN_PAIRS:
        return NotEnoughData(n, MIN_PAIRS, "pairs with a duration on both sides")
    counts = resample_counts(timed.blocks, draws=draws, rng=np.random.default_rng(seed))
    weight = np.vstack([timed.weight, counts[:, timed.block] * timed.weight])
    strong = _quantiles(timed.strong_duration_s, weight)
    weak = _quantiles(timed.weak_duration_s, weight)
    tail = 0.5 * (1.0 - level)

    def change(place: int) -> Estimate:
        value = float(weak[0, place] - strong[0, place])
        low, high = np.quantile(weak[1:, place] - strong[1:, place], [tail, 1.0 - tail])
        return Estimate(
            value=value,
            low=min(float(low), value),
            high=max(float(high), value),
            confidence_level=level,
            n=n,
            effective_n=float(timed.blocks),
            method=f"percentile bootstrap over conversations, {draws:,} draws",
            unit="s",
        )

    return LatencyChange(
        p50_change=change(0),
        p95_change=change(1),
        strong_p50_s=float(strong[0, 0]),
        strong_p95_s=float(strong[0, 1]),
        weak_p50_s=float(weak[0, 0]),
        weak_p95_s=float(weak[0, 1]),
        pairs=n,
    )


def _quantiles(values: Floats, weight: Floats) -> Floats:
    """The weighted median and 95th percentile of `values`, shape (n,), for each row of `weight`, shape (draws, n)."""
    order = np.argsort(values)
    reached = weight[:, order].cumsum(axis=1)
    targets = reached[:, -1:] * np.array([0.5, 0.95])
    places = (reached[:, None, :] < targets[:, :, None]).sum(axis=2)
    return values[order][np.minimum(places, len(values) - 1)]
