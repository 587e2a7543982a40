"""From canary to full share: the next step of each rule in force, and what it still waits for.

A step is proposed when the rule has been at its share for long enough, has sent enough calls to its target, and nothing
measured speaks against it. A person takes it, or the collector where the rule's guard says `auto_step_up`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tierwise.errors import Conflict, PolicyError
from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.recommend.actions import MAX_UNCERTIFIED_SHARE
from tierwise.recommend.drift import min_retention
from tierwise.recommend.recommendation import MAX_FAILURE_RATE, Recommendation
from tierwise.recommend.rule_change import change_rule
from tierwise.recommend.rule_life import RuleLife, rule_lives
from tierwise.recommend.verify import Verification, verify
from tierwise.routing.guard import Guard

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord, Store

log = logging.getLogger("tierwise")

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
"""The steps of a share."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """The next step of one rule."""

    rule_id: str
    share: float
    """Now."""
    next_share: float
    days: float
    """At the present share."""
    calls: int
    """Sent to the target at the present share."""
    waits_for: tuple[str, ...]
    """In words; empty when the step can be taken."""
    automatic: bool
    """The collector takes it when it can be taken."""
    policy_version: int
    """That it was worked out on."""

    @property
    def ready(self) -> bool:
        """Whether the step can be taken."""
        return not self.waits_for


def step_ups(store: Store, *, now: datetime) -> list[StepUp]:
    """The next step of every rule in force that does not send all of its calls to its target yet.

    Args:
        now: aware.
    """
    history = store.policy_history()
    lives = [life for life in rule_lives(history).values() if life.in_force and life.rule.share < 1.0]
    if not lives:
        return []
    measured = {item.rule_id: item for item in verify(store, now=now)}
    approved = {str(item["id"]): item for item in store.recommendations()}
    return [
        _step_up(store, life, measured[life.rule.id], approved, version=history[0].version, now=now) for life in lives
    ]


def take(store: Store, rule_id: str, *, who: str, why: str, now: datetime) -> PolicyRecord:
    """Raise the share of a rule to its next step.

    Raises:
        PolicyError: there is no next step, or it waits for something.
        Conflict: somebody else changed the share or disabled the rule first.
    """
    found = next((item for item in step_ups(store, now=now) if item.rule_id == rule_id), None)
    if found is None:
        raise PolicyError(f"rule {rule_id!r} has no next step: it is not in force, or at its full share")
    if not found.ready:
        raise PolicyError(f"rule {rule_id!r} is not ready for a share of {found.next_share:g}: {found.waits_for[0]}")
    record = _take(store, found, who=who, why=why)
    if record is None:
        raise Conflict(f"somebody changed rule {rule_id!r} first; look at it and decide again")
    return record


def take_automatic(store: Store, *, now: datetime) -> list[PolicyRecord]:
    """Take every step that can be taken and needs no person."""
    lives = rule_lives(store.policy_history()).values()
    # Most rules wait for a person, and most days nothing is due: the traffic is looked at only when something is.
    if not any(_is_automatic(life) and not _waits_for_time(store, life, now)[2] for life in lives):
        return []
    taken: list[PolicyRecord] = []
    for found in step_ups(store, now=now):
        if found.automatic and found.ready:
            why = (
                f"rule {found.rule_id} steps up from {found.share:g} to {found.next_share:g}: {found.calls:,} calls "
                f"in {found.days:.1f} days at its share, and nothing measured speaks against it"
            )
            record = _take(store, found, who="tierwise", why=why)
            if record is not None:
                log.warning("Policy version %d is in force: %s", record.version, why)
                taken.append(record)
    return taken


def _take(store: Store, step: StepUp, *, who: str, why: str) -> PolicyRecord | None:
    return change_rule(
        store,
        step.rule_id,
        key="share",
        value=step.next_share,
        unless=lambda rule: not rule.enabled or rule.share != step.share,
        who=who,
        why=why,
        action="step_up",
    )


def _is_automatic(life: RuleLife) -> bool:
    return life.in_force and life.rule.share < 1.0 and life.rule.guard is not None and life.rule.guard.auto_step_up


def _waits_for_time(store: Store, life: RuleLife, now: datetime) -> tuple[float, int, list[str]]:
    """Days and calls at the present share, and what is missing of either."""
    guard = life.rule.guard or Guard()
    since_ns = int(life.share_since.timestamp() * 1e6) * 1000
    (totals,) = store.query(
        "guard_totals", rule_id=life.rule.id, since=life.share_since, until=now, day=since_ns, recent=since_ns
    ).to_pylist()
    days, calls = (now - life.share_since).total_seconds() / 86_400, int(totals["calls"])
    missing: list[str] = []
    if days < guard.min_days:
        missing.append(f"{guard.min_days - days:.1f} more days at a share of {life.rule.share:g}")
    if calls < guard.min_calls:
        missing.append(f"{guard.min_calls - calls:,} more calls to {life.rule.to} at this share")
    return days, calls, missing


def _step_up(
    store: Store,
    life: RuleLife,
    measured: Verification,
    approved: Mapping[str, Mapping[str, Any]],
    *,
    version: int,
    now: datetime,
) -> StepUp:
    rule, guard = life.rule, life.rule.guard or Guard()
    days, calls, missing = _waits_for_time(store, life, now)
    missing += [f"somebody to look at it: {line}" for line in measured.concerns]
    rate, limit = measured.realised.failure_rate, guard.max_failure_rate or MAX_FAILURE_RATE
    if guard.max_failure_rate is None and rate is not None and measured.realised.n_treated >= ENOUGH and rate > limit:
        missing.append(f"fewer failures: {rate:.1%} of its calls failed or fell back")
    next_share = next(share for share in SHARES if share > rule.share + 1e-9)
    most, needed = _most(measured, approved.get(measured.recommendation_id or ""), min_retention(rule))
    if next_share > most + 1e-9 and most > rule.share + 1e-9:
        next_share = most
    elif next_share > most + 1e-9:
        missing.append(needed)
    return StepUp(rule.id, rule.share, next_share, days, calls, tuple(missing), guard.auto_step_up, version)


def _most(measured: Verification, stored: Mapping[str, Any] | None, floor: float) -> tuple[float, str]:
    """The largest share that the evidence allows, and what a larger one needs."""
    if stored is not None:
        item = Recommendation.from_dict(stored)
        if item.evidence_state == "certified":
            return item.share, f"a certificate for more than a share of {item.share:g}"
    quality = measured.realised.quality
    if not isinstance(quality.change, NotEnoughData) and quality.kept_mean is not None:
        if quality.change.low >= -(1.0 - floor) * quality.kept_mean:
            return 1.0, ""
        return MAX_UNCERTIFIED_SHARE, (
            f"scores that show {floor:.0%} of the quality kept; those of its arms leave it open: "
            f"{quality.change.describe()}"
        )
    return MAX_UNCERTIFIED_SHARE, (
        f"a certificate, or {ENOUGH} scored conversations in both of its arms: above a share of "
        f"{MAX_UNCERTIFIED_SHARE:g} the quality has to be measured"
    )
