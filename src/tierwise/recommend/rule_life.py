"""Since when a rule is in force as it is: read from the versions of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from tierwise.routing.policy import Policy, Rule, parse

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord


@dataclass(frozen=True, slots=True)
class RuleLife:
    """One rule, as the newest version that has it says."""

    rule: Rule
    began: datetime
    """When it came into force with its present target: what was measured before says nothing about it. A rule that was
    disabled or gone in between begins anew."""
    share_since: datetime
    """When it was given its present share."""
    in_force: bool
    """It is enabled in the newest version, whose mode is `enforce`."""


def rule_lives(history: Sequence[PolicyRecord]) -> dict[str, RuleLife]:
    """Every rule that ever sent calls anywhere, by id.

    Args:
        history: versions, newest first, as the store has them.
    """
    lives: dict[str, RuleLife] = {}
    present: dict[str, Rule] = {}
    policy = Policy()
    for record in reversed(history):
        policy = _parsed(record.text)
        before, present = present, {rule.id: rule for rule in policy.rules if rule.enabled and rule.to is not None}
        for rule in policy.rules:
            if rule.to is None:
                continue
            known, former = lives.get(rule.id), before.get(rule.id)
            if known is None or (rule.enabled and (former is None or former.to != rule.to)):
                lives[rule.id] = RuleLife(rule, record.created_at, record.created_at, False)
                continue
            same_share = rule.share == known.rule.share
            lives[rule.id] = RuleLife(rule, known.began, known.share_since if same_share else record.created_at, False)
    return {
        rule_id: RuleLife(
            life.rule, life.began, life.share_since, in_force=policy.mode == "enforce" and rule_id in present
        )
        for rule_id, life in lives.items()
    }


@lru_cache(maxsize=256)
def _parsed(text: str) -> Policy:
    return parse(text)
