"""Which slices of the traffic may move to a cheaper model together, chosen and certified on separate pairs.

Certifying each slice alone takes more pairs than most slices have; certifying whatever looks good afterwards proves
nothing. So the first pairs to arrive set a path of policies, each moving one slice a step further (see `ranking`), and
the later ones test them in that order until one fails (fixed-sequence testing: each at the full level, as a later one
is tested only when all before it were certified). As the path is fixed before its test begins and the test is an
e-process, one may look after every pair. A policy is judged on all traffic: a pair of a slice that stays counts as
strong against strong, and one of a slice of which a share moves as that mixture of both.

The whole can hide a weak member, so each use case must keep a floor of its own, the share of its calls that stays
included: with a lower bound of 70% on the weak model's retention, half of the calls may move before a floor of 85% is
in doubt. A member with few pairs so moves in part, and the more of it the more pairs come in. What the floor allows is
read from all pairs, those of the test among them, and may not choose what is tested. So the test counts whatever moves
beyond what the ranking pairs already allowed at its worst: in full or taken back, whichever has less evidence for it
(see `policy_test`). Who surely keeps less than the floor even on the calls that move takes no part at all.
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
from tierwise.evidence.e_process import LOG_STAKE_SHARES, ratio_lower_bound
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.policy_test import PolicyGains, certified_steps
from tierwise.evidence.ranking import FIRST_RANKING, Epoch, Flags, epochs, next_ranking
from tierwise.evidence.retention import Certificate, certify, share_of_largest

_OUTRIGHT_ALPHA = 0.09
_TOO_WEAK_ALPHA = 0.01
"""Of all upper bounds together that a member is left out for; see `_too_weak`."""

IN_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
"""Shares for whoever can move a part of a slice's calls, drawn at random and for good."""


@dataclass(frozen=True, slots=True)
class Outright:
    """What moving all traffic to the cheaper model would do; often the better advice, so it is always worked out."""

    certificate: Certificate
    """Of always using the weak model, on all pairs: nothing was selected."""
    saving: Estimate | NotEnoughData
    """Share of the strong model's cost."""
    weak_members: tuple[str, ...]
    """Slices whose upper bound is below rho: they lose more than the whole may, for sure."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The certified policy that saves most, and why each other slice is not in it."""

    members: tuple[str, ...]
    """Slices to move, in the order in which they were tested."""
    shares: dict[str, float]
    """The share of each member's calls that moves, in (0, 1]."""
    candidates: dict[str, str]
    """The model each member moves to; empty when the pairs name no candidates."""
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
    """Which path certified the policy: 0 for all slices alike, from 1 for a ranking; None when nothing moves."""
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
            "shares": dict(self.shares),
            "candidates": dict(self.candidates),
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

    arm: Codes
    """Of the slice and the candidate together: each is an arm of its own."""
    weak: Floats
    strong: Floats
    weak_cost: Floats
    strong_cost: Floats
    weight: Floats
    """In (0, 1]: the pair's weight as a share of the largest that its design allows."""
    cluster: Codes
    clusters: int

    def certify(
        self, rows: Flags, score: Floats, rho: float, alpha: float, log_shares: Floats = LOG_STAKE_SHARES
    ) -> Certificate:
        """The certificate of the policy that scores `score`, shape (n,), on the pairs in `rows`."""
        return certify(
            score[rows],
            self.strong[rows],
            rho=rho,
            alpha=alpha,
            weight=self.weight[rows],
            max_weight=1.0,
            cluster=self.cluster[rows],
            log_shares=log_shares,
        )

    def low(self, rows: Codes, alpha: float, *, inverse: bool = False) -> float:
        """The lower bound of `certify` on the pairs at `rows`, without the rest of the certificate; `inverse`: of the
        strong model's score over the weak one's."""
        _, unit, size = np.unique(self.cluster[rows], return_inverse=True, return_counts=True)
        share = self.weight[rows] / size[unit]
        weak, strong = (grouped_sums(unit, share * it[rows], len(size)) for it in (self.weak, self.strong))
        return ratio_lower_bound(strong, weak, alpha) if inverse else ratio_lower_bound(weak, strong, alpha)

    def score(self, share: Floats) -> Floats:
        """The expected score of each pair when `share`, shape (arms,), of the arms' calls move."""
        return self.strong + share[self.arm] * (self.weak - self.strong)

    def saving(self, rows: Flags, share: Floats, *, seed: int, draws: int) -> Estimate | NotEnoughData:
        """Share of the strong model's cost saved by moving `share` of the slices' calls, on the pairs in `rows`."""
        saved = share[self.arm] * (self.strong_cost - self.weak_cost)
        return bootstrap_ratio(
            saved[rows],
            self.strong_cost[rows],
            cluster=self.cluster[rows],
            weight=self.weight[rows],
            seed=seed,
            draws=draws,
            unit="share",
        )


