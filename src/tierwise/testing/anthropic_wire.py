"""Anthropic's Messages API on the wire; the beta surface answers in the same shapes.

Shapes follow recorded traffic of api.anthropic.com and the types of anthropic 2.12.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tierwise.testing.answers import ProviderUsage, ToolCall
from tierwise.testing.exchange import Exchange, UnspeakableAnswer, arguments_json, json_wire, sse_event

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
}
_FIRST_OUTPUT_TOKENS: Final = 1
"""What `message_start` reports; the count in `message_delta` is cumulative and includes it."""


def usage_block(usage: ProviderUsage, service_tier: str | None) -> dict[str, Any]:
    """`usage` of a message: `input_tokens` is fresh input ONLY, cache reads and writes stand beside it."""
    return {
        **_counts(usage),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "service_tier": service_tier or "standard",
        "inference_geo": "not_available",
    }


def _counts(usage: ProviderUsage) -> dict[str, Any]:
    """The counts that a message and a `message_delta` share."""
    counts: dict[str, Any] = {
        "input_tokens": usage.fresh_input_tokens,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.web_searches:
        counts["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return counts


def _body(exchange: Exchange) -> dict[str, Any]:
    return {
        **_envelope(exchange),
        "content": list(_content_blocks(exchange)),
        **_stop_fields(exchange),
        "usage": usage_block(exchange.usage, exchange.answer.service_tier),
    }


def _envelope(exchange: Exchange) -> dict[str, Any]:
    return {"id": exchange.id("msg_"), "type": "message", "role": "assistant", "model": exchange.model}


def _stop_fields(exchange: Exchange) -> dict[str, Any]:
    stop_reason = _STOP_REASONS.get(exchange.finish_reason, exchange.finish_reason)
    refused = stop_reason == "refusal"
    return {
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if refused else None,
    }


def _content_blocks(exchange: Exchange) -> Iterator[dict[str, Any]]:
    answer = exchange.answer
    if answer.thinking:
        yield {"type": "thinking", "thinking": answer.thinking, "signature": exchange.id("signature-")}
    if answer.text or not (answer.tool_calls or answer.thinking):
        yield {"type": "text", "text": answer.text}
    for index, call in enumerate(answer.tool_calls):
        yield {**_tool_block(exchange, index), "input": _tool_input(call)}


def _tool_block(exchange: Exchange, index: int) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": exchange.tool_call_id("toolu_", index),
        "name": exchange.answer.tool_calls[index].name,
        "input": {},
        "caller": {"type": "direct"},
    }


def _tool_input(call: ToolCall) -> Mapping[str, Any]:
    if not isinstance(call.arguments, str):
        return call.arguments
    try:
        value = json.loads(call.arguments)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    raise UnspeakableAnswer(f"Anthropic's tool input is a JSON object; {call.name} was given {call.arguments!r}")


def _events(exchange: Exchange) -> Iterator[bytes]:
    answer, usage = exchange.answer, exchange.usage
    # Output, thinking and searches have only begun.
    begun = replace(usage, output_tokens=_FIRST_OUTPUT_TOKENS, reasoning=0, web_searches=0)
    opening = usage_block(begun, answer.service_tier)
    nothing_yet = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": opening}
    yield sse_event({"type": "message_start", "message": {**_envelope(exchange), **nothing_yet}})
    for index, (block, deltas) in enumerate(_streamed_blocks(exchange)):
        yield sse_event({"type": "content_block_start", "index": index, "content_block": block})
        if index == 0:
            yield sse_event({"type": "ping"})
        for delta in deltas:
            yield sse_event({"type": "content_block_delta", "index": index, "delta": delta})
        yield sse_event({"type": "content_block_stop", "index": index})
    yield sse_event({"type": "message_delta", "delta": _stop_fields(exchange), "usage": _counts(usage)})
    yield sse_event({"type": "message_stop"})


def _streamed_blocks(exchange: Exchange) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
    """Each block as it opens, with the deltas that fill it."""
    answer = exchange.answer
    if answer.thinking:
        opened = {"type": "thinking", "thinking": "", "signature": ""}
        yield opened, _thinking_deltas(exchange)
    if answer.text or not (answer.tool_calls or answer.thinking):
        pieces = ({"type": "text_delta", "text": piece} for piece in exchange.deltas(answer.text))
        yield {"type": "text", "text": ""}, pieces
    for index, call in enumerate(answer.tool_calls):
        yield _tool_block(exchange, index), _input_deltas(exchange, call)


def _thinking_deltas(exchange: Exchange) -> Iterator[dict[str, Any]]:
    for piece in exchange.deltas(exchange.answer.thinking):
        yield {"type": "thinking_delta", "thinking": piece}
    yield {"type": "signature_delta", "signature": exchange.id("signature-")}


def _input_deltas(exchange: Exchange, call: ToolCall) -> Iterator[dict[str, Any]]:
    yield {"type": "input_json_delta", "partial_json": ""}
    for piece in exchange.deltas(arguments_json(call)):
        yield {"type": "input_json_delta", "partial_json": piece}


MESSAGES: Final = json_wire(body=_body, events=_events)
