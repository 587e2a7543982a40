"""Which slices of the traffic may move to the cheaper model together, chosen and certified on separate pairs.

Certifying each slice alone takes more pairs than most slices have; certifying whatever looks good afterwards proves
nothing. So the first pairs to arrive set an order of the slices (see `ranking`), and the later ones test the policies
"move the first slice", "move the first two", ... in that order until one fails (fixed-sequence testing: each at the
full level, as a later one is tested only when all before it were certified). As the order is fixed before its test
begins and the test is an e-process, one may look after every pair. A policy is judged on all traffic: a pair of a slice
that stays counts as strong against strong.

The whole can hide a weak member, so each member must also clear a floor of its own, on all pairs of the slice. Those
are partly the pairs of the test, so a floor may not choose which policy is tested: the order ends at the first slice
that does not clear its floor, certified or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import (
    Codes,
    Floats,
    cluster_codes,
    grouped_sums,
    numbers,
    probability,
    same_length,
    scores,
    weights,
)
from tierwise.evidence.bootstrap import bootstrap_ratio
from tierwise.evidence.e_process import log_e_value
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.ranking import FIRST_RANKING, Epoch, Flags, epochs, next_ranking
from tierwise.evidence.retention import Certificate, certify

_OUTRIGHT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Outright:
    """What moving all traffic to the cheaper model would do; often the better advice, so it is always worked out."""

    certificate: Certificate
    """Of always using the weak model, on all pairs: nothing was selected."""
    saving: Estimate | NotEnoughData
    """Share of the strong model's cost."""
    weak_members: tuple[str, ...]
    """Slices whose upper bound is below rho: moving them loses quality for sure, even if the whole is certified."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The largest certified policy, and why each other slice is not in it."""

    members: tuple[str, ...]
    """Slices to move, in the order in which they were tested."""
    rejected: dict[str, str]
    """The reason for each slice that stays."""
    retention: Certificate | None
    """Of the policy, over all traffic, on the pairs that test it, at its epoch's share of alpha; None when nothing
    moves."""
    saving: Estimate | NotEnoughData
    """Share of the strong model's cost that the policy saves, on the same pairs."""
    n: int
    """Pairs behind `retention` and `saving`."""
    epoch: int | None
    """Which order of testing certified the policy, from 1; None when nothing moves."""
    certificates: dict[str, Certificate]
    """Each slice's own certificate, on all of its pairs; its bounds are what the floor is checked against."""
    outright: Outright

    @property
    def e_value(self) -> float:
        """Evidence for the policy; 1, no evidence, when nothing moves."""
        return 1.0 if self.retention is None else self.retention.e_value

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "members": list(self.members),
            "rejected": dict(self.rejected),
            "e_value": self.e_value,
            "retention": None if self.retention is None else self.retention.to_dict(),
            "saving": self.saving.to_dict(),
            "n": self.n,
            "epoch": self.epoch,
            "certificates": {name: certificate.to_dict() for name, certificate in self.certificates.items()},
            "outright": {
                "certificate": self.outright.certificate.to_dict(),
                "saving": self.outright.saving.to_dict(),
                "weak_members": list(self.outright.weak_members),
            },
        }


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The checked input, one row a pair in order of arrival, slices and clusters as codes."""

    slice_code: Codes
    weak: Floats
    strong: Floats
    weak_cost: Floats
    strong_cost: Floats
    weight: Floats
    max_weight: float
    cluster: Codes
    clusters: int

    def certify(self, rows: Flags, score: Floats, rho: float, alpha: float) -> Certificate:
        """The certificate of the policy that scores `score`, shape (n,), on the pairs in `rows`."""
        return certify(
            score[rows],
            self.strong[rows],
            rho=rho,
            alpha=alpha,
            weight=self.weight[rows],
            max_weight=self.max_weight,
            cluster=self.cluster[rows],
        )

    def saving(self, rows: Flags, moved: Flags, *, seed: int, draws: int) -> Estimate | NotEnoughData:
        """Share of the strong model's cost saved by moving the pairs in `moved`, on the pairs in `rows`."""
        saved = np.where(moved, self.strong_cost - self.weak_cost, 0.0)[rows]
        return bootstrap_ratio(
            saved,
            self.strong_cost[rows],
            cluster=self.cluster[rows],
            weight=self.weight[rows],
            seed=seed,
            draws=draws,
            unit="share",
        )


