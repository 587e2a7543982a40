"""Takes a rule out of force when it passes a limit of its `[rule.guard]`, and says with which numbers.

The rule is disabled in a new version of the policy, by "tierwise": nothing is deleted, and a person who has looked at
it can enable it again, from when on it is counted anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tierwise.evidence.drift import Monitor
from tierwise.recommend.drift import ALARM, Drift, drift
from tierwise.recommend.rule_change import change_rule
from tierwise.recommend.rule_life import RuleLife, rule_lives

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord, Store

log = logging.getLogger("tierwise")

WHO = "tierwise"
_RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trip:
    """A limit that a rule has passed."""

    rule_id: str
    limit: Literal["min_retention", "max_failure_rate", "daily_budget_usd"]
    why: str
    """In words, with the numbers."""
    measured: Mapping[str, Any]
    """The numbers, as JSON values."""


def tripped(store: Store, *, now: datetime, looks_at_quality: bool = True) -> list[Trip]:
    """The rules in force that have passed a limit, each with the first that it passed.

    Args:
        now: aware.
        looks_at_quality: False leaves retention alone, which can only have changed when new scores came in.
    """
    found: list[Trip] = []
    for life in rule_lives(store.policy_history()).values():
        if life.rule.guard is None or not life.in_force:
            continue
        trip = _calls(store, life, now) or (_quality(store, life, now) if looks_at_quality else None)
        if trip is not None:
            found.append(trip)
    return found


def roll_back(store: Store, trip: Trip) -> PolicyRecord | None:
    """Disable the rule of `trip`, as a new version of the policy; None when it is out of force already.

    Raises:
        Conflict: the policy kept changing meanwhile.
    """
    why = f"rule {trip.rule_id} is disabled: {trip.why}"
    record = change_rule(
        store,
        trip.rule_id,
        key="enabled",
        value=False,
        unless=lambda rule: not rule.enabled,
        who=WHO,
        why=why,
        action="guard",
    )
    if record is None:
        return None
    log.warning("Policy version %d is in force: %s", record.version, why)
    detail = {"rule_id": trip.rule_id, "limit": trip.limit, "version": record.version, **trip.measured}
    store.audit("rule.disabled", detail, who=WHO, why=trip.why)
    _follow(store, trip, why)
    return record


def _follow(store: Store, trip: Trip, why: str) -> None:
    """Bring the state of the recommendation that the rule carries out in line."""
    life = rule_lives(store.policy_history())[trip.rule_id]
    recommendation = str(life.rule.evidence.get("recommendation"))
    for item in store.recommendations():
        if item["id"] == recommendation and item["state"] == "enforced":
            store.set_recommendation_state(recommendation, "rolled_back", who=WHO, why=why, expected="enforced")


def _calls(store: Store, life: RuleLife, now: datetime) -> Trip | None:
    guard = life.rule.guard
    if guard is None or (guard.max_failure_rate is None and guard.daily_budget_usd is None):
        return None
    # A person who enables the rule again on the same day gives it another budget.
    day = max(now.replace(hour=0, minute=0, second=0, microsecond=0), life.began)
    (totals,) = store.query(
        "guard_totals",
        rule_id=life.rule.id,
        since=life.began,
        until=now,
        day=_ns(day),
        recent=_ns(now - _RECENT),
    ).to_pylist()
    budget, cost = guard.daily_budget_usd, totals["cost_usd"]
    if budget is not None and cost > budget:
        why = f"its calls cost ${cost:,.2f} since {day:%Y-%m-%d %H:%M} UTC, above its budget of ${budget:,.2f} a day"
        if totals["unpriced"]:
            why += f", and {totals['unpriced']:,} more have no price"
        measured = {"cost_usd": str(cost), "daily_budget_usd": str(budget), "since": day.isoformat()}
        return Trip(life.rule.id, "daily_budget_usd", why, measured)
    limit = guard.max_failure_rate
    return None if limit is None or limit >= 1.0 else _failures(store, life, totals, limit, now)


def _failures(store: Store, life: RuleLife, totals: Mapping[str, Any], limit: float, now: datetime) -> Trip | None:
    """A trip when the evidence that the target fails more than `limit` of the calls is strong, however often it was
    looked at."""
    above = [totals[f"{of}failures"] > limit * totals[f"{of}calls"] for of in ("", "recent_") if totals[f"{of}calls"]]
    if not any(above):
        return None  # and the calls need not be looked at one by one
    rows = store.query("guard_conversations", rule_id=life.rule.id, since=life.began, until=now)
    calls, failures = (rows[name].to_numpy().astype(np.float64) for name in ("calls", "failures"))
    # Success on the target against a certain one: retention below 1 - limit is a failure rate above it.
    monitor = Monitor(rho_min=1.0 - limit, alpha=ALARM)
    monitor.update(1.0 - failures / calls, np.ones(len(calls)))
    if not monitor.crossed:
        return None
    n, failed = int(calls.sum()), int(failures.sum())
    why = (
        f"its target failed {failed:,} of {n:,} calls ({failed / n:.1%}), above its limit of {limit:.1%} (e-value "
        f"{monitor.e_value:,.3g} from {len(calls):,} conversations; a rule within the limit reaches {1 / ALARM:g} "
        f"with a chance of {ALARM:.0%} at most)"
    )
    measured = {
        "failures": failed,
        "calls": n,
        "conversations": len(calls),
        "max_failure_rate": limit,
        "e_value": monitor.e_value,
    }
    return Trip(life.rule.id, "max_failure_rate", why, measured)


def _quality(store: Store, life: RuleLife, now: datetime) -> Trip | None:
    if life.rule.guard is None or life.rule.guard.min_retention is None:
        return None
    found = drift(store, life.rule, since=life.began, until=now)
    if not isinstance(found, Drift) or not found.alarm:
        return None
    measured = {
        "e_value": found.e_value,
        "conversations": found.conversations,
        "min_retention": found.min_retention,
        "source": found.source,
    }
    return Trip(life.rule.id, "min_retention", found.describe(), measured)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
