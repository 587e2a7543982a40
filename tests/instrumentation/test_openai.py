from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.sdk import ToolCall, as_object, read_parameters

CHAT = OPENAI.surfaces["/chat/completions"]
COMPLETIONS = OPENAI.surfaces["/completions"]
EMBEDDINGS = OPENAI.surfaces["/embeddings"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def read(surface: Any, body: dict[str, Any], with_text: bool = False) -> Any:
    return surface.read(as_object(json.dumps(body)), with_text)


def accumulate(surface: Any, *chunks: dict[str, Any], with_text: bool = False) -> Any:
    accumulator = surface.accumulator(with_text)
    for chunk in chunks:
        accumulator.add(as_object(json.dumps(chunk)))
    return accumulator.reply()


def test_parameters() -> None:
    """Request parameters are recorded under the conventions' names and types."""
    body = {
        "model": "gpt-4o",
        "messages": [],
        "temperature": 0,
        "top_p": 0.5,
        "frequency_penalty": -1,
        "presence_penalty": 1,
        "max_completion_tokens": 100,
        "seed": 7,
        "n": 3,
        "stop": "END",
        "reasoning_effort": "low",
        "service_tier": "flex",
        "response_format": {"type": "json_schema", "json_schema": {}},
    }

    assert read_parameters(CHAT.parameters, body) == {
        sc.REQUEST_TEMPERATURE: 0.0,
        sc.REQUEST_TOP_P: 0.5,
        sc.REQUEST_FREQUENCY_PENALTY: -1.0,
        sc.REQUEST_PRESENCE_PENALTY: 1.0,
        sc.REQUEST_MAX_TOKENS: 100,
        sc.REQUEST_SEED: 7,
        sc.REQUEST_CHOICE_COUNT: 3,
        sc.REQUEST_STOP_SEQUENCES: ("END",),
        sc.REQUEST_REASONING_LEVEL: "low",
        sc.OPENAI_REQUEST_SERVICE_TIER: "flex",
        sc.OUTPUT_TYPE: "json",
    }


def test_one_choice_is_not_recorded() -> None:
    """The number of choices is recorded only when it is not one, as the conventions have it."""
    assert read_parameters(CHAT.parameters, {"n": 1, "response_format": {"type": "text"}}) == {sc.OUTPUT_TYPE: "text"}


@given(st.fixed_dictionaries(dict.fromkeys(CHAT.parameters, json_values)))
def test_odd_parameters(body: dict[str, Any]) -> None:
    """Whatever stands in a request body, nothing is recorded but values of an attribute's types."""
    for value in read_parameters(CHAT.parameters, body).values():
        assert isinstance(value, str | int | float | tuple)


def test_chat() -> None:
    """A chat completion tells its totals and their parts."""
    reply = read(
        CHAT,
        {
            "id": "c1",
            "model": "gpt-4o-2024-11-20",
            "choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}],
            "service_tier": "flex",
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
        },
    )

    assert (reply.id, reply.model, reply.service_tier) == ("c1", "gpt-4o-2024-11-20", "flex")
    assert reply.finish_reasons == ("stop", "length")
    assert reply.usage == Usage(100, 20, cache_read_tokens=64, cache_write_tokens=8, reasoning_tokens=5)
    assert reply.complete


def test_chat_text() -> None:
    """The text and the tool calls of the first choice are read when asked for."""
    call = {"id": "t1", "type": "function", "function": {"name": "lookup", "arguments": '{"city": "Paris"}'}}
    custom = {"id": "t2", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    message = {"content": "Let me see.", "tool_calls": [call, custom]}

    reply = read(CHAT, {"choices": [{"message": message}, {"message": {"content": "no"}}]}, with_text=True)

    assert reply.text == "Let me see."
    assert reply.tool_calls == (ToolCall("lookup", '{"city": "Paris"}', "t1"), ToolCall("sql", "select 1", "t2"))


def test_refusal_is_text() -> None:
    """A refusal is what was answered."""
    assert read(CHAT, {"choices": [{"message": {"content": None, "refusal": "No."}}]}, with_text=True).text == "No."


def test_chat_without_usage() -> None:
    """Where no usage is reported, the length of the answer is known for an estimate."""
    reply = read(CHAT, {"choices": [{"message": {"content": "x" * 40}}]})

    assert (reply.usage, reply.output_chars) == (None, 40)


def test_streamed_chat() -> None:
    """Chunks add up to the text, the tool calls and the usage of the first choice, and every finish reason."""
    head = {"id": "c1", "model": "gpt-4o", "system_fingerprint": "fp"}

    reply = accumulate(
        CHAT,
        {**head, "choices": [{"index": 0, "delta": {"content": "Let me "}}]},
        {**head, "choices": [{"index": 1, "delta": {"content": "no"}}]},
        {**head, "choices": [{"index": 0, "delta": {"content": "see."}}]},
        {
            **head,
            "choices": [
                {"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "look"}}]}}
            ],
        },
        {
            **head,
            "choices": [
                {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "up", "arguments": None}}]}}
            ],
        },
        {
            **head,
            "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}],
        },
        {**head, "choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        with_text=True,
    )

    assert reply.text == "Let me see."
    assert reply.tool_calls == (ToolCall("lookup", "{}", "t1"),)
    assert reply.finish_reasons == ("tool_calls", "length")
    assert reply.usage == Usage(10, 5)
    assert reply.complete
    assert reply.extra == {sc.OPENAI_SYSTEM_FINGERPRINT: "fp"}


def test_unfinished_chat() -> None:
    """A choice without a finish reason leaves the answer incomplete."""
    reply = accumulate(CHAT, {"choices": [{"index": 0, "delta": {"content": "Let me "}}]})

    assert (reply.complete, reply.finish_reasons, reply.output_chars) == (False, ("error",), 7)


def test_empty_stream() -> None:
    """A stream without a chunk is an incomplete answer."""
    reply = accumulate(CHAT)

    assert (reply.complete, reply.finish_reasons) == (False, ())


def test_legacy_completion() -> None:
    """A legacy completion keeps its text in the choice itself, streamed or not."""
    whole = read(COMPLETIONS, {"choices": [{"text": "Paris", "finish_reason": "stop"}]}, with_text=True)
    streamed = accumulate(
        COMPLETIONS,
        {"choices": [{"index": 0, "text": "Par"}]},
        {"choices": [{"index": 0, "text": "is", "finish_reason": "stop"}]},
        with_text=True,
    )

    assert whole.text == streamed.text == "Paris"
    assert whole.output_chars == streamed.output_chars == 5


def test_embeddings() -> None:
    """Embeddings are billed by their input."""
    assert read(EMBEDDINGS, {"usage": {"prompt_tokens": 8, "total_tokens": 8}}).usage == Usage(8, 0)


@pytest.mark.parametrize("path", ["/moderations", "/models", "/chat/completions/c1", "/batches"])
def test_what_is_not_observed(path: str) -> None:
    """Paths outside the table are none of our business."""
    assert path not in OPENAI.surfaces


@given(st.lists(json_values, max_size=4))
def test_odd_chunks(chunks: list[Any]) -> None:
    """No JSON value in the place of a chunk, or of one of its members, makes an accumulator raise."""
    accumulator = CHAT.accumulator(True)  # type: ignore[misc]
    for value in chunks:
        for chunk in (value, {"usage": value}, {"id": value, "model": value}):
            accumulator.add(as_object(json.dumps(chunk)))

    assert accumulator.reply().usage is None