def select(
    slices: Sequence[str] | npt.NDArray[np.generic],
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    weak_cost: npt.ArrayLike,
    strong_cost: npt.ArrayLike,
    *,
    rho: float = 0.95,
    alpha: float = 0.05,
    floor: float = 0.85,
    seed: int,
    draws: int = 2000,
    weight: npt.ArrayLike | None = None,
    max_weight: float | None = None,
    cluster: npt.ArrayLike | None = None,
) -> Selection:
    """Choose the slices to move so that the whole keeps `rho` of the quality and each member at least `floor`.

    Meant to be called again whenever pairs have arrived, with all pairs so far: the promise is for all calls together.

    Args:
        slices: the slice each pair belongs to, such as its predicted task type; this and all arrays are in order of
            arrival, so that later calls add to their end. Pairs put in between, such as those that a person scores
            late, can change an order of testing after the fact.
        weak, strong: shape (n,), scores in [0, 1].
        weak_cost, strong_cost: shape (n,), what each answer cost; the strong one above 0, in any one currency.
        alpha: the chance that what is certified does not keep `rho`, over all looks: four fifths for the policy, one
            fifth for moving all traffic outright, so that the reader may take either. Members' bounds each hold with
            1 - alpha.
        floor: each member's lower bound is at least this and its upper bound at least rho; 0 leaves the second only.
        seed, draws: of the savings' bootstrap.
        weight, max_weight, cluster: as in `certify`. Give `max_weight` when propensities differ: the largest weight so
            far, taken when None, scales earlier bets anew whenever it grows. Clusters are never split between ranking
            and testing. One that grows between two looks counts with its mean so far.

    Raises: ValueError as `certify` does, and for a cost that is negative or, for the strong model, 0.
    """
    names, pairs = _checked(slices, weak, strong, weak_cost, strong_cost, weight, max_weight, cluster)
    probability("alpha", alpha)
    everywhere = np.ones(len(pairs.weak), dtype=bool)
    own = [pairs.certify(pairs.slice_code == code, pairs.weak, rho, alpha) for code in range(len(names))]
    saved = grouped_sums(pairs.slice_code, pairs.weight * (pairs.strong_cost - pairs.weak_cost), len(names))
    may_move = [
        certificate.low >= floor and certificate.high >= rho and certificate.n >= ENOUGH and bool(worth > 0.0)
        for certificate, worth in zip(own, saved, strict=True)
    ]
    orders = epochs(
        pairs.slice_code,
        pairs.weak,
        pairs.strong,
        pairs.strong_cost - pairs.weak_cost,
        slices=len(names),
        floor=floor,
        rho=rho,
        alpha=alpha * (1 - _OUTRIGHT_SHARE),
        weight=pairs.weight,
        max_weight=max_weight,
        cluster=pairs.cluster,
    )
    tested = [(epoch, *_certified(pairs, epoch, may_move, rho)) for epoch in orders]
    # All of them hold together, so the one that saves most may be taken; at a tie, the first tests on the most pairs.
    epoch, members, failed = max(tested, key=lambda test: saved[test[1]].sum(), default=(None, [], None))

    moved = np.isin(pairs.slice_code, members)
    policy = np.where(moved, pairs.weak, pairs.strong)
    rejected: dict[str, str] = {}
    if epoch is not None and failed is not None:
        attempt = np.where(pairs.slice_code == failed, pairs.weak, policy)
        certificate = pairs.certify(epoch.testing, attempt, rho, epoch.alpha)
        rejected[names[failed]] = f"the policy with it is not certified: {certificate.describe()}"
    for code, name in enumerate(names):
        if code not in members and name not in rejected:
            rejected[name] = _why_not(pairs, code, own[code], saves=bool(saved[code] > 0.0), orders=orders, floor=floor)
    testing = ~everywhere if epoch is None else epoch.testing
    return Selection(
        members=tuple(names[code] for code in members),
        rejected=rejected,
        retention=pairs.certify(testing, policy, rho, epoch.alpha) if epoch is not None and members else None,
        saving=pairs.saving(testing, moved, seed=seed, draws=draws),
        n=int(testing.sum()),
        epoch=epoch.number if epoch is not None and members else None,
        certificates=dict(zip(names, own, strict=True)),
        outright=Outright(
            certificate=pairs.certify(everywhere, pairs.weak, rho, alpha * _OUTRIGHT_SHARE),
            saving=pairs.saving(everywhere, everywhere, seed=seed, draws=draws),
            weak_members=tuple(name for name, certificate in zip(names, own, strict=True) if certificate.high < rho),
        ),
    )