@dataclass(frozen=True, slots=True)
class _Arms:
    """A slice and a candidate each."""

    slices: list[str]
    slice_code: Codes
    """Shape (arms,)."""
    candidates: list[str] | None
    """The candidate of each arm; None without candidates."""

    def __len__(self) -> int:
        return len(self.slice_code)


@dataclass(frozen=True, slots=True)
class _Tested:
    """What an epoch certifies."""

    epoch: Epoch
    steps: int
    share: Floats
    """Of each arm's calls that may move, after the floor, shape (arms,)."""


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
    shares: Sequence[float] = (1.0,),
    seed: int,
    draws: int = 2000,
    weight: npt.ArrayLike | None = None,
    max_weight: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    candidate: Sequence[str] | npt.NDArray[np.generic] | None = None,
) -> Selection:
    """Choose what to move so that the whole keeps `rho` of the quality and each use case at least `floor`.

    Meant to be called again whenever pairs have arrived, with all pairs so far: the promise is for all calls together.

    Args:
        slices: the slice each pair belongs to, such as its predicted task type; this and all arrays are in order of
            arrival, so that later calls add to their end. Pairs put in between, such as those that a person scores
            late, can change a path of testing after the fact.
        weak, strong: shape (n,), scores in [0, 1].
        weak_cost, strong_cost: shape (n,), what each answer cost; the strong one above 0, in any one currency.
        alpha: the chance that what is certified does not keep `rho`, over all looks: nine tenths for the policy, the
            rest for moving all traffic outright, so that the reader may take either, and for leaving out who is too
            weak. Members' bounds each hold with 1 - alpha.
        floor: what each use case keeps at least, in [0, 1), the calls that stay included; 0 promises nothing.
        shares: the shares of a slice's calls that can be moved, ascending up to 1, such as `IN_TENTHS`. A share must be
            a random part of the calls, which is what a rule's `share` is.
        seed, draws: of the savings' bootstrap.
        weight, max_weight, cluster: as in `certify`. Give `max_weight` when propensities differ: the largest weight so
            far, taken when None, scales earlier bets anew whenever it grows. Clusters are never split between ranking
            and testing. One that grows between two looks counts with its mean so far.
        candidate: the cheaper model of each pair, when there are several a slice; each path picks one a slice on the
            pairs that it ranks on, and the others' pairs do not test it. `weight` then counts the draw of the candidate
            too. One candidate in all when None.

    Raises: ValueError as `certify` does, and for a cost that is negative or, for the strong model, 0.
    """
    probability("alpha", alpha)
    if not 0.0 <= floor < 1.0:
        raise ValueError(f"floor is {floor}; it is a share of quality from 0 to below 1, such as 0.85")
    steps = tuple(float(share) for share in shares)
    if not steps or steps[0] <= 0.0 or steps[-1] != 1.0 or list(steps) != sorted(set(steps)):
        raise ValueError(f"shares are {steps}; they ascend from above 0 to 1, such as (0.25, 0.5, 1.0)")
    arms, pairs = _checked(slices, candidate, weak, strong, weak_cost, strong_cost, weight, max_weight, cluster)
    own = [pairs.certify(pairs.arm == code, pairs.weak, rho, alpha) for code in range(len(arms))]
    found = epochs(
        pairs.arm,
        pairs.weak,
        pairs.strong,
        pairs.strong_cost - pairs.weak_cost,
        slice_of=arms.slice_code,
        shares=steps,
        rho=rho,
        alpha=alpha * (1 - _OUTRIGHT_ALPHA - _TOO_WEAK_ALPHA),
        floor=floor,
        weight=pairs.weight,
        cluster=pairs.cluster,
    )
    saved = grouped_sums(pairs.arm, pairs.weight * (pairs.strong_cost - pairs.weak_cost), len(arms))
    lows = np.array([certificate.low for certificate in own])
    tested = _test(pairs, found, lows, saved, steps, floor=floor, rho=rho, alpha=alpha)
    # All of them hold together, so the one that saves most may be taken; at a tie, the first tests on the most pairs.
    best = max(tested, key=lambda test: float(saved @ test.share), default=None)
    return _selection(arms, pairs, own, found, best, saved, floor=floor, rho=rho, alpha=alpha, seed=seed, draws=draws)


