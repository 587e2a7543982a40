"""`kind = "pin"`: matching calls stay on the model they ask for, whatever the rules below say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tierwise.call import Request
    from tierwise.routing.document import TableReader
    from tierwise.routing.policy import Rule

KEYS: frozenset[str] = frozenset()
TABLES: Mapping[str, Callable[[TableReader], Mapping[str, Any]]] = {}


def target(rule: Rule, request: Request) -> str | None:
    return None


def escalation(rule: Rule, request: Request) -> None:
    return None


def describe(rule: Rule) -> str:
    return "stay on the model they ask for"
