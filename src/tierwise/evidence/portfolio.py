"""Which slices of the traffic may move to the cheaper model together, chosen and certified on separate pairs.

Certifying each slice alone takes more pairs than most slices have; certifying whatever looks good afterwards proves
nothing. So the pairs are split at random. On the first part the slices are ranked. On the second, the policies "move
the first slice", "move the first two", ... are tested in that order until one fails (fixed-sequence testing: each at
the full level, as a later one is tested only when all before it were certified). A policy is judged on all traffic: a
pair of a slice that stays counts as strong against strong.

The whole can hide a weak member, so each member must also clear a floor of its own, on all pairs of the slice. Those
are partly the pairs of the test, so a floor may only choose among policies already certified. Two things keep that
choice wide. A slice that is likely to clear its floor is tested as moved; should it fail after all, the sequence ends
there. A slice that may or may not clear it is tested at the worse of its two answers, min(weak, strong), pair by pair:
a policy certified like that is certified with the slice and without it.
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
from tierwise.evidence.e_process import STAKES, log_mixture
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate, certify

_RANKING_SHARE = 0.35
_OUTRIGHT_SHARE = 0.2
_POOLED_PAIRS = 5.0
_LIKELY, _POSSIBLE = 2.0, 0.3
"""Forecast evidence that a slice clears its floor, in units of what that takes: tested as moved; tested at all."""


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
    """Slices to move, in the order in which they were added."""
    rejected: dict[str, str]
    """The reason for each slice that stays."""
    retention: Certificate | None
    """Of the policy, over all traffic, on the pairs not used for ranking; None when nothing moves."""
    saving: Estimate | NotEnoughData
    """Share of the strong model's cost that the policy saves, on the pairs not used for ranking."""
    n: int
    """Pairs behind `retention` and `saving`."""
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
            "certificates": {name: certificate.to_dict() for name, certificate in self.certificates.items()},
            "outright": {
                "certificate": self.outright.certificate.to_dict(),
                "saving": self.outright.saving.to_dict(),
                "weak_members": list(self.outright.weak_members),
            },
        }


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The checked input, one row a pair, slices as codes."""

    slice_code: Codes
    weak: Floats
    strong: Floats
    weak_cost: Floats
    strong_cost: Floats
    weight: Floats
    max_weight: float
    cluster: Codes

    def certify(self, rows: npt.NDArray[np.bool_], score: Floats, rho: float, alpha: float) -> Certificate:
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

    def saving(self, rows: npt.NDArray[np.bool_], moved: npt.NDArray[np.bool_], seed: int) -> Estimate | NotEnoughData:
        """Share of the strong model's cost saved by moving the pairs in `moved`, on the pairs in `rows`."""
        saved = np.where(moved, self.strong_cost - self.weak_cost, 0.0)[rows]
        return bootstrap_ratio(
            saved,
            self.strong_cost[rows],
            cluster=self.cluster[rows],
            weight=self.weight[rows],
            seed=seed,
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
    weight: npt.ArrayLike | None = None,
    max_weight: float | None = None,
    cluster: npt.ArrayLike | None = None,
) -> Selection:
    """Choose the slices to move so that the whole keeps `rho` of the quality and each member at least `floor`.

    Args:
        slices: the slice each pair belongs to, such as its predicted task type.
        weak, strong: shape (n,), scores in [0, 1].
        weak_cost, strong_cost: shape (n,), what each answer cost; the strong one above 0, in any one currency.
        alpha: the chance that what is certified does not keep `rho`: four fifths for the policy, one fifth for moving
            all traffic outright, so that the reader may take either. Members' bounds each hold with 1 - alpha.
        floor: each member's lower bound is at least this and its upper bound at least rho; 0 leaves the second only.
        seed: of the split and of the bootstrap.
        weight, max_weight, cluster: as in `certify`; clusters are never split between ranking and testing.

    Raises: ValueError as `certify` does, and for a cost that is negative or, for the strong model, 0.
    """
    names, pairs = _checked(slices, weak, strong, weak_cost, strong_cost, weight, max_weight, cluster)
    probability("alpha", alpha)
    everywhere = np.ones(len(pairs.weak), dtype=bool)
    in_slice = [pairs.slice_code == code for code in range(len(names))]
    own = [pairs.certify(rows, pairs.weak, rho, alpha) for rows in in_slice]
    clears_floor = [certificate.low >= floor and certificate.high >= rho for certificate in own]

    ranking = _ranking_part(pairs, seed)
    testing = ~ranking
    members: list[int] = []
    rejected: dict[str, str] = {}
    policy_alpha = alpha * (1 - _OUTRIGHT_SHARE)
    certified = pairs.strong
    for code, likely in _ranked(pairs, ranking, floor=floor, alpha=alpha):
        moved_score = pairs.weak if likely else np.minimum(pairs.weak, pairs.strong)
        policy = np.where(in_slice[code], moved_score, certified)
        attempt = pairs.certify(testing, policy, rho, policy_alpha)
        if not attempt.certified:
            rejected[names[code]] = f"the policy with it is not certified: {attempt.describe()}"
            break
        if clears_floor[code]:
            members.append(code)
        elif likely:
            break
        certified = policy

    moved = np.isin(pairs.slice_code, members)
    # At least as good in every pair as the policy that was certified, so certified as well.
    policy = np.where(moved, pairs.weak, pairs.strong)
    for code, name in enumerate(names):
        if code not in members and name not in rejected:
            rejected[name] = _why_not(pairs, in_slice[code], own[code], clears_floor[code], floor=floor)
    return Selection(
        members=tuple(names[code] for code in members),
        rejected=rejected,
        retention=pairs.certify(testing, policy, rho, policy_alpha) if members else None,
        saving=pairs.saving(testing, moved, seed),
        n=int(testing.sum()),
        certificates=dict(zip(names, own, strict=True)),
        outright=Outright(
            certificate=pairs.certify(everywhere, pairs.weak, rho, alpha * _OUTRIGHT_SHARE),
            saving=pairs.saving(everywhere, everywhere, seed),
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
    return [str(name) for name in names], _Pairs(
        slice_code=slice_code,
        weak=weak_scores,
        strong=strong_scores,
        weak_cost=weak_costs,
        strong_cost=strong_costs,
        weight=sampling_weight,
        max_weight=float(sampling_weight.max(initial=1.0)) if max_weight is None else max_weight,
        cluster=cluster_codes(cluster, n)[0],
    )


def _ranking_part(pairs: _Pairs, seed: int) -> npt.NDArray[np.bool_]:
    """The pairs to rank on: a random share of the clusters."""
    clusters = int(pairs.cluster.max(initial=-1)) + 1
    chosen = np.random.default_rng(seed).permutation(clusters) < _RANKING_SHARE * clusters
    return chosen[pairs.cluster]


def _ranked(pairs: _Pairs, ranking: npt.NDArray[np.bool_], *, floor: float, alpha: float) -> list[tuple[int, bool]]:
    """Slices worth testing in the order of testing, each with whether it is likely to clear its floor.

    Judged by the scores and costs of the ranking part, and by how many pairs a slice has in all. The likely ones come
    first, by quality lost per unit of cost saved; then the possible ones, surest first.
    """
    weight = pairs.weight[ranking] / pairs.max_weight
    weak, strong, here = pairs.weak[ranking], pairs.strong[ranking], pairs.slice_code[ranking]
    pairs_in_slice = np.bincount(pairs.slice_code)
    codes = len(pairs_in_slice)
    forecast = np.full(codes, np.inf)
    if floor > 0.0:
        forecast = _forecast_log_e(weight * (weak / floor - strong), here, pairs_in_slice) / -np.log(alpha)
    lost = grouped_sums(here, weight * (strong - weak), codes)
    saved = grouped_sums(here, weight * (pairs.strong_cost - pairs.weak_cost)[ranking], codes)
    worth_it = saved > 0.0
    likely = worth_it & (forecast >= _LIKELY)
    possible = worth_it & (forecast >= _POSSIBLE) & ~likely
    by_price = np.argsort(lost / np.where(worth_it, saved, np.inf), kind="stable")
    by_forecast = np.argsort(-forecast, kind="stable")
    return [
        *((int(code), True) for code in by_price[likely[by_price]]),
        *((int(code), False) for code in by_forecast[possible[by_forecast]]),
    ]


def _forecast_log_e(gains: Floats, slice_code: Codes, pairs_in_slice: npt.NDArray[np.intp]) -> Floats:
    """The log e-value each slice can be expected to reach with all of its pairs, shape (slices,).

    The growth seen in a slice is drawn toward that of all slices, as if some of their pairs were its own.

    Args:
        gains: shape (n,), of the pairs seen, in the slices of `slice_code`.
        pairs_in_slice: shape (slices,), pairs seen or not.
    """
    growth = np.log1p(gains[:, None] * STAKES)
    total = np.zeros((len(pairs_in_slice), len(STAKES)))
    np.add.at(total, slice_code, growth)
    seen = np.bincount(slice_code, minlength=len(pairs_in_slice))[:, None]
    pooled = growth.mean(axis=0) if len(growth) else np.zeros(len(STAKES))
    rate = (total + _POOLED_PAIRS * pooled) / (seen + _POOLED_PAIRS)
    return log_mixture(pairs_in_slice[:, None] * rate)


def _why_not(pairs: _Pairs, rows: npt.NDArray[np.bool_], own: Certificate, clears_floor: bool, *, floor: float) -> str:
    if float((pairs.weight * (pairs.strong_cost - pairs.weak_cost))[rows].sum()) <= 0.0:
        return "the cheaper model costs no less here"
    if own.high < own.rho:
        return f"too weak: {own.describe()}"
    if clears_floor:
        return "not tested: the sequence ended before it, or it ranked too low to be tried; more pairs can change that"
    to_floor = pairs.certify(rows, pairs.weak, floor, own.alpha).pairs_needed
    if to_floor is None:
        return f"below its floor of {floor:.0%} and not on the way there: {own.describe()}"
    return f"too few pairs: {own.n:,}, about {to_floor:,} more to clear its floor of {floor:.0%}"
