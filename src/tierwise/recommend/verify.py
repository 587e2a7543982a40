"""Every rule that has routed calls: what it saved and what became of the quality, against what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tierwise.evidence.drift import Monitor
from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.recommend.recommendation import Recommendation
from tierwise.routing.policy import Policy, Rule, parse
from tierwise.savings.assignment import match, scope_of
from tierwise.savings.backtest import Comparison, Realised, compare, realised
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.predict import from_evidence
from tierwise.savings.quality import scored_pairs
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from tierwise.store import Store

ALARM = 0.05
"""Chance of a false alarm about a rule, over its whole life."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Evidence from later pairs that a rule no longer keeps the quality."""

    e_value: float
    alarm: bool
    """The e-value has reached 1 / 0.05: the rule is to be rolled back."""
    min_retention: float
    conversations: int


@dataclass(frozen=True, slots=True)
class Verification:
    """One rule, measured."""

    rule_id: str
    target: str | None
    share: float | None
    """In the policy in force; None when the rule is not in it any more."""
    recommendation_id: str | None
    since: datetime
    """When the rule was put in force."""
    realised: Realised
    comparison: Comparison | None
    """None when the rule was put in force without a prediction."""
    drift: Drift | NotEnoughData
    concerns: tuple[str, ...]
    """Why the rule should be looked at or rolled back; empty when nothing speaks against it."""


def verify(store: Store, *, now: datetime, since: datetime | None = None, seed: int = 0) -> list[Verification]:
    """What each rule did since it was put in force, those in force first.

    Args:
        since: aware; looks no further back than this.
    """
    history = store.policy_history()
    policies = [(record, parse(record.text)) for record in reversed(history)]
    in_force = policies[-1][1] if policies else Policy()
    approved = {str(item["id"]): item for item in store.recommendations()}
    latest: dict[str, tuple[Rule, datetime]] = {}
    for record, policy in policies:
        for rule in policy.rules:
            if rule.to is None:
                continue
            # Evidence counts from when the target was last changed; a new share goes on with the same rule.
            _, began = latest.get(rule.id, (rule, record.created_at))
            before = latest.get(rule.id)
            restarted = before is not None and before[0].to != rule.to
            latest[rule.id] = (rule, record.created_at if restarted else began)
    found = [
        _verification(
            store, rule, began if since is None else max(began, since), in_force, approved, now=now, seed=seed
        )
        for rule, began in latest.values()
    ]
    return sorted(found, key=lambda item: (item.share is None, item.since, item.rule_id))


def _verification(
    store: Store,
    rule: Rule,
    since: datetime,
    policy: Policy,
    approved: Mapping[str, Mapping[str, Any]],
    *,
    now: datetime,
    seed: int,
) -> Verification:
    measured = realised(
        read_traffic(store.query("savings_calls", rule_id=rule.id, since=since, until=now)),
        rule.id,
        seed=seed,
        scores=store.query("rule_scores", rule_id=rule.id, since=since, until=now),
    )
    predicted = from_evidence(rule.evidence)
    comparison = None if predicted is None else compare(predicted, measured)
    drift = _drift(rule, read_pairs(store.query("pairs", since=since, until=now)))
    present = policy.rule(rule.id)
    recommendation = rule.evidence.get("recommendation")
    return Verification(
        rule_id=rule.id,
        target=rule.to,
        share=present.share if present is not None and present.enabled and policy.mode != "off" else None,
        recommendation_id=None if recommendation is None else str(recommendation),
        since=since,
        realised=measured,
        comparison=comparison,
        drift=drift,
        concerns=(*_concerns(rule, measured, comparison, drift), *_tampering(rule, approved)),
    )


def _tampering(rule: Rule, approved: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Whether the stored recommendation still says what was approved with the rule."""
    stored, hashed = approved.get(str(rule.evidence.get("recommendation"))), rule.evidence.get("content_hash")
    if stored is None or hashed is None or stored["state"] != "enforced":
        return ()
    if Recommendation.from_dict(stored).content_hash == hashed:
        return ()
    return (f"the stored recommendation {stored['id']} is not the one that was approved with this rule",)


def _drift(rule: Rule, pairs: Pairs) -> Drift | NotEnoughData:
    matched = match(Policy(mode="enforce", rules=(rule,)), scope_of(pairs))
    scored = scored_pairs(pairs.take((matched.rule == 0) & matched.target.same_as(pairs.weak_model)))
    if scored is None:
        return NotEnoughData(0, 1, "pairs scored since the rule is in force")
    later = scored.pairs
    min_retention = _min_retention(rule)
    size = np.bincount(later.block, minlength=later.blocks)
    # One step a conversation, in order of its first pair: the pairs inside one depend on each other.
    order = np.argsort([later.start_ns[later.block == block].min() for block in range(later.blocks)], kind="stable")
    weak, strong = (
        (np.bincount(later.block, score, minlength=later.blocks) / size)[order]
        for score in (later.weak_score, later.strong_score)
    )
    monitor = Monitor(rho_min=min_retention, alpha=ALARM)
    monitor.update(weak, strong)
    return Drift(monitor.e_value, monitor.crossed, min_retention, later.blocks)


def _min_retention(rule: Rule) -> float:
    """The share of quality the rule is to keep."""
    return rule.guard.min_retention if rule.guard is not None and rule.guard.min_retention else 0.95


def _concerns(
    rule: Rule, measured: Realised, comparison: Comparison | None, drift: Drift | NotEnoughData
) -> tuple[str, ...]:
    lines: list[str] = []
    if isinstance(drift, Drift) and drift.alarm:
        lines.append(f"later pairs show less than {drift.min_retention:.0%} of the quality kept: roll the rule back")
    limit = rule.guard.max_failure_rate if rule.guard is not None else None
    rate = measured.failure_rate
    if limit is not None and rate is not None and measured.n_treated >= ENOUGH and rate > limit:
        lines.append(f"{rate:.1%} of its calls failed or fell back, above the guard of {limit:.1%}")
    quality, floor = measured.quality, _min_retention(rule)
    allowed = 0.0 if quality.kept_mean is None else (1.0 - floor) * quality.kept_mean
    if not isinstance(quality.change, NotEnoughData) and quality.change.high < -allowed:
        lines.append(f"less than {floor:.0%} of the score is kept: {quality.change.describe()}")
    if comparison is not None and comparison.verdict == "less than predicted":
        lines.append("it saves less per call than was predicted")
    if not isinstance(measured.per_call, NotEnoughData) and measured.per_call.high < 0.0:
        lines.append("it costs more than the requested model")
    return tuple(lines)
