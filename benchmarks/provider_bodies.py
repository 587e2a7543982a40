"""What a provider answers in the benchmarks: one body an API, and streams of 100 chunks with their usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

CHUNKS = 100

ANSWER = "The invoice names three line items, a discount of five percent, and a total of 1,284.50 EUR. " * 3


def chat_body() -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 300,
            "completion_tokens": 70,
            "total_tokens": 370,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def chat_events() -> Iterator[bytes]:
    envelope = {key: value for key, value in chat_body().items() if key not in ("choices", "usage")}
    envelope["object"] = "chat.completion.chunk"
    for number in range(CHUNKS):
        finish = "stop" if number == CHUNKS - 1 else None
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": finish}
        yield f"data: {json.dumps({**envelope, 'choices': [choice], 'usage': None})}\n\n".encode()
    yield f"data: {json.dumps({**envelope, 'choices': [], 'usage': chat_body()['usage']})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def message_body() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "output_tokens": 70,
            "cache_read_input_tokens": 900,
            "cache_creation_input_tokens": 200,
            "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
            "service_tier": "standard",
        },
    }


def message_events() -> Iterator[bytes]:
    def event(body: dict[str, Any]) -> bytes:
        return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()

    yield event({"type": "message_start", "message": {**message_body(), "content": [], "stop_reason": None}})
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for number in range(CHUNKS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield event({"type": "content_block_stop", "index": 0})
    yield event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 70}})
    yield event({"type": "message_stop"})


def response_body() -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o-mini",
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 300,
            "output_tokens": 70,
            "total_tokens": 370,
            "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
