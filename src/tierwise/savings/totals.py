"""All rules together: what was predicted for the calls they moved, and what was measured on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.savings.backtest import Comparison


@dataclass(frozen=True, slots=True)
class Totals:
    """USD saved on the treated calls of several rules."""

    predicted: Estimate | NotEnoughData
    """As approved, for as many treated and kept calls as there were: the measured total should lie in it."""
    realised: Estimate | NotEnoughData
    """From the arms alone."""
    rules: int
    """Rules with both a prediction and a measurement; the others are in neither total."""

    @property
    def covered(self) -> bool | None:
        """Whether the measured total lies in the predicted interval; None without either."""
        if isinstance(self.predicted, NotEnoughData) or isinstance(self.realised, NotEnoughData):
            return None
        return self.predicted.low <= self.realised.value <= self.predicted.high


def totals(comparisons: Sequence[Comparison]) -> Totals:
    """The sum over rules of saving per call times treated calls, for both sides.

    The rules' errors are taken as independent, so the distances to the bounds add up in squares; each rule has its own
    calls and its own pairs.
    """
    predicted: list[Estimate] = []
    realised: list[Estimate] = []
    for comparison in comparisons:
        measured = comparison.realised
        if isinstance(measured.total, NotEnoughData) or comparison.low is None or comparison.high is None:
            continue
        calls = measured.n_treated
        per_call = comparison.predicted.per_call
        predicted.append(
            Estimate(
                value=per_call.value * calls,
                low=comparison.low * calls,
                high=comparison.high * calls,
                confidence_level=per_call.confidence_level,
                n=per_call.n,
                effective_n=per_call.effective_n,
                method=per_call.method,
                unit="USD",
            )
        )
        realised.append(measured.total)
    return Totals(
        predicted=_sum(predicted, "sum over rules of the approved prediction, widened by the noise of both arms"),
        realised=_sum(realised, "sum over rules of the difference between arms"),
        rules=len(realised),
    )


def _sum(parts: Sequence[Estimate], method: str) -> Estimate | NotEnoughData:
    if not parts:
        return NotEnoughData(0, 1, "rules with both arms measured")
    value = sum(part.value for part in parts)
    return Estimate(
        value=value,
        low=value - math.sqrt(sum((part.value - part.low) ** 2 for part in parts)),
        high=value + math.sqrt(sum((part.high - part.value) ** 2 for part in parts)),
        confidence_level=min(part.confidence_level for part in parts),
        n=sum(part.n for part in parts),
        effective_n=sum(part.effective_n for part in parts),
        method=method,
        unit="USD",
    )
