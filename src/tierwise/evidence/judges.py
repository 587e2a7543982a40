"""What a judge's scores are worth: corrected means, bias, agreement, position bias, and certificates that use them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, probability, same_length, scores
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData, mean_interval, wilson
from tierwise.evidence.quantiles import student_t_quantile

_IMAGINED = np.array([0.5, -0.5])


def ppi(
    human: npt.ArrayLike,
    judge: npt.ArrayLike,
    judge_unlabelled: npt.ArrayLike,
    *,
    level: float = 0.95,
    unit: str = "share",
) -> Estimate | NotEnoughData:
    """The mean human score, helped by the judge as far as the judge agrees with the humans.

    PPI++ (Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference", arXiv 2311.01453): the human
    mean plus lambda times the difference of the judge's means on the other and on the reviewed items. Their power-tuned
    lambda, Cov(human, judge) / ((1 + n / m) Var(judge)), minimises the variance: 0 for a useless judge, which leaves
    the human mean, and near 1 for a perfect one. A biased judge does not bias the result.

    A good judge's few mistakes may all be missing from a small review, and the interval would then have no width. As in
    the interval of Agresti and Coull for proportions, the variances therefore count two imagined items more, on which
    person and judge disagree by the whole scale, once in each direction.

    Args:
        human: shape (n,), scores in [0, 1] of the items that a person reviewed, a random sample of all.
        judge: shape (n,), the judge's scores of the same items.
        judge_unlabelled: shape (m,), the judge's scores of other items from the same traffic.

    Returns: Estimate at one look, or NotEnoughData below 30 reviewed items.
    """
    human_scores, judge_scores = scores("human", human), scores("judge", judge)
    unlabelled = scores("judge_unlabelled", judge_unlabelled)
    n, m = len(human_scores), len(unlabelled)
    same_length(n, judge=judge_scores)
    probability("level", level)
    if n < ENOUGH:
        return NotEnoughData(n, ENOUGH, "items reviewed by a person")
    human_mean, judge_mean = float(human_scores.mean()), float(judge_scores.mean())
    from_human_mean = np.append(human_scores - human_mean, _IMAGINED)
    from_judge_mean = np.append(judge_scores - judge_mean, -_IMAGINED)
    freedom = n + len(_IMAGINED) - 1
    human_variance = float(from_human_mean @ from_human_mean) / freedom
    judge_variance = float(from_judge_mean @ from_judge_mean) / freedom
    covariance = float(from_human_mean @ from_judge_mean) / freedom
    pull = min(max(covariance / judge_variance / (1 + n / m), 0.0), 1.0) if m >= ENOUGH else 0.0
    value, variance = human_mean, human_variance / n
    if pull > 0.0:
        value += pull * (float(unlabelled.mean()) - judge_mean)
        variance = (human_variance - 2 * pull * covariance + pull**2 * judge_variance) / n
        variance += pull**2 * float(unlabelled.var(ddof=1)) / m
    half_width = student_t_quantile(0.5 + 0.5 * level, n - 1) * math.sqrt(variance)
    return Estimate(
        value=min(max(value, 0.0), 1.0),
        low=max(value - half_width, 0.0),
        high=min(value + half_width, 1.0),
        confidence_level=level,
        n=n,
        effective_n=human_variance / variance,
        method=f"PPI++ mean, {m:,} judged items, lambda {pull:.2f}" if pull > 0.0 else "human mean, Student t interval",
        unit=unit,
    )


def bias(human: npt.ArrayLike, judge: npt.ArrayLike, *, level: float = 0.95) -> Estimate | NotEnoughData:
    """How much higher the judge scores than people do, on the items that both scored; above 0 is lenient.

    Args:
        human, judge: shape (n,), scores in [0, 1] of the same items.

    Returns: Estimate, or NotEnoughData below 30 items.
    """
    human_scores, judge_scores = scores("human", human), scores("judge", judge)
    same_length(len(human_scores), judge=judge_scores)
    return mean_interval(judge_scores - human_scores, level, "")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge and people agree on the same items."""

    observed: Estimate | NotEnoughData
    """One minus the mean distance of the two scores; the share of equal verdicts when they are right or wrong."""
    kappa: Estimate | NotEnoughData
    """Cohen's kappa: what is left of the agreement beyond that of two who score at random, each with their own rates.
    1 is full agreement, 0 chance."""
    alpha: Estimate | NotEnoughData
    """Krippendorff's alpha: the same with the rates of both together, so that a biased judge agrees less."""

    def to_dict(self) -> dict[str, Any]:
        """The three as JSON values."""
        return {"observed": self.observed.to_dict(), "kappa": self.kappa.to_dict(), "alpha": self.alpha.to_dict()}


def agreement(human: npt.ArrayLike, judge: npt.ArrayLike, *, level: float = 0.95) -> Agreement:
    """Agreement with intervals from the delete-one jackknife (Efron and Stein, Annals of Statistics 9, 1981).

    Scores are taken as they are: kappa is linearly weighted (Cohen, Psychological Bulletin 70, 1968), and alpha that of
    interval data (Krippendorff, "Content Analysis", 2004). With right-or-wrong scores both are the plain ones. Below 30
    items, or when nobody ever disagrees with themselves (all scores equal), there is nothing to agree on beyond chance.

    Args:
        human, judge: shape (n,), scores in [0, 1] of the same items.
    """
    human_scores, judge_scores = scores("human", human), scores("judge", judge)
    n = len(human_scores)
    same_length(n, judge=judge_scores)
    probability("level", level)
    if n < ENOUGH:
        few = NotEnoughData(n, ENOUGH, "items scored by both")
        return Agreement(few, few, few)
    distance = np.abs(human_scores - judge_scores)
    observed = _jackknife(1 - distance.mean(), 1 - _means_without_one(distance), level, "agreement, jackknife", "share")

    # Mean distance between a random human score and a random judge score, and what leaving out item i changes in it.
    total, by_human, by_judge = _pair_distances(human_scores, judge_scores)
    expected = total / n**2
    left = (total - by_human - by_judge + distance) / (n - 1) ** 2
    kappa = _one_minus(
        distance.mean(), expected, _means_without_one(distance), left, level, "weighted kappa, jackknife"
    )

    both = np.concatenate([human_scores, judge_scores])
    squares = (human_scores - judge_scores) ** 2
    spread = 2 * n * float(both @ both) - float(both.sum()) ** 2
    own_sum, own_squares = human_scores + judge_scores, human_scores**2 + judge_scores**2
    fewer = 2 * (n - 1) * (float(both @ both) - own_squares) - (float(both.sum()) - own_sum) ** 2
    # Twice the squared distance over all ordered pairs of the 2n scores.
    chance, chance_left = 2 * spread / (2 * n * (2 * n - 1)), 2 * fewer / ((2 * n - 2) * (2 * n - 3))
    alpha = _one_minus(squares.mean(), chance, _means_without_one(squares), chance_left, level, "alpha, jackknife")
    return Agreement(observed, kappa, alpha)


def _means_without_one(values: Floats) -> Floats:
    return (values.sum() - values) / (len(values) - 1)


def _pair_distances(first: Floats, second: Floats) -> tuple[float, Floats, Floats]:
    """The sum of |a - b| over all a in `first` and b in `second`, and for each i its part in which first[i], or
    second[i], takes part."""
    by_first, by_second = _distances_to(first, second), _distances_to(second, first)
    return float(by_first.sum()), by_first, by_second


def _distances_to(values: Floats, others: Floats) -> Floats:
    """The sum of |value - other| over all others, for each value, from sorted sums."""
    ordered = np.sort(others)
    sums = np.concatenate([[0.0], ordered.cumsum()])
    below = np.searchsorted(ordered, values)
    return values * below - sums[below] + (sums[-1] - sums[below]) - values * (len(others) - below)


def _one_minus(
    observed: float, expected: float, observed_left: Floats, expected_left: Floats, level: float, method: str
) -> Estimate | NotEnoughData:
    if expected <= 1e-12 or (expected_left <= 1e-12).any():
        return NotEnoughData(0, 1, "items on which the scores differ from one another")
    return _jackknife(1 - observed / expected, 1 - observed_left / expected_left, level, method, "")


def _jackknife(value: float, left: Floats, level: float, method: str, unit: str) -> Estimate:
    """A value and its interval from the values without one item each; two items of full disagreement are imagined in
    the variance, as in `ppi`, so that a perfect sample is not certain."""
    n = len(left)
    pseudo = np.concatenate([n * value - (n - 1) * left, value + 2 * _IMAGINED])
    error = float(pseudo.std(ddof=1)) / math.sqrt(n)
    width = student_t_quantile(0.5 + 0.5 * level, n - 1) * error
    return Estimate(
        value=float(value),
        low=max(float(value) - width, -1.0),
        high=min(float(value) + width, 1.0),
        confidence_level=level,
        n=n,
        effective_n=float(n),
        method=method,
        unit=unit,
    )


@dataclass(frozen=True, slots=True)
class PositionBias:
    """What the order of two answers does to a judge that compares them."""

    advantage: Estimate | NotEnoughData
    """How much better an answer scores for being shown first rather than second, in [-1, 1]; 0 is none."""
    consistency: Estimate | NotEnoughData
    """Share of comparisons with the same verdict in both orders: what is left when the others count as ties."""

    def to_dict(self) -> dict[str, Any]:
        """Both as JSON values."""
        return {"advantage": self.advantage.to_dict(), "consistency": self.consistency.to_dict()}


def position_bias(first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95) -> PositionBias:
    """Position bias from comparisons judged in both orders.

    Args:
        first, second: shape (n,), the verdict for the same one of the two answers when it was shown first, and when it
            was shown second: 1 it wins, 0 it loses, 0.5 a tie.
    """
    shown_first, shown_second = scores("first", first), scores("second", second)
    same_length(len(shown_first), second=shown_second)
    same = (np.abs(shown_first - shown_second) < 0.25).astype(np.float64)
    n = len(same)
    consistency: Estimate | NotEnoughData = NotEnoughData(n, ENOUGH, "comparisons judged in both orders")
    if n >= ENOUGH:
        consistency = wilson(int(same.sum()), n, level)
    return PositionBias(mean_interval(shown_first - shown_second, level, ""), consistency)
