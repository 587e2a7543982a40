"""The observations of Langfuse's SDKs, of which generations and embeddings are calls (Python SDK read at 5.0.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
    usage_attributes,
)
from tierwise.ingest.spans import Span

_SCOPES: Final = "langfuse"
_TYPE: Final = "langfuse.observation.type"
_MODEL: Final = "langfuse.observation.model.name"
_OPERATIONS: Final = {"generation": "chat", "embedding": "embeddings"}
_PARAMETERS: Final = {
    "temperature": sc.REQUEST_TEMPERATURE,
    "top_p": sc.REQUEST_TOP_P,
    "max_tokens": sc.REQUEST_MAX_TOKENS,
    "frequency_penalty": sc.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": sc.REQUEST_PRESENCE_PENALTY,
    "service_tier": sc.OPENAI_RESPONSE_SERVICE_TIER,
    "reasoning_effort": sc.REQUEST_REASONING_LEVEL,
}
_OWN_NAMES: Final = (
    (sc.USAGE_INPUT_TOKENS, ("input", "input_tokens", "prompt_tokens")),
    (sc.USAGE_OUTPUT_TOKENS, ("output", "output_tokens", "completion_tokens")),
    (sc.USAGE_CACHE_READ, ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read")),
    (sc.USAGE_CACHE_WRITE, ("cache_creation_input_tokens", "input_cache_creation")),
    (sc.USAGE_REASONING, ("output_reasoning_tokens", "output_reasoning")),
)
"""Counts as Langfuse's server keeps them: each kind of token apart, so that input and output leave out the rest."""
_NOT_KEPT: Final = frozenset(
    {
        _TYPE,
        _MODEL,
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.observation.model.parameters",
        "langfuse.observation.usage_details",
        "langfuse.internal.is_app_root",
    }
)


def claims(span: Span) -> bool:
    """Whether one of Langfuse's SDKs wrote the span; its processor marks the spans of others too."""
    return span.scope_name.startswith(_SCOPES) and _TYPE in span.attributes


def read(span: Span) -> Call | None:
    """The call; None for spans, events, agents, tools, chains, and a generation that names no model."""
    said = span.attributes
    operation, model = _OPERATIONS.get(str(said[_TYPE]).lower()), said.get(_MODEL)
    if operation is None or not isinstance(model, str):
        return None
    asked = mapping(said.get("langfuse.observation.model.parameters"))
    written, answer = parsed(said.get("langfuse.observation.input")), parsed(said.get("langfuse.observation.output"))
    request = mapping(written) if "messages" in mapping(written) else {"messages": written}
    reason = parsed(said.get("langfuse.observation.metadata.finish_reason"))
    attributes: dict[str, Any] = {
        sc.OPERATION_NAME: operation,
        sc.PROVIDER_NAME: "openai" if span.name.startswith("OpenAI-") else provider_name(None, model),
        sc.REQUEST_MODEL: model,
        sc.CONVERSATION_ID: first(said, "session.id", "langfuse.session.id"),
        sc.TENANT: first(said, "langfuse.trace.metadata.tenant", "user.id", "langfuse.user.id"),
        sc.USE_CASE_NAME: first(said, "langfuse.observation.prompt.name"),
        # Only a stream has a moment at which its answer began.
        sc.REQUEST_STREAM: "langfuse.observation.completion_start_time" in said or None,
        sc.RESPONSE_FINISH_REASONS: finish_reasons([reason]) or None,
        **{key: asked[name] for name, key in _PARAMETERS.items() if name in asked},
        **_usage(mapping(said.get("langfuse.observation.usage_details"))),
        **content_attributes(
            messages=request.get("messages"),
            system=request.get("system"),
            tools=request.get("tools") or (),
            answer=answer if operation == "chat" else None,
        ),
        **{key: value for key, value in said.items() if key not in _NOT_KEPT},
    }
    return from_attributes({key: value for key, value in attributes.items() if value is not None})


def _usage(block: Mapping[str, Any]) -> dict[str, Any]:
    """The counts, which the OpenAI wrapper passes on as it got them."""
    if found := usage_attributes(block):
        return found
    counts = {key: first(block, *names) for key, names in _OWN_NAMES}
    reasoning = counts[sc.USAGE_REASONING]
    if isinstance(reasoning, int) and isinstance(counts[sc.USAGE_OUTPUT_TOKENS], int):
        counts[sc.USAGE_OUTPUT_TOKENS] += reasoning
    include_cache_in_input(counts, is_left_out=True)
    return counts
