"""Which escalation signals predict a wrong answer, measured on the user's own graded answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, effective_size, numbers, probability, same_length, weights
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData, wilson_bounds
from tierwise.evidence.quantiles import normal_quantile

_FEWEST_OF_EACH = 5
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SignalAudit:
    """How well a signal finds wrong answers."""

    precision: Estimate | NotEnoughData
    """Share of answers it flags that are wrong: what an escalation is spent on."""
    recall: Estimate | NotEnoughData
    """Share of the wrong answers that it flags: the rest reach the user."""
    auc: Estimate | NotEnoughData
    """Chance that a wrong answer has a higher signal than a right one, ties counting half; 0.5 is a coin."""

    def to_dict(self) -> dict[str, Any]:
        """The three as JSON values."""
        return {"precision": self.precision.to_dict(), "recall": self.recall.to_dict(), "auc": self.auc.to_dict()}


def audit(
    signal: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    threshold: float = 0.5,
    level: float = 0.95,
) -> SignalAudit:
    """Measure a signal against graded answers.

    Args:
        signal: shape (n,), higher meaning more suspect; a check that only fires or not is 1 or 0.
        correct: shape (n,), 1 for a right answer and 0 for a wrong one; a graded score counts as right from 0.5 on.
        weight: shape (n,), 1 / propensity of the answer's having been graded, where some were graded more often than
            others. Shares are Hajek's, and intervals as wide as Kish's effective number of answers makes them.
        threshold: the signal flags an answer at or above this.
    """
    suspicion, grade = numbers("signal", signal), numbers("correct", correct)
    same_length(len(suspicion), correct=grade)
    counts_for = weights(weight, len(suspicion))
    wrong = grade < 0.5
    flagged = suspicion >= threshold
    return SignalAudit(
        precision=_share(wrong[flagged], counts_for[flagged], "flagged answers", level),
        recall=_share(flagged[wrong], counts_for[wrong], "wrong answers", level),
        auc=_auc(suspicion[wrong], suspicion[~wrong], counts_for[wrong], counts_for[~wrong], level),
    )


def _share(hits: Flags, weight: Floats, what: str, level: float) -> Estimate | NotEnoughData:
    """The weighted share of hits."""
    n = len(hits)
    if n < _FEWEST_OF_EACH:
        return NotEnoughData(n, _FEWEST_OF_EACH, what)
    effective_n = effective_size(weight)
    # Summed in another order, all of the weight may come to a little more than the whole.
    share = 1.0 if hits.all() else min(float(weight[hits].sum() / weight.sum()), 1.0)
    low, high = wilson_bounds(share, effective_n, level)
    return Estimate(share, low, high, level, n, effective_n, "Wilson score interval", "share")


def _auc(
    wrong: Floats, right: Floats, wrong_weight: Floats, right_weight: Floats, level: float
) -> Estimate | NotEnoughData:
    """P(signal of a wrong answer > of a right one) + half of P(equal), with Newcombe's interval.

    The bounds solve |theta - estimate| = z sd(theta) with the Hanley-McNeil variance at theta, a score interval that
    does not collapse at 0 or 1 (Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2", Statistics in Medicine 25, 2006, method 5). Conservative with many ties.
    """
    z = normal_quantile(0.5 + 0.5 * probability("level", level))
    fewest = min(len(wrong), len(right))
    if fewest < _FEWEST_OF_EACH or len(wrong) + len(right) < ENOUGH:
        return NotEnoughData(fewest, _FEWEST_OF_EACH, f"wrong and right answers each, {ENOUGH} in all")
    order = np.argsort(right, kind="stable")
    ordered, so_far = right[order], np.append(0.0, right_weight[order].cumsum())
    below = so_far[np.searchsorted(ordered, wrong, side="left")]
    not_above = so_far[np.searchsorted(ordered, wrong, side="right")]
    value = float(wrong_weight @ (below + not_above)) / (2 * float(wrong_weight.sum()) * float(so_far[-1]))
    value = min(value, 1.0)
    sizes = effective_size(wrong_weight), effective_size(right_weight)
    return Estimate(
        value=value,
        low=1.0 - _auc_upper_bound(1.0 - value, *sizes, z),
        high=_auc_upper_bound(value, *sizes, z),
        confidence_level=level,
        n=len(wrong) + len(right),
        effective_n=sum(sizes),
        method="Mann-Whitney AUC, Newcombe interval",
        unit="",
    )


def _auc_upper_bound(value: float, wrong: float, right: float, z: float) -> float:
    """The largest theta that is within z standard deviations of `value`, by bisection."""
    extra = 0.5 * (wrong + right) - 1.0
    low, high = value, 1.0
    for _ in range(60):
        theta = 0.5 * (low + high)
        variance = (
            theta * (1 - theta) * (1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (wrong * right)
        )
        if theta - value <= z * math.sqrt(variance):
            low = theta
        else:
            high = theta
    return high