def _checked(
    slices: Sequence[str] | npt.NDArray[np.generic],
    candidate: Sequence[str] | npt.NDArray[np.generic] | None,
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    weak_cost: npt.ArrayLike,
    strong_cost: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    max_weight: npt.ArrayLike | None,
    cluster: npt.ArrayLike | None,
) -> tuple[_Arms, _Pairs]:
    labels = np.asarray(slices, dtype=str)
    n = len(labels)
    models = np.zeros(n, dtype=str) if candidate is None else np.asarray(candidate, dtype=str)
    weak_scores, strong_scores = scores("weak", weak), scores("strong", strong)
    weak_costs, strong_costs = numbers("weak_cost", weak_cost), numbers("strong_cost", strong_cost)
    same_length(n, weak=weak_scores, strong=strong_scores, weak_cost=weak_costs, strong_cost=strong_costs)
    same_length(n, candidate=models)
    if (weak_costs < 0.0).any():
        raise ValueError(f"weak_cost is {weak_costs.min()} at position {weak_costs.argmin()}; a cost is 0 or more")
    if (strong_costs <= 0.0).any():
        raise ValueError(
            f"strong_cost is {strong_costs.min()} at position {strong_costs.argmin()}; leave out free pairs"
        )
    names, slice_code = np.unique(labels, return_inverse=True)
    model_names, model = np.unique(models, return_inverse=True)
    arm_key, arm = np.unique(slice_code * max(len(model_names), 1) + model, return_inverse=True)
    of_slice, of_model = np.divmod(arm_key, max(len(model_names), 1))
    cluster_code, clusters = cluster_codes(cluster, n)
    arms = _Arms(
        slices=[str(name) for name in names],
        slice_code=of_slice.astype(np.intp),
        candidates=None if candidate is None else [str(model_names[code]) for code in of_model],
    )
    return arms, _Pairs(
        arm=arm.astype(np.intp),
        weak=weak_scores,
        strong=strong_scores,
        weak_cost=weak_costs,
        strong_cost=strong_costs,
        weight=share_of_largest(weights(weight, n), max_weight),
        cluster=cluster_code,
        clusters=clusters,
    )


def _test(
    pairs: _Pairs,
    found: Sequence[Epoch],
    lows: Floats,
    saved: Floats,
    steps: Sequence[float],
    *,
    floor: float,
    rho: float,
    alpha: float,
) -> list[_Tested]:
    """What each epoch certifies, with the members' shares as far as their floors allow.

    A floor that ranking pairs once cleared stays cleared: each bound holds at all looks together, so the best counts.
    """
    arms = len(lows)
    by_arm = np.split(np.argsort(pairs.arm, kind="stable"), np.cumsum(np.bincount(pairs.arm, minlength=arms))[:-1])
    firm: list[Floats] = []
    for epoch in found:
        # Nothing is known before a ranking, not even which arms cost less: all of it may be taken back.
        sure = np.zeros(arms)
        if epoch.number and floor > 0.0:
            seen = np.flatnonzero(epoch.seen)
            sure[seen] = [pairs.low(by_arm[code][epoch.ranking[by_arm[code]]], alpha) for code in seen]
            lows = np.maximum(lows, sure)
        firm.append(allowed_shares(sure, floor, steps) if epoch.number else np.zeros(arms))
    cap = np.where(_too_weak(pairs, by_arm, floor, alpha), 0.0, allowed_shares(lows, floor, steps))
    tested: list[_Tested] = []
    for epoch, sure in zip(found, firm, strict=True):
        rows = epoch.testing
        gains = PolicyGains(
            pairs.arm[rows],
            pairs.weak[rows],
            pairs.strong[rows],
            weight=pairs.weight[rows],
            cluster=pairs.cluster[rows],
            arms=arms,
            rho=rho,
        )
        certified = certified_steps(epoch, gains, sure)
        share = np.zeros(arms)
        for step in epoch.path[:certified]:
            share[list(step.arms)] = step.share
        share = np.minimum(share, cap)
        if not epoch.number:
            share[saved <= 0.0] = 0.0
        tested.append(_Tested(epoch, certified, share))
    return tested


def _too_weak(pairs: _Pairs, by_arm: Sequence[Codes], floor: float, alpha: float) -> Flags:
    """Which arms keep less than `floor` of the quality on the calls that move, shape (arms,).

    A small share of them might still be certified, within what the others leave of the quality to lose; nobody would
    want it. To take out of a certified policy what loses quality leaves no less of it, and these bounds hold for all
    arms together with their own part of alpha, so the promise stays.
    """
    own_alpha = alpha * _TOO_WEAK_ALPHA / max(len(by_arm), 1)
    highest = [1 / max(pairs.low(rows, own_alpha, inverse=True), 1e-12) for rows in by_arm]
    return np.array(highest) < floor


