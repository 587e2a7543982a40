"""A mean from few human scores and many judge scores, without trusting the judge."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import probability, same_length, scores
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.quantiles import student_t_quantile

_IMAGINED = np.array([0.5, -0.5])


def ppi_mean(
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
