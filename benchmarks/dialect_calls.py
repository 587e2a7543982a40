"""The calls of `dialects.py`, by what they exercise, and what the provider says about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODEL, CLAUDE = "gpt-4o", "claude-opus-4-7"
UNKNOWN_MODEL = "gpt-none"
"""One that the provider does not have: such calls fail."""
_SYSTEM = "Summarize the text of the user in one sentence. Keep names and figures."
_TEXT = "{}: On Monday the council of Ghent voted, by 31 to 20, to close the Graslei to cars from next May on."
_WEATHER: Mapping[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_DESCRIPTION = "Weather of a city."


@dataclass(frozen=True, slots=True)
class DialectCall:
    """One call that every instrumentation under test sees."""

    name: str
    """Stands in the prompt too, so that the provider knows which call it answers."""
    path: str
    """Of the SDK's method."""
    arguments: Mapping[str, Any]
    usage: Mapping[str, int]
    """Of a `tierwise.testing.ProviderUsage`."""
    calls_tool: bool = False
    fails: bool = False

    @property
    def provider(self) -> str:
        return "anthropic" if self.path.startswith("messages") else "openai"


def _call(name: str, path: str, usage: Mapping[str, int], **options: Any) -> DialectCall:
    fields = {key: options.pop(key) for key in ("calls_tool", "fails") if key in options}
    text = _TEXT.format(name)
    if path == "chat.completions.create":
        turns = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]
        arguments: dict[str, Any] = {"model": MODEL, "messages": turns, "max_tokens": 200}
        if options.get("stream"):
            arguments["stream_options"] = {"include_usage": True}
    elif path == "responses.create":
        arguments = {"model": MODEL, "instructions": _SYSTEM, "input": text}
    elif path == "embeddings.create":
        arguments = {"model": "text-embedding-3-small", "input": text}
    else:
        arguments = {
            "model": CLAUDE,
            "max_tokens": 200,
            "system": _SYSTEM,
            "messages": [{"role": "user", "content": text}],
        }
    return DialectCall(name, path, arguments | options, usage, **fields)


_CHAT, _RESPONSES, _MESSAGES = "chat.completions.create", "responses.create", "messages.create"
_CACHED = {"input_tokens": 1200, "output_tokens": 64, "cache_read": 900}
_WRITTEN = {**_CACHED, "cache_write_5m": 150, "cache_write_1h": 50}
_BARELY_CACHED = {"input_tokens": 1200, "output_tokens": 64, "cache_read": 200}
_OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": _DESCRIPTION, "parameters": _WEATHER},
}
_ANTHROPIC_TOOL = {"name": "weather", "description": _DESCRIPTION, "input_schema": _WEATHER}

CALLS = (
    _call("chat", _CHAT, {"input_tokens": 120, "output_tokens": 20}),
    _call("chat stream", _CHAT, {"input_tokens": 130, "output_tokens": 21}, stream=True),
    _call("chat tool", _CHAT, {"input_tokens": 140, "output_tokens": 22}, tools=[_OPENAI_TOOL], calls_tool=True),
    _call("chat cached", _CHAT, _CACHED),
    _call("chat cached stream", _CHAT, _CACHED, stream=True),
    _call("chat reasoning", _CHAT, {"input_tokens": 150, "output_tokens": 90, "reasoning": 70}),
    _call("chat refused", _CHAT, {}, model=UNKNOWN_MODEL, fails=True),
    _call("responses", _RESPONSES, {**_CACHED, "reasoning": 10}),
    _call("responses stream", _RESPONSES, {**_CACHED, "reasoning": 10}, stream=True),
    _call("embeddings", "embeddings.create", {"input_tokens": 90, "output_tokens": 0}),
    _call("messages", _MESSAGES, {"input_tokens": 160, "output_tokens": 24}),
    _call("messages stream", _MESSAGES, {"input_tokens": 170, "output_tokens": 25}, stream=True),
    _call(
        "messages tool", _MESSAGES, {"input_tokens": 180, "output_tokens": 26}, tools=[_ANTHROPIC_TOOL], calls_tool=True
    ),
    _call("messages cached", _MESSAGES, _WRITTEN),
    _call("messages cached stream", _MESSAGES, _WRITTEN, stream=True),
    _call("messages barely cached", _MESSAGES, _BARELY_CACHED),
    _call("messages refused", _MESSAGES, {}, model=UNKNOWN_MODEL, fails=True),
)
