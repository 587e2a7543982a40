"""What several dialects write in the same way: JSON in a text, lists flattened into keys, a provider's usage block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.sdk import attributed

_CHAT = OPENAI.surfaces["/chat/completions"]
_RESPONSES = OPENAI.surfaces["/responses"]
_MESSAGES = ANTHROPIC.surfaces["/v1/messages"]

_PROVIDERS: Final[Mapping[str, str]] = {
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Others' names of a provider → the semantic conventions'."""
_MODEL_FAMILIES: Final = (
    (("claude",), "anthropic"),
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "davinci", "babbage"), "openai"),
    (("gemini",), "gcp.gemini"),
    (("mistral", "codestral", "ministral", "pixtral"), "mistral_ai"),
    (("deepseek",), "deepseek"),
    (("grok",), "x_ai"),
    (("command",), "cohere"),
)
_FINISH_REASONS: Final[Mapping[str, str]] = {
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
    "FinishReason.STOP": "stop",
}


def provider_name(said: object, model: object = None) -> str:
    """The conventions' name of a provider; by the model's family where nobody says it; `unknown` at last."""
    if isinstance(said, str) and said and said.lower() != "unknown":
        return _PROVIDERS.get(said.lower(), said.lower())
    family = model.lower() if isinstance(model, str) else ""
    return next((name for starts, name in _MODEL_FAMILIES if family.startswith(starts)), "unknown")


def finish_reasons(said: Iterable[object]) -> list[str]:
    """Finish reasons in a provider's words, where a library has put them in its own."""
    return [_FINISH_REASONS.get(str(reason), str(reason)) for reason in said if reason is not None]


def parsed(value: object) -> Any:
    """The value in a JSON text; any other value, and a text that is no JSON, as it is."""
    if not isinstance(value, str) or value[:1] not in '{["tfn-0123456789':
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def mapping(value: object) -> Mapping[str, Any]:
    """The mapping in a value or in its JSON text; empty when there is none."""
    held = parsed(value)
    return cast("Mapping[str, Any]", held) if isinstance(held, Mapping) else {}


def sequence(value: object) -> list[Any]:
    """The list in a value or in its JSON text; empty when there is none."""
    held = parsed(value)
    return list(cast("Iterable[Any]", held)) if isinstance(held, list | tuple) else []


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """A list that stands flattened in keys, such as `llm.input_messages.0.message.role`; items by the key's rest."""
    items: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if key.startswith(prefix):
            number, _, rest = key[len(prefix) :].partition(".")
            if number.isdecimal() and rest:
                items.setdefault(int(number), {})[rest] = value
    return [items[number] for number in sorted(items)]


def usage_attributes(block: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a provider's own usage block amounts to, read as the instrumentation reads an answer's.

    Empty for a block in nobody's shape.
    """
    if "prompt_tokens" in block:
        surface = _CHAT
    elif "input_tokens" not in block:
        return {}
    elif "input_tokens_details" in block or "total_tokens" in block:
        surface = _RESPONSES
    else:
        surface = _MESSAGES
    reply = surface.read(attributed({"usage": dict(block)}), False)
    if reply.usage is None:
        return {}
    return {
        key: value
        for key, value in to_attributes(Call("", "", "", usage=reply.usage, service_tier=reply.service_tier)).items()
        if key not in _NOT_USAGE
    }


_NOT_USAGE: Final = frozenset(to_attributes(Call("", "", "", usage=Usage())))


def include_cache_in_input(attributes: dict[str, Any], *, is_left_out: bool = False) -> None:
    """Make the input the total where it is not: some report Anthropic's own number, which leaves out caches.

    Args:
        is_left_out: known to be left out; otherwise it is taken to be where the cached part is more than the total.
    """
    fresh = attributes.get(sc.USAGE_INPUT_TOKENS)
    written = attributes.get(sc.USAGE_CACHE_WRITE) or attributes.get(sc.USAGE_CACHE_CREATION_LEGACY)
    cached = sum(count for count in (attributes.get(sc.USAGE_CACHE_READ), written) if isinstance(count, int))
    if isinstance(fresh, int) and cached and (is_left_out or cached > fresh):
        attributes[sc.USAGE_INPUT_TOKENS] = fresh + cached


def first(attributes: Mapping[str, Any], *keys: str) -> Any:
    """The first value that is neither absent nor empty."""
    return next((value for key in keys if (value := attributes.get(key)) not in (None, "")), None)
