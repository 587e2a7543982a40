"""Levers in the store: what was found beside what people decided, and what a person may do with one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tierwise.errors import Conflict, StoreError
from tierwise.evidence.estimate import Estimate
from tierwise.evidence.retention import Certificate
from tierwise.recommend.levers import Lever, find_levers
from tierwise.recommend.recommendation import DECIDED, Scope, State
from tierwise.recommend.timing import expires_at, why_now

if TYPE_CHECKING:
    from tierwise.store import Store


def refresh_levers(
    store: Store,
    *,
    now: datetime,
    offline: Collection[str] = (),
    rho: float = 0.95,
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Lever]:
    """Look for levers and keep them in the store, so that they can be acted on by id; best first.

    One that somebody has taken up keeps the content it had then. A snooze that is over ends here.
    """
    found = find_levers(store, now=now, offline=offline, rho=rho, alpha=alpha, seed=seed)
    stored = store.recommendations("lever")
    items = _with_decisions([timed(lever, now=now) for lever in found], stored, now=now)
    store.save_recommendations([item.to_dict() for item in items], "lever")
    before = {str(item["id"]): item["state"] for item in stored}
    for item in items:
        if before.get(item.id) == "snoozed" and item.state != "snoozed":
            store.set_recommendation_state(
                item.id, item.state, who="tierwise", why="the snooze is over", expected="snoozed"
            )
    return items


def timed(lever: Lever, *, now: datetime) -> Lever:
    """`lever` with its state, when it expires and why it is worth doing now."""
    scope = Scope(lever.use_case_id or "", lever.use_case_name, "unknown", lever.provider, lever.request_model)
    state = _evidence_state(lever)
    # A tier or an effort is no model: what the calls' own model goes through is what counts then.
    target = (
        lever.target if lever.kind in ("change_outright", "retiring_model") and lever.target else scope.request_model
    )
    since = now - timedelta(days=lever.window_days)
    return replace(
        lever,
        evidence_state=state,
        state=state,
        why_now=why_now(scope, target, state, since=since, now=now),
        expires_at=expires_at(scope, target, now=now),
    )


def _evidence_state(lever: Lever) -> State:
    saving, proof = lever.window_saving, lever.certificate
    if not isinstance(saving, Estimate) or saving.low <= 0.0 or lever.at_most:
        return "unproven"
    if proof is None:
        return "candidate"
    if not isinstance(proof, Certificate) or proof.value is None or proof.value < proof.rho:
        return "unproven"
    return "certified" if lever.certified else "candidate"


def _with_decisions(fresh: Sequence[Lever], stored: Sequence[Mapping[str, Any]], *, now: datetime) -> list[Lever]:
    """What people decided, put over what the calls show now; what was taken up stays listed, last."""
    decided = {
        str(item["id"]): replace(Lever.from_dict(item), state=item["state"])
        for item in stored
        if item["state"] in DECIDED
    }
    merged: list[Lever] = []
    for item in fresh:
        before = decided.get(item.id)
        if before is not None and before.state == "enforced":
            continue
        asleep = before is not None and not (
            before.state == "snoozed" and before.snoozed_until is not None and before.snoozed_until <= now
        )
        if before is not None and asleep:
            item = replace(item, state=before.state, snoozed_until=before.snoozed_until, decided_why=before.decided_why)
        merged.append(item)
    return [*merged, *(item for item in decided.values() if item.state == "enforced")]


def find_lever(store: Store, lever_id: str) -> Lever:
    """The stored lever whose id is, or begins with, `lever_id`.

    Raises:
        StoreError: there is none, or several begin like that.
    """
    stored = store.recommendations("lever")
    matching = [item for item in stored if str(item["id"]).startswith(lever_id)]
    if len(matching) != 1:
        raise StoreError(f"{len(matching)} levers begin with {lever_id!r}; `tierwise recommend --levers` lists them")
    return replace(Lever.from_dict(matching[0]), state=matching[0]["state"])


def claim_lever(store: Store, lever_id: str, *, who: str, why: str, now: datetime | None = None) -> None:
    """Record that somebody has taken a lever up: its content stays what it was then.

    Args:
        now: aware; what has expired by then is refused. None: whatever its age.

    Raises:
        Conflict: it has expired, or is taken up already.
    """
    item = _unclaimed(store, lever_id)
    if now is not None and item.is_stale(now):
        raise Conflict(
            f"{item.id} ({item.label}) was worked out on {item.as_of:%Y-%m-%d} and has expired; "
            "`tierwise recommend --levers` works it out again"
        )
    _decide(store, item, "enforced", decided_why=why, who=who, why=why)


def dismiss_lever(store: Store, lever_id: str, *, reason: str, who: str) -> None:
    """Put a lever away; it does not come back by itself."""
    _decide(store, _unclaimed(store, lever_id), "dismissed", decided_why=reason, who=who, why=reason)


def snooze_lever(store: Store, lever_id: str, *, until: datetime, who: str, why: str) -> None:
    """Put a lever away until an (aware) moment."""
    _decide(store, _unclaimed(store, lever_id), "snoozed", until=until, decided_why=why, who=who, why=why)


def reopen_lever(store: Store, lever_id: str, *, who: str, why: str) -> None:
    """Take up again what was put away or taken up, in the state its evidence is in."""
    item = find_lever(store, lever_id)
    _decide(store, item, item.evidence_state, decided_why=None, who=who, why=why)


def _unclaimed(store: Store, lever_id: str) -> Lever:
    item = find_lever(store, lever_id)
    if item.state == "enforced":
        raise Conflict(f"{item.id} ({item.label}) is taken up; reopen it first")
    return item


def _decide(
    store: Store,
    item: Lever,
    state: State,
    *,
    until: datetime | None = None,
    decided_why: str | None,
    who: str,
    why: str,
) -> None:
    store.save_recommendations([replace(item, snoozed_until=until, decided_why=decided_why).to_dict()], "lever")
    store.set_recommendation_state(item.id, state, who=who, why=why, expected=item.state)
