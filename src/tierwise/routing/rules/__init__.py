"""Rule kinds: one module each in this folder, and the module's name is the `kind` a policy file writes.

A kind module has five names:

    KEYS          the keys of `SHARED_KEYS` that a rule of this kind takes, beside those that every rule takes
    TABLES        names of the sub-tables that only this kind takes, each with the function that reads it
    target()      the model a matching request is sent to when its arm is a treated one; None: the requested one
    escalation()  the models that may follow it within the call, and when; None: none but after a failure
    describe()    what the rule does to the calls it matches, as the second half of a sentence
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from tierwise.call import Escalation, Request
    from tierwise.routing.document import TableReader
    from tierwise.routing.policy import Rule

SHARED_KEYS = frozenset({"to", "share", "sticky", "holdout", "allow_unknown_target"})


class RuleKind(Protocol):
    """What the registry gives for a kind; the modules of this folder have this shape."""

    @property
    def KEYS(self) -> frozenset[str]: ...

    @property
    def TABLES(self) -> Mapping[str, Callable[[TableReader], Mapping[str, Any]]]: ...

    def target(self, rule: Rule, request: Request) -> str | None: ...

    def escalation(self, rule: Rule, request: Request) -> Escalation | None: ...

    def describe(self, rule: Rule) -> str: ...


@cache
def known_kinds() -> tuple[str, ...]:
    """Names of every kind this tierwise can carry out, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def rule_kind(name: str) -> RuleKind:
    """The kind called `name`, which must be one of `known_kinds()`."""
    return cast("RuleKind", importlib.import_module(f"{__name__}.{name}"))
