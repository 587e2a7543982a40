"""What an enforced rule did save, from its own arms, and whether that is what was predicted.

Nothing here comes from a simulation: the saving is the difference between calls that the rule sent to its target and
calls that it kept, at random, on the model asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.savings.arms import arm_difference
from tierwise.savings.predict import Prediction
from tierwise.savings.quality import TRUST
from tierwise.savings.score_change import score_change
from tierwise.savings.traffic import Columns, Flags, Labels, Traffic, read_traffic


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean score of the treated calls against that of the kept ones."""

    change: Estimate | NotEnoughData
    """Treated minus kept; negative is worse."""
    treated_mean: float | None
    kept_mean: float | None
    n_treated: int
    n_kept: int
    evaluation: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Realised:
    """What one rule did, as measured."""

    rule_id: str
    per_call: Estimate | NotEnoughData
    """USD saved per treated call."""
    total: Estimate | NotEnoughData
    """USD saved on all treated calls that have a price."""
    n_treated: int
    """Priced calls sent to the target, those it failed and the requested model answered included."""
    n_holdout: int
    """Priced calls kept for measuring."""
    n_control: int
    """Priced calls outside the rule's share; drawn at random too, so they count with the holdout."""
    unpriced: int
    """Calls in an arm without a price; they count nowhere."""
    left_out: int
    """Priced calls in policy versions where one arm is too small to compare."""
    fell_back: int
    """Treated calls that the target failed and the requested model answered."""
    failed: int
    """Treated calls that ended in an error."""
    refused: int
    """Matching calls that the target could not serve; they are in no arm."""
    calls_per_conversation: tuple[float, float] | None
    """Treated, kept. More calls for the same conversation eat up a saving per call; None with an empty arm."""
    quality: Quality
    method: str

    @property
    def n_kept(self) -> int:
        return self.n_holdout + self.n_control

    @property
    def failure_rate(self) -> float | None:
        """Share of treated calls that fell back or failed; None without any."""
        treated = self.n_treated + self.unpriced
        return (self.fell_back + self.failed) / treated if treated else None


