"""In which order slices are moved when a policy is tested: set by the first pairs to arrive, and by nothing later.

Whoever may look at any time must not let what they see choose what is tested. So a path, from moving nothing to moving
everything by one slice and one step at a time, is set by the conversations that came first; the ones after them do the
testing, and a path once set never changes. New paths come as evidence grows: epoch 1 ranks on the first 96
conversations, each further epoch on three times as many. No epoch ends when the next begins. Each is tested at its own
share of the error, and as the shares add up to 1, whatever any epoch has certified may be used, the best of them too.
Epoch 0 ranks on nothing: it moves all slices alike.

Ranking on the earliest, not on a random part, costs least: a part set aside for ranking grows with the sample and never
tests, while here all later pairs test for an early epoch and still two thirds of them for the latest but one. It also
asks less: pairs may depend on earlier ones, and ids of conversations need not keep from look to look.

The path is a robust knapsack: each step takes the slice whose next step costs least quality for what it saves, where
quality lost is the expected loss plus one standard deviation of what the ranking does not know. The expected losses are
drawn toward that of all pairs as far as the slices do not differ more than chance (James-Stein shrinkage). A step that
the slice's floor will hardly allow counts for little of what it saves, and so comes late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Codes, Floats, grouped_sums
from tierwise.evidence.e_process import LOG_STAKE_SHARES, log_shares_around

Flags = npt.NDArray[np.bool_]

FIRST_RANKING = 96
"""Clusters that the first path is set by."""

_GROWTH = 3
_ALPHA_SHARES = (0.1, 0.27, 0.225, 0.18, 0.108, 0.054, 0.027, 0.018, 0.009)
"""Of epochs 0 to 8; each later one has half of the one before."""
_HORIZON = 3
"""Clusters that an epoch's stakes are set for, in those it was ranked on: then the next epoch has begun to test."""
_HOPELESS = 3.0
"""Standard deviations beyond the budget at which a path ends."""
_BOUND_WIDTH = 2.7
"""Standard errors between a mean and its bound that holds at all looks."""
_LEAST_SPREAD = 0.02
"""Standard deviation of the slices' losses that is assumed even when they look alike."""


@dataclass(frozen=True, slots=True)
class Step:
    """One policy of a path: that of the step before, with these arms at this share."""

    arms: tuple[int, ...]
    share: float
    """Of the slices' calls that move."""
    log_shares: Floats
    """How the capital of its test is split over the stakes; see `log_mixture`."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One path of policies to test."""

    number: int
    alpha: float
    """The error its tests may make, over all looks and all policies of the path."""
    ranked_on: int
    """Clusters that set the path, the first to arrive."""
    path: tuple[Step, ...]
    chosen: Codes
    """The arm that each slice may move to, shape (slices,)."""
    seen: Flags
    """Which arms had pairs to be ranked on, shape (arms,)."""
    ranking: Flags
    """Which pairs set the path, shape (n,)."""
    testing: Flags
    """Which pairs test, shape (n,): those of all clusters that came later, of the chosen arms."""