def allowed_shares(low: Floats, floor: float, shares: Sequence[float]) -> Floats:
    """The largest of `shares`, or 0, at which a use case keeps `floor` if the weak model keeps `low`, shape (arms,)."""
    grid = np.array([0.0, *shares])
    allowed = np.where(low < floor, (1 - floor) / np.maximum(1 - low, 1e-12), 1.0)
    return grid[np.searchsorted(grid, allowed + 1e-9, side="right") - 1]


def _selection(
    arms: _Arms,
    pairs: _Pairs,
    own: Sequence[Certificate],
    found: Sequence[Epoch],
    best: _Tested | None,
    saved: Floats,
    *,
    floor: float,
    rho: float,
    alpha: float,
    seed: int,
    draws: int,
) -> Selection:
    none = np.zeros(len(pairs.weak), dtype=bool)
    share = np.zeros(len(arms)) if best is None else best.share
    log_shares = LOG_STAKE_SHARES
    members: list[int] = []
    if best is not None:
        for step in best.epoch.path[: best.steps]:
            members += [code for code in step.arms if share[code] > 0.0 and code not in members]
            log_shares = step.log_shares
    testing = best.epoch.testing if best is not None and members else _latest(found, none)
    shown = _shown_arms(arms, best, found)
    rejected: dict[str, str] = {}
    for name, code in zip(arms.slices, shown, strict=True):
        if code not in members:
            rejected[name] = _why_not(pairs, code, own[code], best, found, saves=bool(saved[code] > 0.0), floor=floor)
    outright = found[0].testing if found else none
    everything = np.ones(len(arms))
    return Selection(
        members=tuple(arms.slices[arms.slice_code[code]] for code in members),
        shares={arms.slices[arms.slice_code[code]]: float(share[code]) for code in members},
        candidates={arms.slices[arms.slice_code[code]]: arms.candidates[code] for code in members}
        if arms.candidates is not None
        else {},
        rejected=rejected,
        retention=pairs.certify(testing, pairs.score(share), rho, best.epoch.alpha, log_shares)
        if best is not None and members
        else None,
        saving=pairs.saving(testing, share, seed=seed, draws=draws),
        n=int(testing.sum()),
        epoch=best.epoch.number if best is not None and members else None,
        certificates={name: own[code] for name, code in zip(arms.slices, shown, strict=True)},
        outright=Outright(
            certificate=pairs.certify(outright, pairs.weak, rho, alpha * _OUTRIGHT_ALPHA),
            saving=pairs.saving(outright, everything, seed=seed, draws=draws),
            weak_members=tuple(name for name, code in zip(arms.slices, shown, strict=True) if own[code].high < rho),
        ),
    )


def _latest(found: Sequence[Epoch], none: Flags) -> Flags:
    """The pairs that a policy which moves nothing is shown on."""
    return found[-1].testing if len(found) > 1 else none


def _shown_arms(arms: _Arms, best: _Tested | None, found: Sequence[Epoch]) -> list[int]:
    """The arm of each slice that the chosen epoch tests, or the unranked one."""
    epoch = best.epoch if best is not None else found[0] if found else None
    return [] if epoch is None else [int(code) for code in epoch.chosen]


def _why_not(
    pairs: _Pairs,
    code: int,
    own: Certificate,
    best: _Tested | None,
    found: Sequence[Epoch],
    *,
    saves: bool,
    floor: float,
) -> str:
    if not saves:
        return "the cheaper model costs no less here"
    if own.high < floor:
        return f"too weak: {own.describe()}"
    until_next = f"{next_ranking(pairs.clusters) - pairs.clusters:,} more conversations"
    ranked = found[1:]
    if not ranked:
        return f"not tested yet: the first {FIRST_RANKING} conversations are ranked on, which takes {until_next}"
    if not ranked[-1].seen[code]:
        return (
            f"not tested yet: it appeared after the {ranked[-1].ranked_on:,} conversations that were ranked on; "
            f"the next ranking takes {until_next}"
        )
    if own.low < floor and best is not None and any(code in step.arms for step in best.epoch.path[: best.steps]):
        to_floor = pairs.certify(pairs.arm == code, pairs.weak, floor, own.alpha).pairs_needed
        if to_floor is None:
            return f"below its floor of {floor:.0%} and not on the way there: {own.describe()}"
        return f"too few pairs: {own.n:,}, about {to_floor:,} more to clear its floor of {floor:.0%}"
    if own.high < own.rho:
        return f"the quality it would lose is not certified to be spared: {own.describe()}"
    return f"the policy with it is not certified: {own.describe()}"
