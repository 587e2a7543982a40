"""The spans of Vercel's AI SDK (`experimental_telemetry`, npm package `ai`, read at 6.0.326)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import Call
from tierwise.ingest.dialects.content import content_attributes
from tierwise.ingest.dialects.reported import (
    finish_reasons,
    first,
    include_cache_in_input,
    mapping,
    parsed,
    provider_name,
    sequence,
    usage_attributes,
)
from tierwise.ingest.spans import Span

_OPERATION: Final = "ai.operationId"
_CALLS: Final = {".doGenerate": "chat", ".doStream": "chat", ".doEmbed": "embeddings"}
"""Ends of the operations that ask a provider; those without, such as `ai.generateText`, stand around them."""
_APIS: Final = {
    "chat": "chat_completions",
    "completion": "completions",
    "embedding": "embeddings",
    "messages": "messages",
    "responses": "responses",
}
"""Last part of `ai.model.provider`, such as `openai.responses` → `openai.api.type`."""
_METADATA: Final = "ai.telemetry.metadata."
_COUNTS: Final = {
    sc.USAGE_INPUT_TOKENS: ("ai.usage.inputTokens", "gen_ai.usage.input_tokens", "ai.usage.promptTokens"),
    sc.USAGE_OUTPUT_TOKENS: ("ai.usage.outputTokens", "gen_ai.usage.output_tokens", "ai.usage.completionTokens"),
    sc.USAGE_CACHE_READ: ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    sc.USAGE_CACHE_WRITE: ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    sc.USAGE_REASONING: ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
}
_READ: Final = ("ai.", "gen_ai.", "operation.name", "resource.name")
"""Keys under which is said here what the call says itself."""


def claims(span: Span) -> bool:
    """Whether the AI SDK wrote the span."""
    return _OPERATION in span.attributes


def read(span: Span) -> Call | None:
    """The call; None for the span around all steps of a generation, and for those of tools."""
    said = span.attributes
    operation_id = str(said[_OPERATION])
    operation = next((name for end, name in _CALLS.items() if operation_id.endswith(end)), None)
    model = first(said, "gen_ai.request.model", "ai.model.id")
    if operation is None or not isinstance(model, str):
        return None
    system, _, api = str(said.get("ai.model.provider", "")).partition(".")
    if system == "gateway":
        # Its models are named with whom they are from: `anthropic/claude-opus-4-7`.
        system, _, model = model.rpartition("/")
    vendor = mapping(said.get("ai.response.providerMetadata"))
    attributes: dict[str, Any] = {
        sc.OPERATION_NAME: operation,
        sc.PROVIDER_NAME: provider_name("vertex" if api.startswith("vertex") else system, model),
        sc.OPENAI_API_TYPE: _APIS.get(api.rpartition(".")[2]),
        sc.REQUEST_MODEL: model,
        sc.RESPONSE_MODEL: first(said, "ai.response.model", "gen_ai.response.model"),
        sc.RESPONSE_ID: first(said, "ai.response.id", "gen_ai.response.id"),
        sc.REQUEST_STREAM: operation_id.endswith(".doStream") or None,
        sc.RESPONSE_TIME_TO_FIRST_CHUNK: _seconds(said.get("ai.response.msToFirstChunk")),
        sc.RESPONSE_FINISH_REASONS: finish_reasons([first(said, "ai.response.finishReason")]) or None,
        sc.REQUEST_MAX_TOKENS: said.get("ai.settings.maxOutputTokens"),
        sc.REQUEST_TEMPERATURE: said.get("ai.settings.temperature"),
        sc.OUTPUT_TYPE: "json" if operation_id.startswith(("ai.generateObject", "ai.streamObject")) else None,
        sc.USE_CASE_NAME: first(said, "ai.telemetry.functionId"),
        sc.CONVERSATION_ID: _metadata(said, "conversationId", "sessionId", "threadId", "chatId"),
        sc.TENANT: _metadata(said, "tenant", "tenantId", "userId"),
        sc.OPENAI_RESPONSE_SERVICE_TIER: mapping(vendor.get("openai")).get("serviceTier"),
        **_usage(said, vendor, operation),
        **_content(said, operation),
        **{key: value for key, value in said.items() if key.startswith(_METADATA) or not key.startswith(_READ)},
    }
    include_cache_in_input(attributes)
    return from_attributes({key: value for key, value in attributes.items() if value is not None})


def _usage(said: Mapping[str, Any], vendor: Mapping[str, Any], operation: str) -> dict[str, Any]:
    if operation == "embeddings":
        return {sc.USAGE_INPUT_TOKENS: said.get("ai.usage.tokens")}
    counts = {key: first(said, *names) for key, names in _COUNTS.items()}
    # Anthropic's own block tells how long what was written to the cache will last.
    return {**counts, **usage_attributes(mapping(mapping(vendor.get("anthropic")).get("usage")))}


def _content(said: Mapping[str, Any], operation: str) -> dict[str, str]:
    if operation == "embeddings":
        return content_attributes(messages=[parsed(value) for value in sequence(said.get("ai.values"))])
    answer: dict[str, Any] = {"content": said.get("ai.response.text") or said.get("ai.response.object") or ""}
    calls = [cast("Mapping[str, Any]", call) for call in sequence(said.get("ai.response.toolCalls"))]
    answer["tool_calls"] = [{"name": call.get("toolName"), "arguments": call.get("input")} for call in calls]
    return content_attributes(
        messages=sequence(said.get("ai.prompt.messages")), tools=sequence(said.get("ai.prompt.tools")), answer=answer
    )


def _metadata(said: Mapping[str, Any], *names: str) -> str | None:
    found = first(said, *(_METADATA + name for name in names))
    return None if found is None else str(found)


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None
