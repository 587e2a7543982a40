"""The provider of the fault trials: what it answers, whichever model a policy made of the one that was asked for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest, ProviderUsage, ToolCall

TEXT = "Paris is the capital of France, and has been for a long time."
USAGE = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900, cache_write_5m=150, cache_write_1h=50)


@dataclass(frozen=True)
class Models:
    """The model a call asks for, by package, and what the policy makes of it."""

    openai: str
    anthropic: str
    target: str
    """Substring of the names of the models a call is routed or shadowed to."""


ROUTED = Models("gpt-4o", "claude-opus-4-7", "gpt-4o-mini claude-haiku-4-5")
SHADOWED = Models("gpt-4.1", "claude-opus-4-8", "gpt-4.1-mini claude-haiku-5-5")
FAILING = Models("gpt-4-turbo", "claude-opus-4-6", "gpt-4.1-nano claude-sonnet-4-6")
"""Models whose target does not exist, so that every call falls back."""
CASCADED = Models("gpt-cascaded", "claude-cascaded", "gpt-cascaded-mini claude-cascaded-mini")
ESCALATED = Models("gpt-escalated", "claude-escalated", "gpt-escalated-mini claude-escalated-mini")
"""Models whose target refuses, so that every call that is checked escalates."""
SPECULATED = Models("gpt-speculated", "claude-speculated", "gpt-speculated-mini claude-speculated-mini")
MODELS = {
    "routed": ROUTED,
    "shadowed": SHADOWED,
    "falls back": FAILING,
    "cascaded": CASCADED,
    "escalated": ESCALATED,
    "speculated": SPECULATED,
}
CHECKED = (CASCADED, ESCALATED, SPECULATED)
"""Models whose target's answer is looked at before it is handed out."""

POLICY = """
version = 1
mode = "enforce"
[shadow]
sample = 1.0
daily_budget_usd = 1000000.0
[shadow.candidates]
"gpt-4.1" = ["gpt-4.1-mini"]
"claude-opus-4-8" = ["claude-haiku-5-5"]
""" + "".join(
    f'[[rule]]\nid = "{requested}"\nkind = "{kind}"\nto = "{target}"\nallow_unknown_target = true\n'
    f'when = {{ request_model = ["{requested}"] }}\n'
    for models, kind in (
        (ROUTED, "route"),
        (FAILING, "route"),
        (CASCADED, "cascade"),
        (ESCALATED, "cascade"),
        (SPECULATED, "speculative"),
    )
    for requested, target in zip((models.openai, models.anthropic), models.target.split(), strict=True)
)


SAYS = Answer(TEXT, usage=USAGE, model="the model of the day")


def answer(request: ProviderRequest) -> Answer | Fault:
    """The same answer whichever model is asked, but for those that do not exist."""
    if request.model in FAILING.target.split():
        return Fault.unknown_model(request.model)
    if request.model in ESCALATED.target.split():
        return replace(SAYS, refusal=True)
    return replace(SAYS, tool_calls=[ToolCall("lookup", {"city": "Paris"})]) if request.body.get("tools") else SAYS


@contextmanager
def scripted(provider: LoopbackProvider, *faults: Fault) -> Generator[None]:
    """One fault for each call; a call that falls back meets it twice."""
    waiting = list(faults)

    def fail(request: ProviderRequest) -> Answer | Fault:
        if request.model in FAILING.target.split():
            return answer(request)
        fault = waiting[0]
        falls_back = not fault.after_chunks and request.model in ROUTED.target.split()
        is_checked = any(request.model in models.target.split() for models in CHECKED)
        return fault if falls_back or is_checked else waiting.pop(0)

    provider.answer(fail)
    try:
        yield
    finally:
        provider.answer(answer)


def start_provider() -> LoopbackProvider:
    """A provider that dates every answer alike. Stop it when done."""
    provider = LoopbackProvider(clock=lambda: 1_700_000_000_000_000_000).start()
    provider.answer(answer)
    return provider
