"""Block-bootstrap intervals for means and ratios, resampling whole clusters."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import (
    Floats,
    cluster_codes,
    effective_size,
    grouped_sums,
    numbers,
    probability,
    same_length,
    weights,
)
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.quantiles import normal_cdf, normal_quantile

_MOST_BLOCKS = 4_000
_BATCH_CELLS = 2_000_000


def bootstrap_mean(
    values: npt.ArrayLike,
    *,
    cluster: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    unit: str = "",
) -> Estimate | NotEnoughData:
    """The (weighted) mean of `values` with a bootstrap interval over clusters; see `bootstrap_ratio`."""
    sample = numbers("values", values)
    return bootstrap_ratio(
        sample, np.ones(len(sample)), cluster=cluster, weight=weight, seed=seed, draws=draws, level=level, unit=unit
    )


def bootstrap_ratio(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    cluster: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    unit: str = "",
) -> Estimate | NotEnoughData:
    """sum(weight numerator) / sum(weight denominator) with a BCa bootstrap interval over clusters.

    Whole clusters are drawn with replacement, so that calls of one conversation may depend on each other. The interval
    is corrected for bias and skewness (BCa: Efron, "Better bootstrap confidence intervals", JASA 82, 1987), which costs
    and savings need. Above 4,000 clusters, clusters are first merged at random into 4,000 blocks: the interval stays
    right and the time bounded.

    Args:
        numerator: shape (n,).
        denominator: shape (n,), with a positive weighted sum in each cluster.
        cluster: shape (n,), ids; each row its own when None.
        weight: shape (n,), such as 1 / propensity; 1 when None.

    Returns: Estimate, or NotEnoughData when fewer than 30 equally weighted clusters would carry as much.
    """
    top, bottom = numbers("numerator", numerator), numbers("denominator", denominator)
    n = len(top)
    same_length(n, denominator=bottom)
    probability("level", level)
    row_weight = weights(weight, n)
    code, clusters = cluster_codes(cluster, n)
    tops = grouped_sums(code, row_weight * top, clusters)
    bottoms = grouped_sums(code, row_weight * bottom, clusters)
    if (bottoms <= 0.0).any():
        raise ValueError("denominator sums to 0 or less in a cluster; leave out clusters without any")
    effective_n = effective_size(grouped_sums(code, row_weight, clusters))
    if effective_n < ENOUGH:
        of = "independent clusters" if cluster is not None else "independent rows"
        return NotEnoughData(int(effective_n), ENOUGH, f"{of}, after weighting")
    rng = np.random.default_rng(seed)
    if clusters > _MOST_BLOCKS:
        block = rng.permutation(clusters) % _MOST_BLOCKS
        tops = grouped_sums(block, tops, _MOST_BLOCKS)
        bottoms = grouped_sums(block, bottoms, _MOST_BLOCKS)
    value = float(tops.sum() / bottoms.sum())
    resampled = _resampled_ratios(tops, bottoms, draws, rng)
    low, high = _bca(resampled, value, influence=tops - value * bottoms, level=level)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence_level=level,
        n=n,
        effective_n=effective_n,
        method=f"BCa bootstrap over {'rows' if cluster is None else 'clusters'}, {draws:,} draws",
        unit=unit,
    )


def _resampled_ratios(tops: Floats, bottoms: Floats, draws: int, rng: np.random.Generator) -> Floats:
    blocks = len(tops)
    ratios = np.empty(draws)
    batch = max(1, _BATCH_CELLS // blocks)
    for start in range(0, draws, batch):
        picked = rng.integers(blocks, size=(min(batch, draws - start), blocks))
        ratios[start : start + len(picked)] = tops[picked].sum(axis=1) / bottoms[picked].sum(axis=1)
    return ratios


def _bca(resampled: Floats, value: float, *, influence: Floats, level: float) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated percentiles; the acceleration comes from the influence of each block."""
    spread = float((influence**2).sum())
    if spread == 0.0:
        return value, value
    below = float((resampled < value).mean() + 0.5 * (resampled == value).mean())
    bias = normal_quantile(min(max(below, 0.5 / len(resampled)), 1 - 0.5 / len(resampled)))
    acceleration = float((influence**3).sum()) / (6 * spread**1.5)
    tail = 0.5 * (1 - level)
    shares: list[float] = []
    for z in (normal_quantile(tail), normal_quantile(1 - tail)):
        denominator = 1 - acceleration * (bias + z)
        shifted = bias + (bias + z) / denominator if denominator > 0 else math.copysign(math.inf, z)
        shares.append(normal_cdf(shifted))
    low, high = np.quantile(resampled, shares)
    return float(low), float(high)
