"""OpenAI's chat completions, legacy completions and embeddings on the wire; Azure's deployments speak the same.

Shapes follow recorded traffic of api.openai.com and the types of openai 3.54.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tierwise.testing.answers import ProviderUsage, estimated_tokens
from tierwise.testing.exchange import Exchange, arguments_json, json_wire, sse_data

_FINISH_REASONS: Final = {"refusal": "stop"}
"""Neutral words that chat completions say differently; the rest are OpenAI's own."""
_FINGERPRINT: Final = "fp_tierwise"
_DONE: Final = b"data: [DONE]\n\n"
_EMBEDDING_DIMENSIONS: Final = 64


def usage_block(usage: ProviderUsage) -> dict[str, Any]:
    """`usage` of chat and legacy completions: `prompt_tokens` is the total, cached tokens are a part of it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": usage.audio_input,
            **({"image_tokens": usage.image_input} if usage.image_input else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish_reason(exchange: Exchange) -> str:
    return _FINISH_REASONS.get(exchange.finish_reason, exchange.finish_reason)


def _choice_count(exchange: Exchange) -> int:
    count = exchange.request.body.get("n")
    return count if isinstance(count, int) and count > 0 else 1


def _usage_fields(exchange: Exchange) -> dict[str, Any]:
    return {"usage": usage_block(exchange.usage)} if exchange.answer.report_usage else {}


def _streams_usage(exchange: Exchange) -> bool:
    """OpenAI streams usage only to those who ask for it."""
    options = exchange.request.body.get("stream_options")
    return exchange.answer.report_usage and isinstance(options, dict) and options.get("include_usage") is True


# --- chat completions -------------------------------------------------------------------------------------------------


def _chat_body(exchange: Exchange) -> dict[str, Any]:
    answer = exchange.answer
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.refusal or (answer.tool_calls and not answer.text) else answer.text,
        "refusal": answer.text if answer.refusal else None,
        "annotations": [],
    }
    if answer.tool_calls:
        message["tool_calls"] = [
            {
                "id": exchange.tool_call_id("call_", index),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_json(call)},
            }
            for index, call in enumerate(answer.tool_calls)
        ]
    return {
        "id": exchange.id("chatcmpl-"),
        "object": "chat.completion",
        "created": exchange.created_s,
        "model": exchange.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": _finish_reason(exchange)}
            for index in range(_choice_count(exchange))
        ],
        **_usage_fields(exchange),
        "service_tier": answer.service_tier or "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _chat_events(exchange: Exchange) -> Iterator[bytes]:
    answer = exchange.answer
    envelope: dict[str, Any] = {
        "id": exchange.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": exchange.created_s,
        "model": exchange.model,
        "service_tier": answer.service_tier or "default",
        "system_fingerprint": _FINGERPRINT,
    }
    streams_usage = _streams_usage(exchange)
    if streams_usage:
        # Every chunk but the last then carries a null usage.
        envelope["usage"] = None

    def chunk(index: int, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse_data({**envelope, "choices": [choice]})

    for index in range(_choice_count(exchange)):
        for delta in _chat_deltas(exchange):
            yield chunk(index, delta)
    for odd in answer.extra_chunks:
        yield sse_data({**envelope, **odd})
    for index in range(_choice_count(exchange)):
        yield chunk(index, {}, _finish_reason(exchange))
    if streams_usage:
        yield sse_data({**envelope, "choices": [], "usage": usage_block(exchange.usage)})
    yield _DONE


def _chat_deltas(exchange: Exchange) -> Iterator[dict[str, Any]]:
    """What one choice's chunks carry, before the one that closes it."""
    answer = exchange.answer
    field = "refusal" if answer.refusal else "content"
    only_tools = bool(answer.tool_calls) and not answer.text
    yield {"role": "assistant", "content": None if only_tools or answer.refusal else "", "refusal": None}
    for piece in exchange.deltas(answer.text):
        yield {field: piece}
    for index, call in enumerate(answer.tool_calls):
        head = {"name": call.name, "arguments": ""}
        call_id = exchange.tool_call_id("call_", index)
        yield {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": head}]}
        for piece in exchange.deltas(arguments_json(call)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


# --- legacy completions -----------------------------------------------------------------------------------------------


def _completion(exchange: Exchange, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {
        "id": exchange.id("cmpl-"),
        "object": "text_completion",
        "created": exchange.created_s,
        "model": exchange.model,
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}],
    }


def _completion_body(exchange: Exchange) -> dict[str, Any]:
    return {**_completion(exchange, exchange.answer.text, _finish_reason(exchange)), **_usage_fields(exchange)}


def _completion_events(exchange: Exchange) -> Iterator[bytes]:
    for piece in exchange.deltas(exchange.answer.text):
        yield sse_data(_completion(exchange, piece, None))
    yield sse_data(_completion(exchange, "", _finish_reason(exchange)))
    if _streams_usage(exchange):
        closing = {**_completion(exchange, "", None), "choices": [], "usage": usage_block(exchange.usage)}
        yield sse_data(closing)
    yield _DONE


# --- embeddings -------------------------------------------------------------------------------------------------------


def _embedding_body(exchange: Exchange) -> dict[str, Any]:
    body = exchange.request.body
    given = body.get("input", "")
    # A list of integers is one text, already in tokens.
    is_batch = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    inputs = given if is_batch else [given]
    dimensions = body.get("dimensions")
    if not isinstance(dimensions, int):
        dimensions = _EMBEDDING_DIMENSIONS
    as_base64 = body.get("encoding_format") == "base64"
    vectors = [embedding_vector(text, dimensions) for text in inputs]
    scripted = exchange.answer.usage
    tokens = scripted.input_tokens if scripted else sum(_embedding_tokens(text) for text in inputs)
    response: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _base64_floats(vector) if as_base64 else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": exchange.model,
    }
    if exchange.answer.report_usage:
        response["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return response


def embedding_vector(text: object, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone; equal texts are equal, others unrelated."""
    seed = hashlib.shake_256(repr(text).encode()).digest(dimensions)
    raw = [byte / 127.5 - 1.0 for byte in seed]
    length = sum(value * value for value in raw) ** 0.5 or 1.0
    return [value / length for value in raw]


def _embedding_tokens(given: object) -> int:
    return len(given) if isinstance(given, list) else estimated_tokens(str(given))


def _base64_floats(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


CHAT_COMPLETIONS: Final = json_wire(body=_chat_body, events=_chat_events)
COMPLETIONS: Final = json_wire(body=_completion_body, events=_completion_events)
EMBEDDINGS: Final = json_wire(body=_embedding_body, events=None)
