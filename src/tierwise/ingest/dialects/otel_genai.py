"""Any span with OpenTelemetry's `gen_ai.*` attributes, under today's names or older ones still being sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import Call
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
}
"""Names of earlier versions of the conventions, and of traceloop and openlit. Today's name wins over them."""

_OPERATIONS_BY_LEGACY_TYPE: Final = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}
"""`llm.request.type`, from before gen_ai.operation.name."""

_PROVIDERS_BY_LEGACY_SYSTEM: Final = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}


def claims(span: Span) -> bool:
    """Whether the span speaks of generative AI at all."""
    return any(key.startswith("gen_ai.") for key in span.attributes)


def read(span: Span) -> Call | None:
    """The call; None for agents, tools and other spans around calls, and for one that names no model."""
    attributes = _with_current_names(span.attributes)
    operation = attributes.get(sc.OPERATION_NAME)
    if operation not in _INFERENCE_OPERATIONS:
        return None
    model = attributes.get(sc.REQUEST_MODEL) or attributes.get(sc.RESPONSE_MODEL)
    if not isinstance(model, str):
        return None
    attributes[sc.REQUEST_MODEL] = model
    _include_cache_in_input(attributes)
    return from_attributes(attributes)


def _with_current_names(attributes: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {_RENAMED.get(key, key): value for key, value in attributes.items()}
    renamed.update({key: value for key, value in attributes.items() if key not in _RENAMED})
    if sc.OPERATION_NAME not in renamed:
        legacy_type = renamed.get("llm.request.type")
        # Before there were operations, a model's name on a gen_ai span meant a chat.
        renamed[sc.OPERATION_NAME] = _OPERATIONS_BY_LEGACY_TYPE.get(str(legacy_type), "chat")
    if not isinstance(renamed.get(sc.PROVIDER_NAME), str):
        system = str(renamed.get(sc.SYSTEM_LEGACY, "unknown")).lower()
        renamed[sc.PROVIDER_NAME] = _PROVIDERS_BY_LEGACY_SYSTEM.get(system, system)
    return renamed


def _include_cache_in_input(attributes: dict[str, Any]) -> None:
    """Make the input the total where it is plainly not: some report Anthropic's own number, which leaves out caches."""
    fresh = attributes.get(sc.USAGE_INPUT_TOKENS)
    written = attributes.get(sc.USAGE_CACHE_WRITE) or attributes.get(sc.USAGE_CACHE_CREATION_LEGACY)
    cached = sum(count for count in (attributes.get(sc.USAGE_CACHE_READ), written) if isinstance(count, int))
    if isinstance(fresh, int) and cached > fresh:
        attributes[sc.USAGE_INPUT_TOKENS] = fresh + cached
