from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.dialects.content import request_of
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

CHAT: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-2024-08-06",
    "llm.invocation_parameters": json.dumps({"model": "gpt-4o", "temperature": 0.5, "stream": True}),
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.type": "text",
    "llm.input_messages.0.message.contents.0.message_content.text": "Weather in Ghent?",
    "llm.tools.0.tool.json_schema": json.dumps({"type": "function", "function": {"name": "weather"}}),
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 3,
    "llm.token_count.prompt_details.cache_read": 4,
    "session.id": "talk",
    "metadata": json.dumps({"tenant": "acme"}),
    "output.value": json.dumps({"id": "chatcmpl-1", "service_tier": "default"}),
}


def test_model_call_is_read(make_decoded: MakeDecoded) -> None:
    """The model asked for and the one that answered, counts, ids, tenant and content are the call's."""
    call = read_call(make_decoded(CHAT))

    assert call is not None
    assert (call.request_model, call.response_model, call.response_id) == ("gpt-4o", "gpt-4o-2024-08-06", "chatcmpl-1")
    assert call.usage == Usage(12, 3, cache_read_tokens=4)
    assert (call.stream, call.conversation_id, call.tenant) == (True, "talk", "acme")
    assert request_of(call) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Weather in Ghent?"}],
        "tools": [{"type": "function", "name": "weather"}],
    }


def test_whole_answer_is_believed(make_decoded: MakeDecoded) -> None:
    """The provider's own usage in the answer says what the counts leave out, such as how long cache writes last."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 64,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 200,
        "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
    }
    said = {**CHAT, "llm.system": "anthropic", "output.value": json.dumps({"id": "msg_1", "usage": usage})}

    call = read_call(make_decoded(said))

    assert call is not None
    assert (call.usage.input_tokens, call.usage.cache_write_tokens, call.usage.cache_write_1h_tokens) == (1200, 200, 50)


@pytest.mark.parametrize("kind", ["CHAIN", "AGENT", "TOOL", "RETRIEVER", "RERANKER", "GUARDRAIL"])
def test_other_kinds_are_no_calls(make_decoded: MakeDecoded, kind: str) -> None:
    """Spans around calls, and of what is no model, are no calls."""
    assert read_call(make_decoded({**CHAT, "openinference.span.kind": kind})) is None


def test_vectors_are_not_kept(make_decoded: MakeDecoded) -> None:
    """An embedding is a call without its vectors."""
    said = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "text-embedding-3-small",
        "embedding.embeddings.0.embedding.text": "a text",
        "embedding.embeddings.0.embedding.vector": [0.1, 0.2],
        "llm.token_count.prompt": 2,
    }

    call = read_call(make_decoded(said))

    assert call is not None
    assert (call.operation, call.provider, call.usage.input_tokens) == ("embeddings", "openai", 2)
    assert not any("vector" in key for key in call.extra)
