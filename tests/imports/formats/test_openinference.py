from __future__ import annotations

from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import openinference
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow

FRAME: dict[str, Any] = {
    "name": "ChatCompletion",
    "span_kind": "LLM",
    "parent_id": "1111111111111111",
    "start_time": 1_793_613_600_000_000_000,
    "end_time": 1_793_613_602_000_000_000,
    "status_code": "OK",
    "context.span_id": "b1946ac92492d234",
    "context.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "attributes.llm.model_name": "gpt-5.4",
    "attributes.llm.provider": "openai",
    "attributes.llm.token_count.prompt": 100.0,
    "attributes.llm.token_count.completion": 7.0,
    "attributes.llm.token_count.prompt_details.cache_read": 60,
    "attributes.llm.invocation_parameters": '{"temperature": 0.5}',
    "attributes.llm.input_messages": [{"message.role": "user", "message.content": "hi"}],
    "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "hello"}],
    "attributes.session.id": "s-1",
}
NESTED: dict[str, Any] = {
    "name": "ChatCompletion",
    "span_kind": "LLM",
    "parent_id": "1111111111111111",
    "start_time": "2026-11-02T10:00:00+00:00",
    "end_time": "2026-11-02T10:00:02+00:00",
    "status_code": "OK",
    "context": {"span_id": "b1946ac92492d234", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"},
    "attributes": {
        "llm": {
            "model_name": "gpt-5.4",
            "provider": "openai",
            "token_count": {"prompt": 100, "completion": 7, "prompt_details": {"cache_read": 60}},
            "invocation_parameters": '{"temperature": 0.5}',
            "input_messages": [{"message": {"role": "user", "content": "hi"}}],
            "output_messages": [{"message": {"role": "assistant", "content": "hello"}}],
        },
        "session": {"id": "s-1"},
    },
}
FLAT: dict[str, Any] = {
    **{name: value for name, value in FRAME.items() if "_messages" not in name},
    "start_time": "2026-11-02 10:00:00+00:00",
    "end_time": "2026-11-02 10:00:02+00:00",
    "attributes.llm.input_messages.0.message.role": "user",
    "attributes.llm.input_messages.0.message.content": "hi",
    "attributes.llm.output_messages.0.message.role": "assistant",
    "attributes.llm.output_messages.0.message.content": "hello",
}


def read(row: dict[str, Any]) -> LoggedCall:
    assert openinference.claims(row)
    (call,) = openinference.read(row, Reading())
    return call


def test_a_row_of_a_data_frame() -> None:
    """A model's span gives model, tokens with the cache within, times, ids and the request put together again."""
    call = read(FRAME)

    assert (call.provider, call.model, call.operation) == ("openai", "gpt-5.4", "chat")
    assert call.reply.usage == Usage(100, 7, cache_read_tokens=60)
    assert call.reply.output_chars == 5
    assert call.body["messages"] == [{"role": "user", "content": "hi"}]
    assert call.parameters == {"gen_ai.request.temperature": 0.5}
    assert (call.own_id, call.trace, call.parent) == (
        FRAME["context.span_id"],
        FRAME["context.trace_id"],
        "1" * 16,
    )
    assert (call.end_ns or 0) - (call.start_ns or 0) == 2_000_000_000


@pytest.mark.parametrize("row", [NESTED, FLAT], ids=["nested", "flat"])
def test_other_shapes_are_the_same_call(row: dict[str, Any]) -> None:
    """What the API answers, and attributes with a number in their names, describe the same call."""
    assert read(row) == read(FRAME)


def test_contents_of_several_parts_and_tools() -> None:
    """Texts of a message's parts are put together, and tools are handed to inference."""
    messages = [
        {
            "message.role": "user",
            "message.contents": [
                {"message_content.type": "text", "message_content.text": "one"},
                {"message_content.type": "image"},
                {"message_content.type": "text", "message_content.text": "two"},
            ],
        }
    ]
    tools = [{"tool.json_schema": '{"type": "function", "function": {"name": "search"}}'}]

    body = read({**FRAME, "attributes.llm.input_messages": messages, "attributes.llm.tools": tools}).body

    assert body["messages"] == [{"role": "user", "content": "one\ntwo"}]
    assert body["tools"] == [{"type": "function", "function": {"name": "search"}}]


def test_failures_and_embeddings() -> None:
    """A span with an error failed; an embedding is one, its model under the embedding's name."""
    embedding = {"context.span_id": "a" * 16, "span_kind": "EMBEDDING", "attributes.embedding.model_name": "embed-1"}

    assert read({**FRAME, "status_code": "ERROR"}).error_type == "error"
    assert (read(embedding).operation, read(embedding).model) == ("embeddings", "embed-1")


def test_what_is_no_call() -> None:
    """Chains, tools and retrievers are left out; a model's span without a model is reported."""
    with pytest.raises(NotACall, match="CHAIN"):
        read({**FRAME, "span_kind": "CHAIN"})
    with pytest.raises(UnreadableRow, match="no model"):
        read({"context.span_id": "a" * 16, "span_kind": "LLM"})
