"""Every rule that has routed calls: what it saved and what became of the quality, against what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.recommend.drift import Drift, drift, min_retention
from tierwise.recommend.recommendation import Recommendation
from tierwise.recommend.rule_life import rule_lives
from tierwise.routing.policy import Policy, Rule, parse
from tierwise.savings.backtest import Comparison, Realised, compare, realised
from tierwise.savings.predict import from_evidence
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from tierwise.store import Store


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
    in_force = parse(history[0].text) if history else Policy()
    approved = {str(item["id"]): item for item in store.recommendations()}
    found = [
        _verification(
            store,
            life.rule,
            life.began if since is None else max(life.began, since),
            in_force,
            approved,
            now=now,
            seed=seed,
        )
        for life in rule_lives(history).values()
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
        read_traffic(store.query("rule_arms", rule_id=rule.id, since=since, until=now)),
        rule.id,
        seed=seed,
        scores=store.query("rule_scores", rule_id=rule.id, since=since, until=now),
    )
    predicted = from_evidence(rule.evidence)
    comparison = None if predicted is None else compare(predicted, measured)
    found = drift(store, rule, since=since, until=now)
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
        drift=found,
        concerns=(*_concerns(rule, measured, comparison, found), *_tampering(rule, approved)),
    )


def _tampering(rule: Rule, approved: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Whether the stored recommendation still says what was approved with the rule."""
    stored, hashed = approved.get(str(rule.evidence.get("recommendation"))), rule.evidence.get("content_hash")
    if stored is None or hashed is None or stored["state"] != "enforced":
        return ()
    if Recommendation.from_dict(stored).content_hash == hashed:
        return ()
    return (f"the stored recommendation {stored['id']} is not the one that was approved with this rule",)


def _concerns(
    rule: Rule, measured: Realised, comparison: Comparison | None, later: Drift | NotEnoughData
) -> tuple[str, ...]:
    lines: list[str] = []
    if isinstance(later, Drift) and later.alarm:
        lines.append(f"{later.describe()}: roll the rule back")
    limit = rule.guard.max_failure_rate if rule.guard is not None else None
    rate = measured.failure_rate
    if limit is not None and rate is not None and measured.n_treated >= ENOUGH and rate > limit:
        lines.append(f"{rate:.1%} of its calls failed or fell back, above the guard of {limit:.1%}")
    quality, floor = measured.quality, min_retention(rule)
    allowed = 0.0 if quality.kept_mean is None else (1.0 - floor) * quality.kept_mean
    if not isinstance(quality.change, NotEnoughData) and quality.change.high < -allowed:
        lines.append(f"less than {floor:.0%} of the score is kept: {quality.change.describe()}")
    if comparison is not None and comparison.verdict == "less than predicted":
        lines.append("it saves less per call than was predicted")
    if not isinstance(measured.per_call, NotEnoughData) and measured.per_call.high < 0.0:
        lines.append("it costs more than the requested model")
    return tuple(lines)
