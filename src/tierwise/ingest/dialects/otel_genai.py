"""Any span with OpenTelemetry's `gen_ai.*` attributes, under today's names or older ones still being sent.

The official instrumentations were read at 1.3b0.
"""

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
    indexed,
    provider_name,
    sequence,
)
from tierwise.ingest.spans import Span

_INFERENCE_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""Other operations (invoke_agent, execute_tool, …) repeat the usage of the calls inside them."""

_RENAMED: Final = {
    "gen_ai.usage.prompt_tokens": sc.USAGE_INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": sc.USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.cache_read_input_tokens": sc.USAGE_CACHE_READ,
    "gen_ai.usage.cache_creation_input_tokens": sc.USAGE_CACHE_CREATION_LEGACY,
    "gen_ai.usage.reasoning_tokens": sc.USAGE_REASONING,
    "gen_ai.openai.request.service_tier": sc.OPENAI_REQUEST_SERVICE_TIER,
    "gen_ai.openai.request.seed": sc.REQUEST_SEED,
    "gen_ai.openai.response.service_tier": sc.OPENAI_RESPONSE_SERVICE_TIER,
    "gen_ai.request.is_stream": sc.REQUEST_STREAM,
    "llm.is_streaming": sc.REQUEST_STREAM,
    "session.id": sc.CONVERSATION_ID,
    "gen_ai.prompt.name": sc.USE_CASE_NAME,
}
"""Names of earlier versions of the conventions and of those who extend them. Today's name wins over them."""

_OPERATIONS_BY_LEGACY_TYPE: Final = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}
"""`llm.request.type`, from before gen_ai.operation.name."""
_TENANTS: Final = ("tenant.id", "tenant_id", "tenant", "user.id", "enduser.id", "gen_ai.request.user")
"""For whom the call was made, the most telling first."""


def claims(span: Span) -> bool:
    """Whether the span speaks of generative AI at all."""
    return any(key.startswith("gen_ai.") for key in span.attributes)


def read(span: Span) -> Call | None:
    """The call; None for agents, tools and other spans around calls, and for one that names no model."""
    return read_attributes(span.attributes)


def read_attributes(attributes: Mapping[str, Any]) -> Call | None:
    """The call that attributes under the conventions' names describe; None where they describe none."""
    current = _with_current_names(attributes)
    if current.get(sc.OPERATION_NAME) not in _INFERENCE_OPERATIONS:
        return None
    model = current.get(sc.REQUEST_MODEL) or current.get(sc.RESPONSE_MODEL)
    if not isinstance(model, str):
        return None
    current[sc.REQUEST_MODEL] = model
    current[sc.PROVIDER_NAME] = provider_name(first(current, sc.PROVIDER_NAME, sc.SYSTEM_LEGACY), model)
    include_cache_in_input(current)
    if (tenant := first(current, sc.TENANT, *_TENANTS)) is not None:
        current[sc.TENANT] = str(tenant)
    if sc.RESPONSE_FINISH_REASONS in current:
        current[sc.RESPONSE_FINISH_REASONS] = finish_reasons(sequence(current[sc.RESPONSE_FINISH_REASONS]))
    return from_attributes(current)


def _with_current_names(attributes: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {_RENAMED.get(key, key): value for key, value in attributes.items()}
    renamed.update({key: value for key, value in attributes.items() if key not in _RENAMED})
    if sc.OPERATION_NAME not in renamed:
        legacy_type = renamed.get("llm.request.type")
        # Before there were operations, a model's name on a gen_ai span meant a chat.
        renamed[sc.OPERATION_NAME] = _OPERATIONS_BY_LEGACY_TYPE.get(str(legacy_type), "chat")
    return _with_current_content(renamed)


def _with_current_content(attributes: dict[str, Any]) -> dict[str, Any]:
    """Content that stands in numbered keys, `gen_ai.prompt.0.content`, or in one text, as messages."""
    if not any(key.startswith(("gen_ai.prompt", "gen_ai.completion")) for key in attributes):
        return attributes
    found = content_attributes(
        messages=indexed(attributes, "gen_ai.prompt.") or sequence(attributes.get("gen_ai.prompt")),
        answer=indexed(attributes, "gen_ai.completion.") or sequence(attributes.get("gen_ai.completion")),
    )
    old = ("gen_ai.prompt", "gen_ai.completion")
    rest = {key: value for key, value in attributes.items() if key not in old and not _is_numbered(key)}
    return {**found, **rest}


def _is_numbered(key: str) -> bool:
    start, _, number = key.partition(".")[2].partition(".")
    return start in ("prompt", "completion") and number.partition(".")[0].isdecimal()
