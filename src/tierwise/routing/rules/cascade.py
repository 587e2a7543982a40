"""`kind = "cascade"`: a cheaper model answers first; an answer that does not pass its checks goes to the next model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tierwise.routing import escalation as escalating
from tierwise.routing.guard import read_guard
from tierwise.routing.review import read_review
from tierwise.routing.rules import SHARED_KEYS, route

if TYPE_CHECKING:
    from tierwise.call import Escalation, Request
    from tierwise.routing.document import TableReader
    from tierwise.routing.policy import Rule

KEYS = SHARED_KEYS
TABLES: Mapping[str, Callable[[TableReader], Mapping[str, Any]]] = {
    "escalate": escalating.read_escalate,
    "guard": read_guard,
    "review": read_review,
}


def target(rule: Rule, request: Request) -> str | None:
    return next(iter(escalating.tiers(rule, request)), None)


def escalation(rule: Rule, request: Request) -> Escalation:
    return escalating.cascade(rule, request)


def describe(rule: Rule) -> str:
    between = rule.options.get("escalate", {}).get("to", ())
    path = ", then ".join([*between, "the model they ask for"])
    text = f"{route.describe(rule)}, and on to {path} when the answer is found wanting in "
    text += escalating.describe_checks(rule, "escalate")
    if proxy := escalating.describe_proxy(rule):
        text += f"; {proxy} skip {rule.to}"
    return text