def _checked(
    slices: Sequence[str] | npt.NDArray[np.generic],
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    weak_cost: npt.ArrayLike,
    strong_cost: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    max_weight: float | None,
    cluster: npt.ArrayLike | None,
) -> tuple[list[str], _Pairs]:
    labels = np.asarray(slices, dtype=str)
    n = len(labels)
    weak_scores, strong_scores = scores("weak", weak), scores("strong", strong)
    weak_costs, strong_costs = numbers("weak_cost", weak_cost), numbers("strong_cost", strong_cost)
    same_length(n, weak=weak_scores, strong=strong_scores, weak_cost=weak_costs, strong_cost=strong_costs)
    if (weak_costs < 0.0).any():
        raise ValueError(f"weak_cost is {weak_costs.min()} at position {weak_costs.argmin()}; a cost is 0 or more")
    if (strong_costs <= 0.0).any():
        raise ValueError(
            f"strong_cost is {strong_costs.min()} at position {strong_costs.argmin()}; leave out free pairs"
        )
    sampling_weight = weights(weight, n)
    names, slice_code = np.unique(labels, return_inverse=True)
    cluster_code, clusters = cluster_codes(cluster, n)
    return [str(name) for name in names], _Pairs(
        slice_code=slice_code,
        weak=weak_scores,
        strong=strong_scores,
        weak_cost=weak_costs,
        strong_cost=strong_costs,
        weight=sampling_weight,
        max_weight=float(sampling_weight.max(initial=1.0)) if max_weight is None else max_weight,
        cluster=cluster_code,
        clusters=clusters,
    )


def _certified(pairs: _Pairs, epoch: Epoch, may_move: Sequence[bool], rho: float) -> tuple[list[int], int | None]:
    """The longest certified beginning of an epoch's order, and the slice whose test ended it, if a test did.

    The gains are those of `certify`; a slice moved after others changes them in its own pairs only.
    """
    _, code, size = np.unique(pairs.cluster[epoch.testing], return_inverse=True, return_counts=True)
    unit_share = (pairs.weight / pairs.max_weight)[epoch.testing] / size[code]
    weak, strong, slice_code = pairs.weak[epoch.testing], pairs.strong[epoch.testing], pairs.slice_code[epoch.testing]
    gains = grouped_sums(code, unit_share * (strong / rho - strong), len(size))
    members: list[int] = []
    for candidate in epoch.order:
        if not may_move[candidate]:
            break
        change = np.where(slice_code == candidate, unit_share * (weak - strong) / rho, 0.0)
        gains = gains + grouped_sums(code, change, len(size))
        if log_e_value(gains) < -np.log(epoch.alpha):
            return members, candidate
        members.append(candidate)
    return members, None


def _why_not(pairs: _Pairs, code: int, own: Certificate, *, saves: bool, orders: Sequence[Epoch], floor: float) -> str:
    if not saves:
        return "the cheaper model costs no less here"
    if own.high < own.rho:
        return f"too weak: {own.describe()}"
    until_next = f"{next_ranking(pairs.clusters) - pairs.clusters:,} more conversations"
    if not orders:
        return f"not tested yet: the first {FIRST_RANKING} conversations are ranked on, which takes {until_next}"
    if not orders[-1].seen[code]:
        return (
            f"not tested yet: it appeared after the {orders[-1].ranked_on:,} conversations that were ranked on; "
            f"the next ranking takes {until_next}"
        )
    if own.low < floor:
        to_floor = pairs.certify(pairs.slice_code == code, pairs.weak, floor, own.alpha).pairs_needed
        if to_floor is None:
            return f"below its floor of {floor:.0%} and not on the way there: {own.describe()}"
        return f"too few pairs: {own.n:,}, about {to_floor:,} more to clear its floor of {floor:.0%}"
    if own.n < ENOUGH:
        return f"too few pairs: {own.n:,} of the {ENOUGH} that its bounds take"
    return "not tested: the order ended before it, or it ranked too low to be tried; more pairs can change that"