def realised(
    calls: pa.Table | Traffic,
    rule_id: str,
    *,
    seed: int,
    scores: pa.Table | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Realised:
    """What the rule called `rule_id` saved and what became of the quality.

    Args:
        calls: rows of the named query `rule_arms`, `savings_calls` or `calls`; the numbers are the same.
        scores: rows of the named query `rule_scores`; without them the quality is NotEnoughData.
    """
    traffic = calls if isinstance(calls, Traffic) else read_traffic(calls)
    traffic = traffic.take(traffic.rule_id.equal(rule_id))
    treated, holdout, control = _arms(traffic.arm)
    in_arm = treated | holdout | control
    counted = traffic.priced & in_arm
    arms = traffic.take(counted)
    difference = arm_difference(
        arms.cost,
        treated=treated[counted],
        version=np.nan_to_num(arms.policy_version, nan=-1.0).astype(np.int64),
        use_case=arms.use_case_id.codes.astype(np.int64),
        block=arms.block,
        seed=seed,
        unit="USD",
        calls=arms.calls,
        draws=draws,
        level=level,
    )
    n_treated = traffic.count(treated & counted)
    per_call = difference.estimate
    return Realised(
        rule_id=rule_id,
        per_call=per_call,
        total=per_call if isinstance(per_call, NotEnoughData) else per_call.scaled(difference.n_treated),
        n_treated=n_treated,
        n_holdout=traffic.count(holdout & counted),
        n_control=traffic.count(control & counted),
        unpriced=traffic.count(in_arm & ~traffic.priced),
        left_out=difference.left_out,
        fell_back=traffic.count(treated & traffic.decision.equal("fell_back")),
        failed=traffic.count(treated & traffic.failed & ~traffic.decision.equal("fell_back")),
        refused=traffic.count(traffic.decision.equal("refused") & ~in_arm),
        calls_per_conversation=_calls_per_conversation(traffic, treated, holdout | control),
        quality=_quality(rule_id, scores, level=level),
        method="not enough data" if isinstance(per_call, NotEnoughData) else per_call.method,
    )


def _arms(arm: Labels) -> tuple[Flags, Flags, Flags]:
    """Which rows are treated, holdout and control."""
    return arm.equal("treated") | arm.equal("canary"), arm.equal("holdout"), arm.equal("control")


def _calls_per_conversation(traffic: Traffic, treated: Flags, kept: Flags) -> tuple[float, float] | None:
    if not treated.any() or not kept.any():
        return None
    on_target, stayed = (traffic.count(rows) / len(np.unique(traffic.block[rows])) for rows in (treated, kept))
    return on_target, stayed


def _quality(rule_id: str, scores: pa.Table | None, *, level: float) -> Quality:
    if scores is None or not len(scores):
        return Quality(NotEnoughData(0, ENOUGH, "scored calls of both arms"), None, None, 0, 0, None, None)
    columns = Columns(scores)
    name, source = columns.labels("evaluation_name"), columns.labels("evaluation_source")
    treated, holdout, control = _arms(columns.labels("arm"))
    of_rule = columns.labels("rule_id").equal(rule_id) & (treated | holdout | control)
    # Of the sources with enough scores the most trusted counts, of its evaluations the one with the most scores.
    best: tuple[bool, int, int] = (False, 0, 0)
    chosen, evaluation, chosen_source = np.zeros(len(scores), dtype=bool), None, None
    for trust, source_name in enumerate(reversed(TRUST)):
        for evaluation_name in name.values:
            rows = of_rule & source.equal(source_name) & name.equal(evaluation_name)
            n = int(min((rows & treated).sum(), (rows & ~treated).sum()))
            if (rank := (n >= ENOUGH, trust if n >= ENOUGH else 0, n)) > best:
                best, chosen, evaluation, chosen_source = rank, rows, evaluation_name, source_name
    block, _ = columns.blocks("conversation_id")
    score = columns.floats("score", missing=np.nan)
    chosen &= (score >= 0.0) & (score <= 1.0)
    difference = score_change(
        score[chosen],
        treated=treated[chosen],
        version=columns.floats("policy_version", missing=-1.0).astype(np.int64)[chosen],
        use_case=columns.labels("use_case_id").codes.astype(np.int64)[chosen],
        block=block[chosen],
        level=level,
    )
    change = difference.estimate
    return Quality(
        change=change if isinstance(change, NotEnoughData) else change.scaled(-1.0),
        treated_mean=difference.treated_mean,
        kept_mean=difference.kept_mean,
        n_treated=difference.n_treated,
        n_kept=difference.n_kept,
        evaluation=evaluation,
        source=chosen_source,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prediction held against what was measured."""

    predicted: Prediction
    realised: Realised
    low: float | None
    """Where the measured saving per call was to be expected, USD, with the noise of both arms; None without a measured
    one."""
    high: float | None
    verdict: Literal["as predicted", "less than predicted", "more than predicted", "not enough data"]

    @property
    def covered(self) -> bool | None:
        """Whether the measured saving lies where it was expected; None while there is none."""
        return None if self.low is None else self.verdict == "as predicted"


def compare(predicted: Prediction, measured: Realised) -> Comparison:
    """Whether `measured` is what `predicted` said, at the level of the prediction; see `Prediction.interval`."""
    if isinstance(measured.per_call, NotEnoughData):
        return Comparison(predicted, measured, None, None, "not enough data")
    low, high = predicted.interval(n_treated=max(measured.n_treated, 1), n_kept=max(measured.n_kept, 1))
    value = measured.per_call.value
    verdict = "less than predicted" if value < low else "more than predicted" if value > high else "as predicted"
    return Comparison(predicted, measured, low, high, verdict)
