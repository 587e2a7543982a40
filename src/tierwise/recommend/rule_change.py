"""One rule of the policy in force, changed: a new version that keeps the comments of whoever wrote the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tierwise.errors import Conflict, PolicyError
from tierwise.routing.document import with_rule_key
from tierwise.routing.policy import Rule, dump, parse

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord, Store

_TRIES = 5


def change_rule(
    store: Store,
    rule_id: str,
    *,
    key: str,
    value: bool | float,
    unless: Callable[[Rule], bool],
    who: str,
    why: str,
    action: str,
) -> PolicyRecord | None:
    """Set `enabled` or `share` of a rule, as a new version.

    Doing it twice does it once, and of two who do it at the same time one wins.

    Args:
        unless: whether a rule is as it should be, or not to be touched, already.

    Returns: None when there was nothing to do: no such rule any more, or `unless` says so.

    Raises:
        Conflict: the policy kept changing meanwhile.
    """
    for _ in range(_TRIES):
        current = store.current_policy()
        rule = None if current is None else parse(current.text).rule(rule_id)
        if current is None or rule is None or unless(rule):
            return None
        try:
            text = _changed(current.text, rule, key, value)
            return store.put_policy(text, who=who, why=why, action=action, based_on=current.version)
        except Conflict:
            continue
    raise Conflict(f"rule {rule_id} could not be changed: the policy changed each time; look at it and decide again")


def _changed(text: str, rule: Rule, key: str, value: bool | float) -> str:
    policy = parse(text)
    place = policy.rules.index(rule)
    wanted = replace(policy, rules=(*policy.rules[:place], replace(rule, **{key: value}), *policy.rules[place + 1 :]))
    try:
        edited = with_rule_key(text, place, key, str(value).lower() if isinstance(value, bool) else repr(value))
        kept = parse(edited) == wanted
    except (PolicyError, LookupError):
        # Written so that there is no place for the key, such as an inline table over several keys.
        return dump(wanted)
    return edited if kept else dump(wanted)
