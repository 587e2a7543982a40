"""Whether a rule in force still keeps the quality: from later pairs, and from the scores of its own arms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from tierwise.evidence.drift import Monitor
from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.recommend.recommendation import RETENTION
from tierwise.routing.policy import Policy, Rule
from tierwise.savings.assignment import match, scope_of
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.quality import TRUST, scored_pairs
from tierwise.savings.traffic import Columns, Flags

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.store import Store

ALARM = 0.05
"""Chance of a false alarm about a rule, over its whole life; pairs and arms have half of it each."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """Evidence that a rule no longer keeps the quality."""

    e_value: float
    alarm: bool
    """The e-value has reached 2 / 0.05: the rule is to be rolled back."""
    min_retention: float
    conversations: int
    source: Literal["pairs", "arms"]
    """`pairs`: the same request answered by both models; `arms`: treated calls against those kept back."""

    def describe(self) -> str:
        """What was found, in words."""
        against = "later pairs" if self.source == "pairs" else "scores of treated calls against those kept back"
        return (
            f"{against} show less than {self.min_retention:.0%} of the quality kept (e-value {self.e_value:,.3g} from "
            f"{self.conversations:,} conversations; a rule that keeps it reaches {2 / ALARM:g} with a chance of "
            f"{ALARM / 2:.1%} at most)"
        )


def drift(store: Store, rule: Rule, *, since: datetime, until: datetime) -> Drift | NotEnoughData:
    """The stronger of what pairs and arms say against `rule` between two aware moments."""
    found = [
        from_pairs(rule, read_pairs(store.query("pairs", since=since, until=until))),
        from_arms(rule, store.query("rule_scores", rule_id=rule.id, since=since, until=until)),
    ]
    known = [item for item in found if isinstance(item, Drift)]
    return max(known, key=lambda item: item.e_value) if known else found[0]


def from_pairs(rule: Rule, pairs: Pairs) -> Drift | NotEnoughData:
    """What pairs of the rule's calls with its target say, one step a conversation in order of its first pair."""
    matched = match(Policy(mode="enforce", rules=(rule,)), scope_of(pairs))
    scored = scored_pairs(pairs.take((matched.rule == 0) & matched.target.same_as(pairs.weak_model)))
    if scored is None:
        return NotEnoughData(0, 1, "pairs scored since the rule is in force")
    later = scored.pairs
    # The pairs inside a conversation depend on each other, so they are one step.
    weak, first_ns = _by_block(later.weak_score, later.block, later.start_ns)
    strong, _ = _by_block(later.strong_score, later.block, later.start_ns)
    order = np.argsort(first_ns, kind="stable")
    return _watched(rule, weak[order], strong[order], later.blocks, "pairs")


def from_arms(rule: Rule, scores: pa.Table) -> Drift | NotEnoughData:
    """What the scores of the rule's arms say: each kept conversation against the mean of the treated ones that were
    scored since the one before it.

    The draw alone decides on which side a conversation is, so the two have the same mean score when the target is as
    good. Of the sources with enough scores the most trusted counts, of its evaluations the one with the most scores.

    Args:
        scores: rows of the named query `rule_scores`.
    """
    columns = Columns(scores)
    arm = columns.labels("arm")
    treated, kept = arm.equal("treated") | arm.equal("canary"), arm.equal("holdout") | arm.equal("control")
    score = columns.floats("score", missing=np.nan)
    rows = _evaluation(columns, treated, kept) & (score >= 0.0) & (score <= 1.0)
    block, _ = columns.blocks("conversation_id")
    start_ns = columns.times("start_time")
    sides: list[tuple[Floats, npt.NDArray[np.int64]]] = []
    for side in (rows & treated, rows & kept):
        if not side.any():
            return NotEnoughData(0, 1, "scored conversations of both arms since the rule is in force")
        _, own = np.unique(block[side], return_inverse=True)
        sides.append(_by_block(score[side], own, start_ns[side]))
    (weak, weak_ns), (strong, strong_ns) = sides
    weak, weak_ns = weak[order := np.argsort(weak_ns, kind="stable")], weak_ns[order]
    strong, strong_ns = strong[order := np.argsort(strong_ns, kind="stable")], strong_ns[order]
    ends = np.searchsorted(weak_ns, strong_ns, side="right")
    steps = [
        (weak[start:end].mean(), kept_score)
        for start, end, kept_score in zip(np.concatenate(([0], ends[:-1])), ends, strong, strict=True)
        if end > start
    ]
    if not steps:
        return NotEnoughData(0, 1, "scored conversations of both arms since the rule is in force")
    means, against = np.array(steps).T
    return _watched(rule, means, against, len(weak) + len(strong), "arms")


def _evaluation(columns: Columns, treated: Flags, kept: Flags) -> Flags:
    """The rows of the evaluation that counts."""
    name, source = columns.labels("evaluation_name"), columns.labels("evaluation_source")
    best, chosen = (False, 0, 0), np.zeros(len(treated), dtype=bool)
    for trust, source_name in enumerate(reversed(TRUST)):
        for evaluation_name in name.values:
            rows = source.equal(source_name) & name.equal(evaluation_name)
            n = int(min((rows & treated).sum(), (rows & kept).sum()))
            if (rank := (n >= ENOUGH, trust if n >= ENOUGH else 0, n)) > best:
                best, chosen = rank, rows
    return chosen


def _by_block(
    score: Floats, block: npt.NDArray[np.int64], start_ns: npt.NDArray[np.int64]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Mean score and first moment of each block."""
    first = np.full(int(block.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, block, start_ns)
    return np.bincount(block, score) / np.bincount(block), first


def _watched(
    rule: Rule, weak: Floats, strong: Floats, conversations: int, source: Literal["pairs", "arms"]
) -> Drift | NotEnoughData:
    floor = min_retention(rule)
    monitor = Monitor(rho_min=floor, alpha=0.5 * ALARM)
    monitor.update(weak, strong)
    return Drift(monitor.e_value, monitor.crossed, floor, conversations, source)


def min_retention(rule: Rule) -> float:
    """The share of quality that the rule is to keep."""
    return rule.guard.min_retention if rule.guard is not None and rule.guard.min_retention else RETENTION
