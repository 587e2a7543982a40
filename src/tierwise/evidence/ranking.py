"""In which order slices are tested: set by the first pairs to arrive, and by nothing that comes later.

Whoever may look at any time must not let what they see choose what is tested. So an order of testing is set by the
conversations that came first, and the ones after them do the testing; an order once set never changes. New orders come
as evidence grows: epoch 1 ranks on the first 32 conversations, each further epoch on twice as many. No epoch ends when
the next begins. Epoch k goes on being tested at its own share 1 / (k (k + 1)) of the error, and as the shares add up
to 1, whatever any epoch has certified may be used, the best of them too.

Ranking on the earliest, not on a random part, costs least: a part set aside for ranking grows with the sample and never
tests, while here all later pairs test for an early epoch and still half of them or more for the latest but one. It also
asks less: pairs may depend on earlier ones, and ids of conversations need not keep from look to look.
`benchmarks/evidence_power.py --only portfolio` measures both.

The order is by how fast a slice gathers evidence for a floor of its own. A slice below its floor ends the test, so the
surest and largest come first, and those that could stop others come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Codes, Floats, grouped_sums
from tierwise.evidence.e_process import STAKES

Flags = npt.NDArray[np.bool_]

FIRST_RANKING = 32
"""Clusters that the first order is set by."""

_POOLED_PAIRS = 5.0


@dataclass(frozen=True, slots=True)
class Epoch:
    """One order of testing."""

    number: int
    """From 1."""
    alpha: float
    """The error its tests may make, over all looks and all policies of the order."""
    ranked_on: int
    """Clusters that set the order, the first to arrive."""
    order: tuple[int, ...]
    """Codes of the slices to test, the first one first."""
    seen: Flags
    """Which slices had pairs to be ranked on, shape (slices,)."""
    testing: Flags
    """Which pairs test, shape (n,): those of all other clusters."""


def epochs(
    slice_code: Codes,
    weak: Floats,
    strong: Floats,
    saved: Floats,
    *,
    slices: int,
    floor: float,
    rho: float,
    alpha: float,
    weight: Floats,
    max_weight: float | None,
    cluster: Codes,
) -> list[Epoch]:
    """All epochs that the pairs suffice for, the first one first; none below `FIRST_RANKING` clusters.

    An epoch ranks on the pairs up to the one with which the last of its clusters appears. Later pairs of these clusters
    neither rank nor test.

    Args:
        slice_code: shape (n,), 0 to slices - 1; all arrays are in order of arrival.
        weak, strong: shape (n,), scores in [0, 1].
        saved: shape (n,), what the weak answer cost less.
        floor, rho: what a slice keeps at least; without a floor, 0, all that save are tested, in the order in which
            they gather evidence for rho.
        alpha: of all epochs together.
        weight, max_weight: as in `certify`; the largest weight ranked on when None.
        cluster: shape (n,), numbered by first appearance.
    """
    _, first_pair = np.unique(cluster, return_index=True)
    found: list[Epoch] = []
    while (ranked_on := _ranked_on(len(found) + 1)) <= len(first_pair):
        number, rows = len(found) + 1, slice(0, int(first_pair[ranked_on - 1]) + 1)
        order = order_of_testing(
            slice_code[rows],
            weak[rows],
            strong[rows],
            saved[rows],
            weight=weight[rows] / (max_weight or weight[rows].max()),
            slices=slices,
            floor=floor,
            rho=rho,
        )
        found.append(
            Epoch(
                number=number,
                alpha=alpha / (number * (number + 1)),
                ranked_on=ranked_on,
                order=order,
                seen=np.bincount(slice_code[rows], minlength=slices) > 0,
                testing=cluster >= ranked_on,
            )
        )
    return found


def _ranked_on(number: int) -> int:
    """Clusters that set the order of an epoch."""
    return FIRST_RANKING * 2 ** (number - 1)


def next_ranking(clusters: int) -> int:
    """How many clusters set the next order when there are `clusters` now."""
    return next(at for at in map(_ranked_on, count(1)) if at > clusters)


def order_of_testing(
    slice_code: Codes,
    weak: Floats,
    strong: Floats,
    saved: Floats,
    *,
    weight: Floats,
    slices: int,
    floor: float,
    rho: float,
) -> tuple[int, ...]:
    """Slices in the order in which they can be expected to clear their floor; those that never would are left out.

    The arrays hold the pairs to rank on; `weight` is at most 1. The growth of a slice's evidence is drawn toward that
    of all pairs, as if a few of these were its own.
    """
    gains = weight * (weak / (floor or rho) - strong)
    growth = np.log1p(gains[:, None] * STAKES)
    total = np.zeros((slices, len(STAKES)))
    np.add.at(total, slice_code, growth)
    seen = np.bincount(slice_code, minlength=slices)
    rate = (total + _POOLED_PAIRS * growth.mean(axis=0)) / (seen + _POOLED_PAIRS)[:, None]
    speed = seen / len(slice_code) * rate.max(axis=1)
    wanted = grouped_sums(slice_code, weight * saved, slices) > 0.0
    if floor > 0.0:
        wanted &= speed > 0.0
    fastest_first = np.argsort(-speed, kind="stable")
    return tuple(int(code) for code in fastest_first[wanted[fastest_first]])
