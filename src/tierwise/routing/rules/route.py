"""`kind = "route"`: a share of matching calls is sent to another model of the same provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tierwise.routing.guard import read_guard
from tierwise.routing.review import read_review
from tierwise.routing.rules import SHARED_KEYS

if TYPE_CHECKING:
    from tierwise.call import Request
    from tierwise.routing.document import TableReader
    from tierwise.routing.policy import Rule

KEYS = SHARED_KEYS

_STICKY_UNITS = {"conversation": "conversations", "use_case": "use cases", "none": "calls"}

TABLES: Mapping[str, Callable[[TableReader], Mapping[str, Any]]] = {"guard": read_guard, "review": read_review}


def target(rule: Rule, request: Request) -> str | None:
    return rule.to


def escalation(rule: Rule, request: Request) -> None:
    return None


def describe(rule: Rule) -> str:
    unit = _STICKY_UNITS[rule.sticky]
    text = f"go to {rule.to}" if rule.share == 1 else f"go to {rule.to} for {percent(rule.share)} of {unit}"
    if rule.holdout:
        text += f", with {percent(rule.holdout)} of {unit} kept back to measure by"
    return text


def percent(share: float) -> str:
    """A share in words, without digits that say nothing: 0.1 is `10%`, 0.005 is `0.5%`."""
    return f"{100 * share:.4g}%"
