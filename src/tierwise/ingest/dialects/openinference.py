"""Spans in OpenInference's conventions, as Phoenix's and Arize's instrumentations write them.

Read at openai 0.1.66 and anthropic 3.1.0. The whole answer stands in `output.value`, so that what the attributes leave
out is read from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    mapping,
    provider_name,
    usage_attributes,
)
from tierwise.ingest.spans import Span

_KIND: Final = "openinference.span.kind"
_OPERATIONS: Final = {"LLM": "chat", "EMBEDDING": "embeddings"}
"""Chains, agents, tools, retrievers and the rest repeat what the calls inside them say."""
_COUNTS: Final = {
    "llm.token_count.prompt": sc.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": sc.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": sc.USAGE_CACHE_READ,
    "llm.token_count.prompt_details.cache_write": sc.USAGE_CACHE_WRITE,
    "llm.token_count.prompt_details.audio": sc.USAGE_AUDIO_INPUT,
    "llm.token_count.completion_details.reasoning": sc.USAGE_REASONING,
    "llm.token_count.completion_details.audio": sc.USAGE_AUDIO_OUTPUT,
}
_PARAMETERS: Final = {
    "temperature": sc.REQUEST_TEMPERATURE,
    "top_p": sc.REQUEST_TOP_P,
    "top_k": sc.REQUEST_TOP_K,
    "max_tokens": sc.REQUEST_MAX_TOKENS,
    "max_completion_tokens": sc.REQUEST_MAX_TOKENS,
    "max_output_tokens": sc.REQUEST_MAX_TOKENS,
    "seed": sc.REQUEST_SEED,
    "reasoning_effort": sc.REQUEST_REASONING_LEVEL,
    "service_tier": sc.OPENAI_REQUEST_SERVICE_TIER,
}
_READ: Final = ("llm.", "embedding.", "input.", "output.", _KIND)
"""Keys under which is said here what the call says itself."""
_KEPT: Final = ("llm.cost.", "llm.prompt_template.version")


def claims(span: Span) -> bool:
    """Whether the span is in OpenInference's conventions."""
    return _KIND in span.attributes


def read(span: Span) -> Call | None:
    """The call; None for chains, agents, tools, retrievers and rerankers."""
    said = span.attributes
    operation = _OPERATIONS.get(str(said[_KIND]).upper())
    asked = mapping(first(said, "llm.invocation_parameters", "embedding.invocation_parameters"))
    model = first(said, "llm.request.model_name", "embedding.model_name") or asked.get("model")
    answered_by = first(said, "llm.response.model_name", "llm.model_name")
    if operation is None or not isinstance(model or answered_by, str):
        return None
    request, answer = mapping(said.get("input.value")), mapping(said.get("output.value"))
    metadata = mapping(said.get("metadata"))
    attributes: dict[str, Any] = {
        sc.OPERATION_NAME: operation,
        sc.PROVIDER_NAME: provider_name(first(said, "llm.provider", "llm.system"), model or answered_by),
        sc.REQUEST_MODEL: model or answered_by,
        sc.RESPONSE_MODEL: answered_by,
        sc.RESPONSE_ID: answer.get("id"),
        sc.REQUEST_STREAM: True if asked.get("stream", request.get("stream")) is True else None,
        sc.CONVERSATION_ID: first(said, "session.id") or first(metadata, "session_id", "thread_id"),
        sc.TENANT: first(metadata, "tenant", "tenant_id") or first(said, "user.id"),
        sc.USE_CASE_NAME: first(metadata, "use_case"),
        sc.RESPONSE_FINISH_REASONS: list(_finish_reasons(said, answer)) or None,
        sc.OPENAI_RESPONSE_SERVICE_TIER: answer.get("service_tier"),
        sc.OUTPUT_TYPE: "json" if "json" in str(mapping(asked.get("response_format")).get("type")) else None,
        **{key: asked[name] for name, key in _PARAMETERS.items() if name in asked},
        **{key: said[name] for name, key in _COUNTS.items() if said.get(name)},
        **usage_attributes(mapping(answer.get("usage"))),
        **_content(said, operation),
        **{key: value for key, value in said.items() if key.startswith(_KEPT) or not key.startswith(_READ)},
    }
    include_cache_in_input(attributes)
    return from_attributes({key: value for key, value in attributes.items() if value is not None})


def _finish_reasons(said: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    yield from finish_reasons([first(said, "llm.finish_reason") or first(answer, "stop_reason", "status")])


def _content(said: Mapping[str, Any], operation: str) -> dict[str, str]:
    if operation == "embeddings":
        texts = [item.get("embedding.text") for item in indexed(said, "embedding.embeddings.")]
        return content_attributes(messages=[text for text in texts if isinstance(text, str)])
    return content_attributes(
        messages=[_message(item) for item in indexed(said, "llm.input_messages.")] or said.get("llm.prompts"),
        tools=[item.get("tool.json_schema") for item in indexed(said, "llm.tools.")],
        answer=[_message(item) for item in indexed(said, "llm.output_messages.")],
    )


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    """A message as OpenAI's chat writes it."""
    role = item.get("message.role")
    content: Any = item.get("message.content")
    if content is None:
        content = [
            {"type": part.get("message_content.type"), "text": part.get("message_content.text", "")}
            for part in indexed(item, "message.contents.")
        ]
    calls = [
        {"name": call.get("tool_call.function.name"), "arguments": call.get("tool_call.function.arguments")}
        for call in indexed(item, "message.tool_calls.")
    ]
    return {"role": role, "content": content, "tool_calls": calls}
