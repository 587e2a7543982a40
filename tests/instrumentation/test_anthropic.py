from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.sdk import ToolCall, as_object, read_parameters

MESSAGES = ANTHROPIC.surfaces["/v1/messages"]
USAGE = {
    "input_tokens": 100,
    "output_tokens": 64,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
    "output_tokens_details": {"thinking_tokens": 10},
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "standard",
}
counts = st.integers(0, 100_000)


def read(body: dict[str, Any], with_text: bool = False) -> Any:
    return MESSAGES.read(as_object(json.dumps(body)), with_text)


def accumulate(*events: dict[str, Any], with_text: bool = False) -> Any:
    assert MESSAGES.accumulator is not None
    accumulator = MESSAGES.accumulator(with_text)
    for event in events:
        accumulator.add(as_object(json.dumps(event)))
    return accumulator.reply()


def start(usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "m1", "model": "claude-opus-4-7", "usage": usage}}


def delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_parameters() -> None:
    """Request parameters are recorded under the conventions' names."""
    body = {
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END", "STOP"],
        "output_config": {"effort": "low", "format": {"type": "json_schema"}},
    }

    assert read_parameters(MESSAGES.parameters, body) == {
        sc.REQUEST_MAX_TOKENS: 100,
        sc.REQUEST_TEMPERATURE: 0.5,
        sc.REQUEST_TOP_P: 0.9,
        sc.REQUEST_TOP_K: 40,
        sc.REQUEST_STOP_SEQUENCES: ("END", "STOP"),
        sc.REQUEST_REASONING_LEVEL: "low",
        sc.OUTPUT_TYPE: "json",
    }


def test_message() -> None:
    """Input is the total: what this wire calls input tokens, plus cache reads and writes."""
    reply = read({"id": "m1", "model": "claude-opus-4-7", "stop_reason": "end_turn", "usage": USAGE})

    assert reply.usage == Usage(
        1200,
        64,
        cache_read_tokens=900,
        cache_write_tokens=200,
        cache_write_5m_tokens=150,
        cache_write_1h_tokens=50,
        reasoning_tokens=10,
        web_searches=2,
    )
    assert (reply.id, reply.finish_reasons, reply.service_tier) == ("m1", ("end_turn",), "standard")


def test_text_and_tools() -> None:
    """Text blocks are joined, and tools the model asked for are read, when asked for."""
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "see."},
        {"type": "tool_use", "id": "t1", "name": "lookup", "input": {"city": {"name": "Paris"}}},
    ]

    reply = read({"content": content, "usage": USAGE}, with_text=True)

    assert reply.text == "Let me see."
    assert reply.tool_calls == (ToolCall("lookup", '{"city": {"name": "Paris"}}', "t1"),)


def test_fast_mode() -> None:
    """Fast mode is told as the tier, since it is what sets the price."""
    assert read({"usage": {**USAGE, "speed": "fast"}}).service_tier == "fast"


def test_compaction_is_billed() -> None:
    """What the server spent on compacting the context is added: it is not in the totals."""
    iterations = [
        {"type": "message", "input_tokens": 100, "output_tokens": 64},
        {"type": "compaction", "input_tokens": 5000, "output_tokens": 300},
    ]

    usage = read({"usage": {**USAGE, "iterations": iterations}}).usage

    assert (usage.input_tokens, usage.output_tokens) == (6200, 364)


def test_streamed() -> None:
    """Counts of the closing events are cumulative: they replace those of the first, and are not added to them."""
    reply = accumulate(
        start({**USAGE, "output_tokens": 1}),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Paris"}},
        delta(output_tokens=64),
        {"type": "message_stop"},
        with_text=True,
    )

    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1200, 64)
    assert (reply.text, reply.finish_reasons, reply.complete) == ("Paris", ("end_turn",), True)


def test_streamed_tool() -> None:
    """The arguments of a tool arrive in pieces."""
    reply = accumulate(
        start(USAGE),
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t1", "name": "look"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
        delta(output_tokens=9),
        with_text=True,
    )

    assert reply.tool_calls == (ToolCall("look", '{"a": 1}', "t1"),)


def test_left_early() -> None:
    """A stream without its closing counts is incomplete; output is estimated from what came."""
    reply = accumulate(
        start({**USAGE, "output_tokens": 1}),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 30}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "y" * 10}},
    )

    assert (reply.complete, reply.finish_reasons) == (False, ("error",))
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1200, 10)


def test_growing_cache_writes() -> None:
    """When the total of cache writes grows in mid-stream, the split by lifetime grows with it."""
    usage = accumulate(start(USAGE), delta(output_tokens=64, cache_creation_input_tokens=400)).usage

    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (300, 100)
    assert usage.input_tokens == 1400


@given(fresh=counts, read_tokens=counts, written=counts, five=counts, hour=counts)
def test_totals_hold(fresh: int, read_tokens: int, written: int, five: int, hour: int) -> None:
    """Whatever is reported, the total is the sum of its parts, and a split of cache writes adds up to them."""
    usage = read(
        {
            "usage": {
                "input_tokens": fresh,
                "output_tokens": 1,
                "cache_read_input_tokens": read_tokens,
                "cache_creation_input_tokens": written,
                "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
            }
        }
    ).usage

    assert usage.input_tokens == fresh + read_tokens + written
    if five + hour:
        assert usage.cache_write_5m_tokens + usage.cache_write_1h_tokens == written
        assert usage.cache_write_5m_tokens >= 0


@pytest.mark.parametrize(
    ("geo", "region"), [("us", "us"), ("global", None), ("not_available", None), (None, None), (7, None)]
)
def test_where_it_was_processed(geo: Any, region: str | None) -> None:
    """A region that the caller asked for, and pays for, is told from anywhere."""
    usage = {**USAGE, "inference_geo": geo}

    assert read({"model": "m", "usage": usage}).region == region
    assert accumulate(start(usage), delta(output_tokens=3)).region == region


def test_other_models_are_kept_apart() -> None:
    """An advisor and a model that declined have prices of their own; of the model that answered there is no more."""
    iterations = [
        {"type": "message", "model": "claude-fable-5-2", "input_tokens": 70, "output_tokens": 2},
        {"type": "advisor_message", "model": "claude-fable-5-2", "input_tokens": 30, "output_tokens": 8},
        {"type": "fallback_message", "model": "claude-opus-5-5", "input_tokens": 100, "output_tokens": 64},
        {"type": "message", "input_tokens": 5, "output_tokens": 1},
    ]

    reply = read({"model": "claude-opus-5-5", "usage": {**USAGE, "iterations": iterations}})

    assert reply.usage.input_tokens == 1200
    assert reply.usage.units == (("other_models_tokens", 110),)


def test_batch_results() -> None:
    """Only results that succeeded are billed, each by its model."""
    reader = ANTHROPIC.late_bills[0].reader("msgbatch_1")
    assert reader is not None
    message = {"model": "claude-opus-5-5", "usage": USAGE}
    for result in (
        {"type": "succeeded", "message": message},
        {"type": "errored", "error": {}},
        {"type": "expired"},
        {"type": "succeeded", "message": message},
    ):
        assert not reader.add(as_object(json.dumps({"custom_id": "a", "result": result})))

    (booking,) = reader.bookings()

    assert booking.order_id == "msgbatch_1 claude-opus-5-5"
    assert booking.reply.usage == Usage(
        2400,
        128,
        cache_read_tokens=1800,
        cache_write_tokens=400,
        cache_write_5m_tokens=300,
        cache_write_1h_tokens=100,
        reasoning_tokens=20,
        web_searches=4,
    )
    assert len(booking.usages) == 2
