"""What a person does with recommendations and the policy; the command line and the dashboard do the same things here.

Every action takes who did it and why. A changed policy is a new version in the store, made from the one that was
looked at: when somebody else was faster, `Conflict` says so and nothing has changed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tierwise.errors import Conflict, PolicyError, StoreError
from tierwise.recommend.propose import recommend
from tierwise.recommend.recommendation import Recommendation, to_rule
from tierwise.routing.document import key_spans
from tierwise.routing.policy import Policy, Rule, dump, parse
from tierwise.routing.signature import sign, signature_path
from tierwise.savings.evaluation_cost import ScoringPrices
from tierwise.settings import Mode

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord, Store

MAX_UNCERTIFIED_SHARE = 0.2
"""What a rule whose recommendation is not certified may send to its target at most: enough to learn from."""


def refresh(
    store: Store,
    *,
    now: datetime,
    rho: float = 0.95,
    alpha: float = 0.05,
    seed: int = 0,
    scoring: ScoringPrices | None = None,
) -> list[Recommendation]:
    """Work out the recommendations and keep them in the store, so that they can be acted on by id.

    A snooze that is over ends here.
    """
    items = recommend(store, now=now, rho=rho, alpha=alpha, seed=seed, scoring=scoring)
    before = {str(item["id"]): item["state"] for item in store.recommendations()}
    store.save_recommendations([item.to_dict() for item in items])
    for item in items:
        if before.get(item.id) == "snoozed" and item.state != "snoozed":
            store.set_recommendation_state(
                item.id, item.state, who="tierwise", why="the snooze is over", expected="snoozed"
            )
    return items


def find(store: Store, recommendation_id: str) -> Recommendation:
    """The stored recommendation whose id is, or begins with, `recommendation_id`.

    Raises:
        StoreError: there is none, or several begin like that.
    """
    stored = store.recommendations()
    matching = [item for item in stored if item["id"] == recommendation_id] or [
        item for item in stored if str(item["id"]).startswith(recommendation_id)
    ]
    if len(matching) != 1:
        how_many = "no recommendation has" if not matching else f"{len(matching)} recommendations begin with"
        raise StoreError(f"{how_many} the id {recommendation_id!r}; `tierwise recommend` lists them")
    return replace(Recommendation.from_dict(matching[0]), state=matching[0]["state"])


def apply(
    store: Store,
    ids: Sequence[str],
    *,
    share: float | None,
    holdout: float,
    who: str,
    why: str,
    mode: Literal["enforce", "shadow"] = "enforce",
    now: datetime | None = None,
) -> PolicyRecord:
    """Put recommendations in force: one new policy version with a rule each, in front of the rules that are there.

    Pins that stand first stay first. A rule of the same id is replaced.

    Args:
        share: part of the calls outside the holdout that goes to the target, in (0, 1]; None: of each recommendation
            the share that it proposes.
        holdout: part that stays on the requested model for measuring, in [0, 0.5].
        now: aware; what has expired by then is refused. None: whatever its age.

    Raises:
        PolicyError: a recommendation may not be enforced at this share, or other rules would come into force with it.
        Conflict: somebody else changed the policy or a recommendation first.
        StoreError: no such recommendation.
    """
    items = [find(store, item) for item in ids]
    enforced = [find(store, str(item["id"])) for item in store.recommendations() if item["state"] == "enforced"]
    for item in items:
        if now is not None and item.is_stale(now):
            raise Conflict(
                f"{item.id} ({item.scope.label}) was worked out on {item.as_of:%Y-%m-%d} and has expired; "
                "`tierwise recommend` works it out again"
            )
        _require_enforceable(item, item.share if share is None else share, enforced)
    current = store.current_policy()
    policy = Policy(mode=mode) if current is None else parse(current.text)
    if policy.mode != mode:
        others = [rule.id for rule in policy.rules if rule.enabled and rule.kind != "pin"]
        if policy.mode == "off" or others:
            raise PolicyError(
                f"the policy in force (version {policy.version}) is in mode {policy.mode}; to put it in mode {mode} "
                f"would also bring {', '.join(others) or 'its rules'} into force: `tierwise policy on` does that "
                f"openly, or apply with mode {policy.mode}"
            )
    rules = [to_rule(item, share=share, holdout=holdout) for item in items]
    changed = replace(policy, mode=mode, rules=_with_rules(policy.rules, rules))
    record = store.put_policy(
        dump(changed), who=who, why=why, action="apply", based_on=None if current is None else current.version
    )
    for item in items:
        store.set_recommendation_state(item.id, "enforced", who=who, why=why, expected=item.state)
    return record


def _require_enforceable(item: Recommendation, share: float, enforced: Sequence[Recommendation]) -> None:
    for other in enforced:
        if other.scope.key == item.scope.key:
            raise Conflict(
                f"{other.id} already sends {other.scope.label} to {other.target}; step up its share, or roll it back "
                "first"
            )
    if item.evidence_state == "certified":
        _require_certified_share(item, share)
        return
    if item.evidence_state == "unproven":
        needs = item.missing[0] if item.missing else "evidence"
        raise PolicyError(f"{item.id} ({item.scope.label}) is unproven; it needs {needs}")
    if share > MAX_UNCERTIFIED_SHARE:
        raise PolicyError(
            f"{item.id} ({item.scope.label}) is not certified; it may take a share of at most "
            f"{MAX_UNCERTIFIED_SHARE:g}, not {share:g}"
        )


def _require_certified_share(item: Recommendation, share: float) -> None:
    if share > item.share + 1e-9:
        raise PolicyError(
            f"{item.id} ({item.scope.label}) is certified for a share of at most {item.share:g} of its calls, not "
            f"{share:g}"
        )


def _with_rules(present: Sequence[Rule], added: Sequence[Rule]) -> tuple[Rule, ...]:
    ids = {rule.id for rule in added}
    kept = [rule for rule in present if rule.id not in ids]
    pins = next((place for place, rule in enumerate(kept) if rule.kind != "pin"), len(kept))
    return (*kept[:pins], *added, *kept[pins:])


def apply_text(store: Store, text: str, *, who: str, why: str, based_on: int | None) -> PolicyRecord:
    """Make a policy that a person wrote the one in force.

    Raises:
        PolicyError: the text is not a policy.
        Conflict: the policy in force is not version `based_on`.
    """
    record = store.put_policy(text, who=who, why=why, action="apply", based_on=based_on)
    _follow_policy(store, record, who=who)
    return record


def rollback(store: Store, recommendation_id: str, *, who: str, why: str) -> PolicyRecord:
    """Take the rule of an enforced recommendation out of the policy.

    Raises:
        StoreError: it is not in force.
    """
    item = find(store, recommendation_id)
    current, policy, rule = _rule_of(store, item)
    changed = replace(policy, rules=tuple(other for other in policy.rules if other is not rule))
    record = store.put_policy(dump(changed), who=who, why=why, action="rollback", based_on=current.version)
    store.set_recommendation_state(item.id, "rolled_back", who=who, why=why, expected=item.state)
    return record


def restore(store: Store, version: int | None = None, *, who: str, why: str) -> PolicyRecord:
    """Put an earlier policy version in force again, as a new version.

    Args:
        version: by default the one before the present one.

    Raises:
        PolicyError: there is no such version.
    """
    history = store.policy_history()
    if not history:
        raise PolicyError("there is no policy in the store yet, so there is none to go back to")
    current = history[0]
    wanted = current.version - 1 if version is None else version
    earlier = next((record for record in history if record.version == wanted), None)
    if earlier is None or wanted == current.version:
        known = ", ".join(str(record.version) for record in history[1:]) or "none"
        raise PolicyError(f"there is no earlier policy version {wanted}; earlier versions: {known}")
    record = store.put_policy(earlier.text, who=who, why=why, action="rollback", based_on=current.version)
    _follow_policy(store, record, who=who)
    return record


def step_up(store: Store, recommendation_id: str, *, share: float, who: str, why: str) -> PolicyRecord:
    """Change the share of an enforced recommendation's rule.

    Raises:
        StoreError: it is not in force.
        PolicyError: it is not certified and the share is more than it may take.
    """
    item = find(store, recommendation_id)
    current, policy, rule = _rule_of(store, item)
    if item.evidence_state != "certified" and share > MAX_UNCERTIFIED_SHARE:
        raise PolicyError(
            f"{item.id} was not certified when it was applied; it may take a share of at most {MAX_UNCERTIFIED_SHARE:g}"
        )
    if item.evidence_state == "certified":
        _require_certified_share(item, share)
    changed = replace(
        policy, rules=tuple(replace(other, share=share) if other is rule else other for other in policy.rules)
    )
    return store.put_policy(dump(changed), who=who, why=why, action="step_up", based_on=current.version)


def dismiss(store: Store, recommendation_id: str, *, reason: str, who: str) -> None:
    """Put a recommendation away; it does not come back by itself."""
    item = _undecided(store, recommendation_id)
    store.save_recommendations([replace(item, decided_why=reason).to_dict()])
    store.set_recommendation_state(item.id, "dismissed", who=who, why=reason, expected=item.state)


def snooze(store: Store, recommendation_id: str, *, until: datetime, who: str, why: str) -> None:
    """Put a recommendation away until an (aware) moment."""
    item = _undecided(store, recommendation_id)
    store.save_recommendations([replace(item, snoozed_until=until, decided_why=why).to_dict()])
    store.set_recommendation_state(item.id, "snoozed", who=who, why=why, expected=item.state)


def _undecided(store: Store, recommendation_id: str) -> Recommendation:
    item = find(store, recommendation_id)
    if item.state == "enforced":
        raise Conflict(f"{item.id} ({item.scope.label}) is in force; roll it back first")
    return item


def reopen(store: Store, recommendation_id: str, *, who: str, why: str) -> None:
    """Take a dismissed, snoozed or rolled-back recommendation up again, in the state its evidence is in."""
    item = _undecided(store, recommendation_id)
    store.save_recommendations([replace(item, snoozed_until=None, decided_why=None).to_dict()])
    store.set_recommendation_state(item.id, item.evidence_state, who=who, why=why, expected=item.state)


def switch(store: Store, mode: Mode, *, who: str, why: str) -> PolicyRecord:
    """Put the policy in another mode; `off` is the kill switch. Rules and comments stay as they are."""
    current = store.current_policy()
    text = f'mode = "{mode}"\n' if current is None else with_mode(current.text, mode)
    return store.put_policy(
        text,
        who=who,
        why=why,
        action="off" if mode == "off" else "on",
        based_on=None if current is None else current.version,
    )


def switch_file(path: Path, mode: Mode, *, key: str | None = None) -> None:
    """The same on a policy file, without any store: the file is replaced in one step, so that a reader sees the old one
    or the new one.

    Args:
        key: signs the new file; None: its readers ask for no signature.

    Raises:
        PolicyError: the file cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        changed = with_mode(text, mode).encode()
        _replace_file(path.resolve(), changed, mode_of=path)
        if key is not None:
            # Beside the name that the application is given, which may be a link.
            _replace_file(signature_path(path), f"{sign(changed, key)}\n".encode(), mode_of=path)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be switched to mode {mode}: {error}") from error


