"""The request parameters of each API: which are safe to move, which ask something of a model, which have two names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierwise.routing.capabilities import Capability

# Named after what they are to a change of model: safe to leave as they are, or looked at by a check in `compat`.
_SHARED = frozenset({"metadata", "model", "service_tier", "stream", "stream_options", "tool_choice", "tools"})
_OPENAI = frozenset(
    {
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "temperature",
        "top_logprobs",
        "top_p",
        "user",
    }
)
_KNOWN: Mapping[str, frozenset[str]] = {
    "chat_completions": _SHARED
    | _OPENAI
    | {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
    },
    "responses": _SHARED
    | _OPENAI
    | {
        "background",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "truncation",
    },
    "messages": _SHARED
    | {
        "anthropic_version",
        "cache_control",
        "container",
        "inference_geo",
        "max_tokens",
        "messages",
        "output_config",
        "speed",
        "stop_sequences",
        "system",
        "temperature",
        "thinking",
        "top_k",
        "top_p",
    },
}

NESTED_PARAMETERS: Mapping[str, frozenset[str]] = {
    "output_config": frozenset({"effort", "format"}),
    "reasoning": frozenset({"effort", "summary"}),
    "text": frozenset({"format"}),
    "thinking": frozenset({"type", "budget_tokens", "display"}),
}
"""Parameters that are tables, and what in them has been looked at."""

_SAMPLING_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "top_k": (),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "n": (1,),
    "seed": (),
    "stop": ([],),
}
"""Parameters that reasoning models reject, each with the values that say nothing."""


_UNSET_TYPES = frozenset({"NoneType", "NotGiven", "Omit"})


def set_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `body` that say something: the SDKs leave marks of their own for parameters not given."""
    return {name: value for name, value in body.items() if type(value).__name__ not in _UNSET_TYPES}


def known_parameters(api: str) -> frozenset[str] | None:
    """Every parameter of `api` that has been looked at; None for an API whose calls are not routed."""
    return _KNOWN.get(api)


def sampling_in_use(body: Mapping[str, Any]) -> list[str]:
    """Sampling parameters of `body` that are set to something else than their default."""
    in_use = [
        name
        for name, defaults in _SAMPLING_DEFAULTS.items()
        if body.get(name) is not None and body[name] not in defaults
    ]
    include = body.get("include")
    if isinstance(include, list | tuple) and "message.output_text.logprobs" in include:
        in_use.append("logprobs")
    return in_use


def output_cap(body: Mapping[str, Any]) -> int | None:
    """Output tokens asked for at most; None when the request sets no limit."""
    for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        value = body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def effort_of(body: Mapping[str, Any]) -> str | None:
    """Reasoning effort asked for, in any of the three places where the APIs have it."""
    for place, name in (
        (body, "reasoning_effort"),
        (body.get("reasoning"), "effort"),
        (body.get("output_config"), "effort"),
    ):
        value = place.get(name) if isinstance(place, dict) else None
        if value is not None:
            return str(value)
    return None


def thinking_of(body: Mapping[str, Any]) -> str | None:
    """Anthropic thinking mode asked for: adaptive, enabled, disabled…"""
    thinking = body.get("thinking")
    if thinking is None:
        return None
    return str(thinking.get("type")) if isinstance(thinking, dict) else "unreadable"


def output_format(body: Mapping[str, Any]) -> str | None:
    """Structured output asked for: `json_schema`, `json_object`; None for plain text."""
    text, config = body.get("text"), body.get("output_config")
    candidates = (
        body.get("response_format"),
        text.get("format") if isinstance(text, dict) else None,
        config.get("format") if isinstance(config, dict) else None,
    )
    for wanted in candidates:
        kind = wanted.get("type") if isinstance(wanted, dict) else wanted
        if kind not in (None, "text"):
            return str(kind)
    return None


def _reasons(target: Capability) -> bool:
    return "reasoning" in target.features


def _does_not_reason(target: Capability) -> bool:
    return "reasoning" not in target.features


ADAPTATIONS: tuple[tuple[str, str, Callable[[Capability], bool]], ...] = (
    ("max_tokens", "max_completion_tokens", _reasons),
    ("max_completion_tokens", "max_tokens", _does_not_reason),
)
"""Chat Completions parameters with two names: the one it has, the one it gets, and for which targets."""
