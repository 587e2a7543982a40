"""Rules that ask the requested model after or beside a cheaper one: what that does to cost, quality and time.

Both answers of a pair are there, so what a cascade or a speculative rule would have done with it needs no assumption:
the structural checks say which cheap answers would have been sent on, and the durations which would have been first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.routing.escalation import COMPLEXITY, DEFAULT_CHECKS, DEFAULT_PATIENCE_S
from tierwise.routing.policy import Rule
from tierwise.savings.pairs import Pairs
from tierwise.savings.resample import resample_counts
from tierwise.savings.traffic import Flags, Floats


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a rule does beyond asking its first model."""

    checks: tuple[str, ...] = DEFAULT_CHECKS
    """An answer that fails one of them is not taken."""
    patience_s: float = math.inf
    """After so long the requested model is asked beside the first; infinite for a cascade."""


@dataclass(frozen=True, slots=True)
class StrongShare:
    """How much of what the requested model costs is paid beside the cheaper one."""

    value: float
    """In [0, 1]."""
    draws: Floats
    """The same with the pairs' conversations drawn again, shape (draws,)."""
    pairs: int

    @property
    def assumption(self) -> str:
        """In words, for the person who signs."""
        low, high = np.quantile(self.draws, [0.025, 0.975])
        return (
            f"{self.value:.1%} [{low:.1%}, {high:.1%}] of the requested model's cost is paid beside the cheaper one's, "
            f"measured on {self.pairs:,} pairs; an answer that comes too late is paid for in full"
        )


def follow_up_of(rule: Rule) -> FollowUp | str | None:
    """What `rule` does beyond asking its first model: None when nothing, or in words why pairs cannot say."""
    if rule.kind not in ("cascade", "speculative"):
        return None
    options: Mapping[str, Any] = rule.options.get("escalate" if rule.kind == "cascade" else "speculate", {})
    if between := options.get("to", ()):
        return f"it asks {', '.join(between)} in between, and pairs compare two models"
    if "agreement" in (checks := options.get("on", DEFAULT_CHECKS)):
        return "it compares several answers of the cheaper model, and a pair has one"
    return FollowUp(
        checks=tuple(name for name in checks if name != COMPLEXITY),
        patience_s=options.get("patience_s", DEFAULT_PATIENCE_S) if rule.kind == "speculative" else math.inf,
    )


def with_verdicts(pairs: Pairs, follow_up: FollowUp) -> Pairs:
    """The pairs that can say what would have been done: checked, and timed where time decides."""
    known = ~pairs.weak_failed_checks.equal(None) if follow_up.checks else np.ones(len(pairs), dtype=bool)
    if math.isfinite(follow_up.patience_s):
        known &= np.isfinite(pairs.weak_duration_s) & np.isfinite(pairs.strong_duration_s)
    return pairs.take(known)


def fails(pairs: Pairs, follow_up: FollowUp) -> Flags:
    """Which cheap answers fail one of the checks, shape (n,); one that was not looked at passes."""
    wanted = set(follow_up.checks)
    failing = np.array(
        [bool(wanted & set((names or "").split())) for names in pairs.weak_failed_checks.values], dtype=bool
    )
    return failing[pairs.weak_failed_checks.codes]


def followed(pairs: Pairs, follow_up: FollowUp) -> Pairs:
    """The pairs with, in place of the weak answer, what the caller gets: its score, cost and duration.

    A speculative rule takes the first answer that will do; the other one is paid for all the same.
    """
    failing = fails(pairs, follow_up)
    weak_s, strong_s = pairs.weak_duration_s, pairs.strong_duration_s
    # The requested model is asked when patience ends, or when the cheap answer is there and fails.
    asked_s = np.minimum(weak_s, follow_up.patience_s) if math.isfinite(follow_up.patience_s) else weak_s
    asked = failing | (weak_s > follow_up.patience_s)
    by_strong = failing | (asked & (asked_s + strong_s < weak_s))
    return replace(
        pairs,
        weak_score=np.where(by_strong, pairs.strong_score, pairs.weak_score),
        weak_cost=pairs.weak_cost + np.where(asked, pairs.strong_cost, 0.0),
        weak_duration_s=np.where(by_strong, asked_s + strong_s, weak_s),
    )


def strong_share(
    pairs: Pairs, follow_up: FollowUp, *, draws: int, rng: np.random.Generator
) -> StrongShare | NotEnoughData:
    """How much of the requested model's cost is paid beside, in proportion to what the answers cost.

    Args:
        pairs: those of the rule's calls with its first model, each once.
    """
    known = with_verdicts(pairs, follow_up)
    known = known.take((known.strong_cost > 0.0) & np.isfinite(known.strong_cost))
    if known.blocks < ENOUGH:
        return NotEnoughData(known.blocks, ENOUGH, "conversations with shadow calls whose answers were checked")
    asked = fails(known, follow_up) | (known.weak_duration_s > follow_up.patience_s)
    cost = known.weight * known.strong_cost
    of_block = np.stack([np.bincount(known.block, amount, minlength=known.blocks) for amount in (asked * cost, cost)])
    paid, whole = of_block @ resample_counts(known.blocks, draws=draws, rng=rng).T
    return StrongShare(float((asked * cost).sum() / cost.sum()), paid / whole, len(known))
