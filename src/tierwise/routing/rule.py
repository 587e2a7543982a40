"""One rule as a value: which calls it is about, and what it does to them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tierwise.call import Request
from tierwise.routing.guard import Guard
from tierwise.routing.rules import rule_kind
from tierwise.routing.window import Window, window

Sticky = Literal["conversation", "use_case", "none"]


@dataclass(frozen=True, slots=True)
class When:
    """Which calls a rule is about. A matcher that is empty or None matches every call."""

    task_type: tuple[str, ...] = ()
    use_case: tuple[str, ...] = ()
    """Ids or names."""
    request_model: tuple[str, ...] = ()
    """Exact names: a dated snapshot is matched only by its own."""
    tenant: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    complexity: tuple[str, ...] = ()
    min_input_tokens: int | None = None
    """Inclusive, against `Request.input_tokens_estimate`."""
    max_input_tokens: int | None = None
    """Inclusive, against `Request.input_tokens_estimate`."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)
    """Of the `use_case` block the call is made in: each name must be declared there with one of its values."""
    hours: str | None = None
    """`08:00-18:00`, the end excluded; `22:00-06:00` is one night, which belongs to the day it begins on."""
    days: tuple[str, ...] = ()
    """mon, tue, wed, thu, fri, sat, sun."""
    timezone: str = "UTC"
    """IANA name; whose clock `hours` and `days` go by."""
    window: Window | None = field(init=False, repr=False, compare=False, default=None)
    """`hours`, `days` and `timezone` in one; None without the first two."""
    is_plain: bool = field(init=False, repr=False, compare=False, default=True)
    """Whether attributes and time are left open, as most rules do: these are then not looked at."""

    def __post_init__(self) -> None:
        if self.hours is not None or self.days:
            object.__setattr__(self, "window", window(self.hours, self.days, self.timezone))
        object.__setattr__(self, "is_plain", not self.attributes and self.window is None)

    def matches(self, request: Request) -> bool:
        """Whether `request` is one of the calls meant."""
        return not (
            (self.request_model and request.model not in self.request_model)
            or (self.task_type and request.task_type not in self.task_type)
            or (
                self.use_case
                and request.use_case_id not in self.use_case
                and request.use_case_name not in self.use_case
            )
            or (self.complexity and request.complexity not in self.complexity)
            or (self.tenant and request.tenant not in self.tenant)
            or (self.provider and request.provider not in self.provider)
            or (self.max_input_tokens is not None and request.input_tokens_estimate > self.max_input_tokens)
            or (self.min_input_tokens is not None and request.input_tokens_estimate < self.min_input_tokens)
            or not (self.is_plain or self._declared_and_timed(request))
        )

    def _declared_and_timed(self, request: Request) -> bool:
        declared = request.attributes or {}
        for name, values in self.attributes.items():
            if declared.get(name) not in values:
                return False
        at_ns = time.time_ns() if request.at_ns is None else request.at_ns
        return self.window is None or self.window.contains(at_ns)

    def describe(self) -> str:
        """The calls meant, in words: `extraction calls for claude-opus-5-5 of at most 8,000 input tokens`."""
        text = f"{_either(self.task_type)} calls" if self.task_type else "calls"
        if self.request_model:
            text += f" for {_either(self.request_model)}"
        if self.use_case:
            text += f" of use case {_either(self.use_case)}"
        if self.tenant:
            text += f" of tenant {_either(self.tenant)}"
        if self.provider:
            text += f" at {_either(self.provider)}"
        if self.complexity:
            text += f" of {_either(self.complexity)} complexity"
        if self.min_input_tokens is not None:
            text += f" of at least {self.min_input_tokens:,} input tokens"
        if self.max_input_tokens is not None:
            text += f" {'and' if self.min_input_tokens is not None else 'of'} at most "
            text += f"{self.max_input_tokens:,} input tokens"
        for name, values in self.attributes.items():
            text += f" with {name} {_either(values)}"
        if self.hours is not None:
            text += f" from {self.hours.replace('-', ' to ')}"
        if self.days:
            text += f" on {_either(self.days)}"
        if self.window is not None:
            text += f" ({self.timezone})"
        return text if self != When() else "all calls"


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Fields that a kind does not take keep their defaults."""

    id: str
    kind: str
    when: When = When()
    to: str | None = None
    """The model matching calls are sent to; None for a kind that sends nowhere."""
    share: float = 1.0
    """In (0, 1]: part of the calls outside the holdout that is sent to `to`."""
    sticky: Sticky = "conversation"
    """What keeps one model: a conversation, a whole use case, or nothing (each call is drawn)."""
    holdout: float = 0.0
    """In [0, 0.5]: part that stays on the requested model for measuring, at every share."""
    allow_unknown_target: bool = False
    """Send to a model the capability table does not know, trusting whoever wrote the rule."""
    enabled: bool = True
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Sub-tables of the rule's kind, such as `guard`."""
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the rule was approved on; kept as written and never read here."""

    @property
    def guard(self) -> Guard | None:
        limits = self.options.get("guard")
        return None if limits is None else Guard(**limits)

    def describe(self) -> str:
        """The rule in one plain sentence."""
        sentence = f"{self.when.describe()} {rule_kind(self.kind).describe(self)}."
        return f"{'' if self.enabled else 'Disabled: '}{sentence[0].upper()}{sentence[1:]}"


@dataclass(frozen=True, slots=True)
class ShadowPlan:
    """How evidence is gathered: which calls are also put, in the background, to a cheaper model."""

    sample: float = 0.0
    """In [0, 1]: probability that an eligible call is shadowed."""
    daily_budget_usd: Decimal = Decimal(0)
    """Per process and UTC day."""
    candidates: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Cheaper models by requested model."""

    def describe(self) -> str:
        """The plan in one plain sentence."""
        if not self.sample:
            return "No call is shadowed."
        pairs = "; ".join(f"{model} by {_either(models)}" for model, models in self.candidates.items())
        return (
            f"{100 * self.sample:.4g}% of eligible calls are shadowed, for at most "
            f"${self.daily_budget_usd:,.2f} a day and process: {pairs or 'by the target of the rule that matches'}."
        )