def epochs(
    arm: Codes,
    weak: Floats,
    strong: Floats,
    saved: Floats,
    *,
    slice_of: Codes,
    shares: Sequence[float],
    rho: float,
    alpha: float,
    floor: float,
    weight: Floats,
    cluster: Codes,
) -> list[Epoch]:
    """All epochs that the pairs suffice for, the unranked one first.

    An epoch ranks on the pairs up to the one with which the last of its clusters appears. Later pairs of these clusters
    neither rank nor test.

    Args:
        arm: shape (n,), 0 to arms - 1; an arm is a slice and a candidate model. All arrays are in order of arrival.
        weak, strong: shape (n,), scores in [0, 1].
        saved: shape (n,), what the weak answer cost less.
        slice_of: shape (arms,), the slice of each arm.
        shares: of a slice's calls that may move, ascending up to 1.
        rho: the share of quality to keep.
        alpha: of all epochs together.
        floor: what a slice keeps at least, the calls that stay included; 0 for none.
        weight: shape (n,), at most 1; see `share_of_largest`.
        cluster: shape (n,), numbered by first appearance.
    """
    n, arms = len(arm), len(slice_of)
    if not n:
        return []
    first_pair = np.full(arms, float(n))
    np.minimum.at(first_pair, arm, np.arange(n, dtype=np.float64))
    earliest = _one_a_slice(-first_pair, slice_of)
    unranked = tuple(Step(tuple(earliest.tolist()), share, LOG_STAKE_SHARES) for share in shares)
    found = [
        Epoch(
            number=0,
            alpha=alpha * _alpha_share(0),
            ranked_on=0,
            path=unranked,
            chosen=earliest,
            seen=np.zeros(arms, dtype=bool),
            ranking=np.zeros(n, dtype=bool),
            testing=np.isin(arm, earliest),
        )
    ]
    _, first_of_cluster = np.unique(cluster, return_index=True)
    while (ranked_on := _ranked_on(len(found))) <= len(first_of_cluster):
        number, last = len(found), int(first_of_cluster[ranked_on - 1]) + 1
        rows = slice(0, last)
        ranked = _rank(arm[rows], weak[rows], strong[rows], saved[rows], weight[rows], arms=arms, rho=rho)
        gain = ranked.worth - ranked.quality_price * np.maximum(ranked.cost, 0.0)
        chosen = _one_a_slice(np.where(ranked.pairs > 0.0, gain, -np.inf), slice_of)
        own_alpha = alpha * _alpha_share(number)
        found.append(
            Epoch(
                number=number,
                alpha=own_alpha,
                ranked_on=ranked_on,
                path=_path(ranked, chosen, shares, alpha=own_alpha, floor=floor, horizon=_HORIZON * ranked_on),
                chosen=chosen,
                seen=ranked.pairs > 0.0,
                ranking=np.arange(n) < last,
                testing=(cluster >= ranked_on) & np.isin(arm, chosen),
            )
        )
    return found


def _one_a_slice(value: Floats, slice_of: Codes) -> Codes:
    """The arm with the largest value in each slice, the first at a tie, shape (slices,)."""
    best_first = np.lexsort((-value, slice_of))
    _, first = np.unique(slice_of[best_first], return_index=True)
    return best_first[first]


def _alpha_share(number: int) -> float:
    """The share of the error of an epoch; over all epochs they add up to 1."""
    late = max(number - (len(_ALPHA_SHARES) - 1), 0)
    return _ALPHA_SHARES[number - late] * 0.5**late


def _ranked_on(number: int) -> int:
    """Clusters that set the path of an epoch, from 1."""
    return FIRST_RANKING * _GROWTH ** (number - 1)


def next_ranking(clusters: int) -> int:
    """How many clusters set the next path when there are `clusters` now."""
    return next(at for at in map(_ranked_on, count(1)) if at > clusters)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """What the ranking pairs say about each arm; arrays have shape (arms,)."""

    traffic: Floats
    """Share of the pairs, weighted."""
    pairs: Floats
    """Share of the pairs."""
    worth: Floats
    """Saved per pair of all traffic when all of the arm's calls move."""
    loss: Floats
    """Expected quality lost per call that moves, shrunk."""
    doubt: Floats
    """Variance of that expectation."""
    spread: float
    """Variance of a pair's loss."""
    strong: float
    """Mean score of the strong model."""
    budget: float
    """Quality that a policy may lose, per pair of all traffic."""
    kept_variance: float
    """Of a pair's gain in the test when it stays."""
    moved_variance: float
    """What a pair adds to that when it moves."""

    @property
    def kept(self) -> Floats:
        """Share of the strong model's quality that an arm is expected to keep on the calls that move."""
        return 1 - self.loss / self.strong

    @property
    def cost(self) -> Floats:
        """Quality lost per pair of all traffic when all of the arm's calls move, one standard deviation included."""
        return self.traffic * (self.loss + self.doubt**0.5)

    @property
    def quality_price(self) -> float:
        """About what a unit of quality buys."""
        return float(np.maximum(self.worth, 0.0).sum()) / max(self.budget, 1e-12)

    def chance_of_floor(self, steps: Floats, floor: float, horizon: int) -> Floats:
        """About how likely each share will be allowed when the pairs of the test are in, shape (arms, steps)."""
        needed = 1 - (1 - floor) / np.maximum(steps, 1e-12)
        pairs = np.maximum(self.pairs, 1e-12) * horizon * (1 + 1 / _HORIZON)
        low = 1 - (self.loss + _BOUND_WIDTH * (self.spread / pairs) ** 0.5) / self.strong
        z = (low[:, None] - needed) * self.strong / self.doubt[:, None] ** 0.5
        # The logistic curve closest to the normal one; never 0, as even an unlikely step has a place.
        return np.where(needed > 0.0, np.maximum(1 / (1 + np.exp(-1.702 * np.clip(z, -30, 30))), 0.01), 1.0)


