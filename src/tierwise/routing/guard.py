"""The limits of a rule, past which it is taken out of force, and what it takes to raise its share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from tierwise.routing.document import TableReader


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits past which a rule is rolled back; None: no limit of its own."""

    min_retention: float | None = None
    """Quality kept, target over requested model, in [0, 1]."""
    max_failure_rate: float | None = None
    """Share of the rule's calls that the target failed, in [0, 1]."""
    daily_budget_usd: Decimal | None = None
    """What the calls that the rule sends to its target may cost in a UTC day, over all processes."""
    auto_step_up: bool = False
    """Raise the share step by step while the evidence holds, without a person."""
    min_days: float = 3.0
    """At one share, before the next is proposed."""
    min_calls: int = 200
    """Sent to the target at one share, before the next is proposed."""


_KEYS = tuple(item.name for item in fields(Guard))


def read_guard(table: TableReader) -> Mapping[str, Any]:
    """The `[rule.guard]` table: the arguments of `Guard` that it gives."""
    table.only(_KEYS)
    given: dict[str, Any] = {
        name: table.number(name, 0.0, low=0.0, high=1.0)
        for name in ("min_retention", "max_failure_rate")
        if name in table.values
    }
    if "daily_budget_usd" in table.values:
        given["daily_budget_usd"] = Decimal(
            str(table.number("daily_budget_usd", 0.0, low=0.0, high=1e9, low_allowed=False))
        )
    if "auto_step_up" in table.values:
        given["auto_step_up"] = table.flag("auto_step_up", False)
    if "min_days" in table.values:
        given["min_days"] = table.number("min_days", 0.0, low=0.0, high=3650.0)
    if "min_calls" in table.values:
        given["min_calls"] = table.whole("min_calls")
    return given
