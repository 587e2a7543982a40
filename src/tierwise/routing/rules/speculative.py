"""`kind = "speculative"`: a cheaper model answers first; when it takes long, the requested one is asked beside it."""

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
    "speculate": escalating.read_speculate,
    "guard": read_guard,
    "review": read_review,
}


def target(rule: Rule, request: Request) -> str | None:
    return rule.to


def escalation(rule: Rule, request: Request) -> Escalation:
    return escalating.speculation(rule, request)


def describe(rule: Rule) -> str:
    patience_s = rule.options.get("speculate", {}).get("patience_s", escalating.DEFAULT_PATIENCE_S)
    return (
        f"{route.describe(rule)}, and to the model they ask for beside it after {patience_s:g} s, or at once when the "
        f"answer is found wanting in {escalating.describe_checks(rule, 'speculate')}; the first good answer counts"
    )
