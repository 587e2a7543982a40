"""Which pairs people are asked about: a random few, and more of those whose answers were scored differently.

A draw is a hash of the pair, so nothing is stored until somebody reviews it, and whoever looks, on whatever machine,
sees the same pairs drawn with the same probabilities. What a probability depends on is settled a minute after the pair
was made: the policy version that was in force, and scores that had arrived.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tierwise.routing.policy import Policy, parse
from tierwise.routing.review import ReviewPlan
from tierwise.store.reviews import Reason, Side

if TYPE_CHECKING:
    from tierwise.store import Store

SETTLED_NS = 60_000_000_000
"""From the end of a pair's shadow call to the moment when its probability is settled."""
DEFAULT_PLAN = ReviewPlan()
"""For pairs of calls that no rule of the policy matched."""


@dataclass(frozen=True, slots=True)
class ReviewPlans:
    """The plans of every policy version."""

    by_rule: Mapping[tuple[int, str], ReviewPlan] = field(default_factory=dict[tuple[int, str], ReviewPlan])
    """By policy version and rule id; only rules that have a plan of their own."""

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> ReviewPlans:
        """The plans in `policies`, one of each version."""
        return cls(
            {
                (policy.version, rule.id): ReviewPlan(**rule.options["review"])
                for policy in policies
                for rule in policy.rules
                if "review" in rule.options
            }
        )

    @classmethod
    def of_store(cls, store: Store) -> ReviewPlans:
        """The plans of every policy version that is stored."""
        return cls.of(parse(record.text, origin=f"version {record.version}") for record in store.policy_history())

    def plan(self, policy_version: int | None, rule_id: str | None) -> ReviewPlan:
        """The plan for a pair of a call that this rule of this version matched."""
        if policy_version is None or rule_id is None:
            return DEFAULT_PLAN
        return self.by_rule.get((policy_version, rule_id), DEFAULT_PLAN)

    @property
    def largest(self) -> float:
        """The largest probability that any pair has."""
        return max(plan.disagreements for plan in (DEFAULT_PLAN, *self.by_rule.values()))

    @property
    def largest_sample(self) -> float:
        """The largest probability of a pair whose answers were scored alike."""
        return max(plan.sample for plan in (DEFAULT_PLAN, *self.by_rule.values()))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair that was drawn."""

    reason: Reason
    """`random` where the pair would have been drawn whatever its scores: these are a plain random sample."""
    propensity: float
    """Probability, before the draw, that it was drawn."""


def drawn(pair: Mapping[str, Any], plans: ReviewPlans) -> Drawn | None:
    """Whether a row of the named query `review_pairs` is drawn for review."""
    plan = plans.plan(pair["policy_version"], pair["rule_id"])
    propensity = plan.disagreements if pair["disagrees"] else plan.sample
    if pair["draw"] >= propensity:
        return None
    return Drawn("random" if pair["draw"] < plan.sample else "disagreement", propensity)


def first_side(shadow_trace_id: str, shadow_span_id: str) -> Side:
    """Whose answer of a pair is shown as A: a fair draw that looks at nothing but the pair's ids."""
    digest = hashlib.sha256(f"first {shadow_trace_id} {shadow_span_id}".encode()).digest()
    return "strong" if digest[0] & 1 else "weak"
