from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tierwise import semconv as sc
from tierwise.ingest.dialects import read_call
from tierwise.ingest.dialects.content import request_of
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

STREAM: dict[str, Any] = {
    "ai.operationId": "ai.streamObject.doStream",
    "ai.model.provider": "openai.responses",
    "ai.model.id": "gpt-4o",
    "ai.prompt.messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": "Extract the dates."}]}]),
    "ai.response.msToFirstChunk": 250,
    "ai.response.finishReason": "tool-calls",
    "ai.usage.inputTokens": 12,
    "ai.usage.outputTokens": 3,
    "ai.usage.cachedInputTokens": 4,
    "ai.telemetry.functionId": "dates",
    "ai.telemetry.metadata.sessionId": "talk",
    "ai.telemetry.metadata.tenant": "acme",
}


def test_step_is_a_call(make_decoded: MakeDecoded) -> None:
    """The span of one request to a provider is a call with its API, function, session, tenant and content."""
    call = read_call(make_decoded(STREAM, scope="ai"))

    assert call is not None
    assert (call.provider, call.api, call.stream, call.time_to_first_chunk_s) == ("openai", "responses", True, 0.25)
    assert (call.usage.input_tokens, call.usage.cache_read_tokens, call.usage.output_tokens) == (12, 4, 3)
    assert (call.use_case_name, call.conversation_id, call.tenant) == ("dates", "talk", "acme")
    assert (call.finish_reasons, call.parameters[sc.OUTPUT_TYPE]) == (("tool_calls",), "json")
    assert request_of(call) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Extract the dates."}],
        "response_format": {"type": "json_object"},
    }


@pytest.mark.parametrize("operation", ["ai.generateText", "ai.streamText", "ai.embed", "ai.toolCall"])
def test_spans_around_steps_are_no_calls(make_decoded: MakeDecoded, operation: str) -> None:
    """What stands around the steps repeats their usage, and is not counted again."""
    assert read_call(make_decoded({**STREAM, "ai.operationId": operation}, scope="ai")) is None


@pytest.mark.parametrize(
    ("provider", "model", "wanted"),
    [
        ("anthropic.messages", "claude-opus-4-7", ("anthropic", "claude-opus-4-7")),
        ("google.generative-ai", "gemini-3-flash", ("gcp.gemini", "gemini-3-flash")),
        ("google.vertex.chat", "gemini-3-flash", ("gcp.vertex_ai", "gemini-3-flash")),
        ("azure-openai.chat", "gpt-4o", ("azure.ai.openai", "gpt-4o")),
        ("amazon-bedrock", "m", ("aws.bedrock", "m")),
        ("gateway", "anthropic/claude-opus-4-7", ("anthropic", "claude-opus-4-7")),
    ],
)
def test_providers(make_decoded: MakeDecoded, provider: str, model: str, wanted: tuple[str, str]) -> None:
    """The SDK's names of providers are the conventions' ones, and a gateway's model says whose it is."""
    call = read_call(make_decoded({**STREAM, "ai.model.provider": provider, "ai.model.id": model}, scope="ai"))

    assert call is not None
    assert (call.provider, call.request_model) == wanted
