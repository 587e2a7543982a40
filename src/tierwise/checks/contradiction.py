"""Whether the answer contradicts what the user knows: `@tierwise.check(…, blocking=True)` functions, asked in place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from tierwise.checks.answer import Answer
from tierwise.checks.bounded_thread import call_within
from tierwise.checks.check import CheckContext, Deadline, Finding


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when one of the functions says so; it does not apply when all abstain, raise or run out of time."""
    if not context.functions:
        return Finding(None, "no blocking check is registered for the use case")
    passed: bool | None = None
    reasons: list[str] = []
    for one in context.functions:
        # A dict of its own each, so that what one changes at the top the next does not see.
        outcome = call_within(partial(one.function, dict(request_body), answer), deadline.left_s())
        if outcome.timed_out:
            reasons.append(f"{one.name} timed out")
            continue
        if outcome.error is not None:
            reasons.append(f"{one.name} raised {type(outcome.error).__name__}")
            continue
        good = _is_good(outcome.value)
        if good is False:
            return Finding(False, f"{one.name} found it wrong")
        if good is None:
            reasons.append(f"{one.name} abstained")
        else:
            passed = True
    return Finding(passed, "; ".join(reasons))


def _is_good(value: Any) -> bool | None:
    """A function's verdict; None for an abstention, and for what is none."""
    if type(value).__module__ == "numpy" and callable(getattr(value, "item", None)):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1:
        return value >= 0.5
    return None