def _replace_file(path: Path, content: bytes, *, mode_of: Path) -> None:
    """Put `content` in place of the file at `path` in one step, readable by whoever may read `mode_of`."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
    if mode_of.exists():
        os.chmod(draft.name, mode_of.stat().st_mode)
    os.replace(draft.name, path)


def with_mode(text: str, mode: Mode) -> str:
    """`text` with its `mode` set, every comment and blank kept.

    A broken file can still be switched off: what remains of it is put behind comment signs.
    """
    try:
        parse(text)
    except PolicyError:
        if mode != "off":
            raise
        kept = "".join(f"# {line}\n" for line in text.splitlines())
        return f'mode = "off"\n# What follows could not be read when the policy was switched off.\n{kept}'
    span = key_spans(text).get(("mode",))
    if span is None:
        return f'mode = "{mode}"\n{text}'
    return f'{text[: span.value_start]}"{mode}"{text[span.value_end :]}'


def _rule_of(store: Store, item: Recommendation) -> tuple[PolicyRecord, Policy, Rule]:
    """The policy in force and the rule in it that carries out `item`."""
    current = store.current_policy()
    policy = Policy() if current is None else parse(current.text)
    rule = next((rule for rule in policy.rules if rule.evidence.get("recommendation") == item.id), None)
    if current is None or rule is None:
        raise StoreError(
            f"{item.id} ({item.scope.label}) is {item.state}: no rule of the policy in force carries it out"
        )
    return current, policy, rule


def _follow_policy(store: Store, record: PolicyRecord, *, who: str) -> None:
    """Bring the states of recommendations in line with a policy that was put in force as a whole."""
    in_force = {str(rule.evidence.get("recommendation")) for rule in parse(record.text).rules if rule.enabled}
    why = f"policy version {record.version}: {record.why}"
    for item in store.recommendations():
        if item["state"] == "enforced" and item["id"] not in in_force:
            store.set_recommendation_state(item["id"], "rolled_back", who=who, why=why, expected="enforced")
        elif item["state"] != "enforced" and item["id"] in in_force:
            store.set_recommendation_state(item["id"], "enforced", who=who, why=why, expected=item["state"])
