"""Running checks on an answer: what a check is given, what it says, and how long it may take.

A check is one module of this folder, with one function:

    check(request_body, answer, context, deadline) -> Finding

It finds an answer good or bad, or does not apply. It looks at a bounded part of what it is given, in time linear in
that part, because nothing can interrupt it; only the user's own functions run on a thread that is left behind when
their time is up.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Protocol, cast

from tierwise.checks.answer import Answer, ToolCall, read_answer
from tierwise.firewall import firewall

__all__ = [
    "KNOWN",
    "Answer",
    "CheckContext",
    "Deadline",
    "Finding",
    "OutOfTime",
    "ToolCall",
    "UserCheck",
    "Verdict",
    "read_answer",
    "run",
]

KNOWN: tuple[str, ...] = ("schema", "refusal", "truncation", "language", "citation", "contradiction", "agreement")
"""Names of the checks, those that cost least first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of an answer."""

    check: str
    passed: bool | None
    """None: it does not apply, or did not come to an end; `reason` says which."""
    reason: str = ""
    """Why not, without quoting the prompt or the answer; empty where there is nothing to say."""
    elapsed_s: float = 0.0


class Finding(NamedTuple):
    """What a check found, before it is timed."""

    passed: bool | None
    reason: str = ""


class UserCheck(NamedTuple):
    """A function of the user's that knows what a right answer is."""

    name: str
    function: Callable[[dict[str, Any], Answer], bool | float | None]
    """Request body and answer → True or from 0.5 on for good, False or less for bad, None to abstain."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check may know beside request and answer."""

    task_type: str | None = None
    """One of the taxonomy's ids."""
    schema: Any = None
    """The user's own, for the answer's text: a JSON Schema as a mapping, or a pydantic model class."""
    functions: tuple[UserCheck, ...] = ()
    """The user's blocking checks of this use case."""
    samples: tuple[Answer, ...] = field(default=(), repr=False)
    """Further answers of the same model to the same request, already paid for."""
    min_agreement: float = 1.0
    """Share of the answers that must agree, in (0, 1]."""


class OutOfTime(Exception):
    """A check's time is up; ends at `run`."""


class Deadline:
    """When a check has to have come to an end."""

    __slots__ = ("_at_s", "timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._at_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._at_s - time.monotonic())

    def check(self) -> None:
        """Called between the steps of a check.

        Raises:
            OutOfTime: no time is left.
        """
        if time.monotonic() >= self._at_s:
            raise OutOfTime


class _CheckModule(Protocol):
    def check(
        self, request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline
    ) -> Finding: ...


_NO_CONTEXT = CheckContext()


def run(
    names: Sequence[str],
    request_body: Mapping[str, Any],
    answer: Answer,
    *,
    timeout_s: float = 0.25,
    context: CheckContext | None = None,
) -> tuple[Verdict, ...]:
    """Run checks on an answer, one after another; a verdict a name, in the order given. Never raises.

    Args:
        names: of `KNOWN`; another gives a verdict that says so.
        request_body: the SDK's keyword arguments, or the JSON sent. Read, never changed.
        timeout_s: for each check.
        context: without one, checks that need more than request and answer do not apply.
    """
    return tuple(_run(name, request_body, answer, context or _NO_CONTEXT, timeout_s) for name in names)


def _run(
    name: str, request_body: Mapping[str, Any], answer: Answer, context: CheckContext, timeout_s: float
) -> Verdict:
    if name not in KNOWN:
        return Verdict(name, None, f"unknown check; known: {', '.join(KNOWN)}")
    began_s = time.perf_counter()
    finding = Finding(None, "the check failed; see the tierwise log")
    with firewall(f"running the {name} check"):
        try:
            finding = _module(name).check(request_body, answer, context, Deadline(timeout_s))
        except OutOfTime:
            finding = Finding(None, f"timed out after {timeout_s:g} s")
    return Verdict(name, finding.passed, finding.reason, time.perf_counter() - began_s)


@cache
def _module(name: str) -> _CheckModule:
    """The check of this name; imported when it is first run, so that an application pays only for what it uses."""
    return cast("_CheckModule", importlib.import_module(f"tierwise.checks.{name}"))
