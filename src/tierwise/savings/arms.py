"""The difference between two arms of a rule, from calls that the rule itself drew at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.savings.resample import resample_counts, units_of
from tierwise.savings.traffic import Flags, Floats, Ints, row_groups

_CELL_CONVERSATIONS = 10
"""A stratum with fewer conversations than this in either arm is put together with others like it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of the kept calls minus mean of the treated ones."""

    estimate: Estimate | NotEnoughData
    treated_mean: float | None
    """Over the calls that count; None without any."""
    kept_mean: float | None
    """Weighted as the treated calls are spread over the strata."""
    n_treated: int
    """Calls that count."""
    n_kept: int
    left_out: int
    """Calls in strata where one arm is too small to compare."""


def arm_difference(
    values: Floats,
    *,
    treated: Flags,
    version: Ints,
    use_case: Ints,
    block: Ints,
    seed: int,
    unit: str,
    calls: Floats | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Difference:
    """Kept minus treated, within each policy version and use case, weighted by the treated calls of each.

    A rule's share changes with the policy version, and the traffic changes with time; so arms are only compared inside
    one version, where the draw alone decides who is treated. Use cases with few conversations in an arm are compared
    together. Nothing is adjusted for input tokens: the target counts tokens in its own way, and its answers are the
    input of the next turn, so they are not the same quantity in both arms.

    Args:
        values: shape (n,), finite; of a row of several calls, their sum.
        treated: shape (n,); the others were kept on the requested model.
        version, use_case, block: shape (n,), codes; conversations are drawn again for the interval.
        calls: shape (n,), how many calls a row stands for; one each when None.
    """
    stratum = strata_of(version, use_case, block, treated)
    counted = stratum >= 0
    calls = np.ones(len(values)) if calls is None else calls
    left_out = int(calls[~counted].sum())
    values, treated, block, stratum = values[counted], treated[counted], block[counted], stratum[counted]
    calls = calls[counted]
    n_treated, n_kept = int(calls[treated].sum()), int(calls[~treated].sum())
    known, block = np.unique(block, return_inverse=True)
    conversations = min(len(np.unique(block[treated])), len(np.unique(block[~treated])))
    if conversations < ENOUGH:
        side = "treated" if n_treated < n_kept else "kept on the requested model"
        why = f"conversations {side}, in use cases and policy versions with both arms"
        return Difference(NotEnoughData(conversations, ENOUGH, why), None, None, n_treated, n_kept, left_out)

    rng = np.random.default_rng(seed)
    strata = int(stratum.max()) + 1
    group, units = units_of(block, len(known), rng=rng)
    cell, cells = 4 * (group * strata + stratum) + 2 * treated, 4 * strata * units
    sums = np.bincount(cell, values, minlength=cells) + np.bincount(cell + 1, calls, minlength=cells)
    sums = sums.reshape(units, 4 * strata)
    treated_mean, kept_mean = _means(sums.sum(axis=0)[None, :], strata)
    drawn = np.subtract(*reversed(_means(resample_counts(units, draws=draws, rng=rng) @ sums, strata)))
    drawn = drawn[np.isfinite(drawn)]
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    value = float(kept_mean[0] - treated_mean[0])
    return Difference(
        estimate=Estimate(
            value=value,
            low=min(float(low), value),
            high=max(float(high), value),
            confidence_level=level,
            n=n_treated + n_kept,
            effective_n=float(conversations),
            method=(
                f"treated against kept calls within {strata} strata of policy version and use case, percentile "
                f"bootstrap over conversations, {draws:,} draws"
            ),
            unit=unit,
        ),
        treated_mean=float(treated_mean[0]),
        kept_mean=float(kept_mean[0]),
        n_treated=n_treated,
        n_kept=n_kept,
        left_out=left_out,
    )


def strata_of(version: Ints, use_case: Ints, block: Ints, treated: Flags) -> Ints:
    """A stratum per row, shape (n,); -1 where even the whole policy version has too few conversations in an arm."""
    stratum = np.full(len(version), -1, dtype=np.int64)
    count = 0
    for of_version in row_groups(version[:, None]):
        small: list[Ints] = []
        for at in row_groups(use_case[of_version][:, None]):
            rows = of_version[at]
            if _both_arms(rows, block, treated):
                stratum[rows] = count
                count += 1
            else:
                small.append(rows)
        together = np.concatenate([np.zeros(0, dtype=np.int64), *small])
        if len(together) and _both_arms(together, block, treated):
            stratum[together] = count
            count += 1
    return stratum


def _both_arms(rows: Ints, block: Ints, treated: Flags) -> bool:
    on_target = treated[rows]
    sizes = [len(np.unique(block[rows[side]])) for side in (on_target, ~on_target)]
    return min(sizes) >= _CELL_CONVERSATIONS


def _means(sums: Floats, strata: int) -> Sequence[Floats]:
    """Treated and kept mean of each draw, from sums and counts of shape (draws, 4 * strata)."""
    cells = sums.reshape(len(sums), strata, 2, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = cells[..., 0] / cells[..., 1]
    weight = cells[:, :, 1, 1] / cells[:, :, 1, 1].sum(axis=1, keepdims=True)
    kept, treated = (means * weight[:, :, None]).sum(axis=1).T
    return treated, kept