def _rank(arm: Codes, weak: Floats, strong: Floats, saved: Floats, weight: Floats, *, arms: int, rho: float) -> _Ranked:
    total = float(weight.sum())
    loss, doubt, spread = _shrunk_losses(arm, strong - weak, weight, arms)
    moved = (weight * (weak - strong) / rho) ** 2
    return _Ranked(
        traffic=grouped_sums(arm, weight, arms) / total,
        pairs=np.bincount(arm, minlength=arms) / len(arm),
        worth=grouped_sums(arm, weight * saved, arms) / total,
        loss=loss,
        doubt=doubt,
        spread=spread,
        strong=max(float(weight @ strong) / total, 1e-3),
        budget=(1 - rho) * float(weight @ strong) / total,
        kept_variance=float(np.var(weight * (1 / rho - 1) * strong)),
        # Half a pair lost is imagined, so that no sample promises that none will be.
        moved_variance=float(moved.sum() + 0.5) / (len(moved) + 1),
    )


def _path(
    ranked: _Ranked, chosen: Codes, shares: Sequence[float], *, alpha: float, floor: float, horizon: int
) -> tuple[Step, ...]:
    """The policies to test, each moving one arm one step further, up to where certification is out of sight.

    `horizon` is how many pairs will test.
    """
    steps = np.array([0.0, *shares])
    at = np.zeros(len(ranked.worth), dtype=np.intp)
    # Of the policy's loss: what the ranking does not know about it, and the noise of the test.
    curvature = ranked.traffic**2 * ranked.doubt + ranked.traffic * ranked.spread / horizon
    allowed = ranked.chance_of_floor(steps, floor, horizon)
    # Part of the calls of a use case whose model seems to lose too much could move within the whole's promise; those
    # calls would be answered badly all the same.
    worthwhile = chosen[(ranked.worth[chosen] > 0.0) & (ranked.kept[chosen] >= floor)]
    expected, variance = 0.0, 0.0
    path: list[Step] = []
    while True:
        open_arms = worthwhile[at[worthwhile] < len(shares)]
        if not len(open_arms) or expected - _HOPELESS * variance**0.5 > ranked.budget:
            return tuple(path)
        now, then = steps[at[open_arms]], steps[at[open_arms] + 1]
        more_loss = ranked.traffic[open_arms] * ranked.loss[open_arms] * (then - now)
        more_variance = curvature[open_arms] * (then**2 - now**2)
        price = more_loss + np.sqrt(variance + more_variance) - variance**0.5
        worth = ranked.worth[open_arms] * (then - now) * allowed[open_arms, at[open_arms] + 1]
        best = int(np.argmin(price / worth))
        code = int(open_arms[best])
        expected, variance = expected + float(more_loss[best]), variance + float(more_variance[best])
        at[code] += 1
        gain_variance = ranked.kept_variance + ranked.moved_variance * float(ranked.pairs @ steps[at] ** 2)
        stake = (-2.0 * np.log(alpha) / (horizon * gain_variance)) ** 0.5
        path.append(Step((code,), float(steps[at[code]]), log_shares_around(float(stake))))


def _shrunk_losses(arm: Codes, loss: Floats, weight: Floats, arms: int) -> tuple[Floats, Floats, float]:
    """Each arm's expected loss and the variance of that expectation, shape (arms,), and the variance of a pair.

    Empirical Bayes with the moment estimates of a one-way analysis of variance (Morris, "Parametric empirical Bayes
    inference", JASA 78, 1983). A pair that loses and one that ties are imagined in the variance of a pair.
    """
    mass = grouped_sums(arm, weight, arms)
    size = np.divide(mass**2, grouped_sums(arm, weight**2, arms), out=np.zeros(arms), where=mass > 0.0)
    mean = np.divide(grouped_sums(arm, weight * loss, arms), mass, out=np.zeros(arms), where=mass > 0.0)
    seen, total = int((mass > 0.0).sum()), float(size.sum())
    overall = float(weight @ loss) / float(weight.sum())
    residual = float(weight @ (loss - mean[arm]) ** 2) / float(weight.sum()) * total
    spread = (residual + 0.5) / max(total - seen + 2.0, 1.0)
    between = _LEAST_SPREAD**2
    if seen > 1:
        excess = float(size @ (mean - overall) ** 2) / (seen - 1) - spread
        between = max(between, excess * (seen - 1) / (total - float(size @ size) / total))
    pull = spread / between
    return (size * mean + pull * overall) / (size + pull), spread / (size + pull), spread
