from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import helicone
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow

ROW: dict[str, Any] = {
    "response_id": "res-1",
    "response_created_at": "2026-11-02T10:00:02.000Z",
    "response_status": 200,
    "response_model": "gpt-5.4-2026-03-05",
    "request_id": "req-1",
    "request_model": "gpt-5.4",
    "request_created_at": "2026-11-02T10:00:00.000Z",
    "request_path": "https://api.openai.com/v1/chat/completions",
    "request_body": {"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi"}]},
    "response_body": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-5.4-2026-03-05",
        "choices": [{"finish_reason": "stop", "message": {"content": "hello"}}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 10}},
    },
    "provider": "OPENAI",
    "delay_ms": 1500,
    "time_to_first_token": 250,
    "prompt_tokens": 80,
    "completion_tokens": 8,
    "prompt_cache_read_tokens": 10,
    "costUSD": 0.002,
    "request_properties": {"Helicone-Session-Id": "s-1", "Helicone-Prompt-Id": "support-reply"},
}


def read(row: dict[str, Any]) -> LoggedCall:
    assert helicone.claims(row)
    (call,) = helicone.read(row, Reading())
    return call


def test_a_row_with_bodies() -> None:
    """With bodies the answer's own usage counts, and the request is there for inference."""
    call = read(ROW)

    assert (call.provider, call.model, call.api) == ("openai", "gpt-5.4", "chat_completions")
    assert call.reply.usage == Usage(90, 8, cache_read_tokens=10)
    assert (call.reply.id, call.reply.model) == ("chatcmpl-1", "gpt-5.4-2026-03-05")
    assert (call.end_ns or 0) - (call.start_ns or 0) == 1_500_000_000
    assert (call.time_to_first_chunk_s, call.stated_usd) == (0.25, Decimal("0.002"))
    assert (call.use_case_name, call.conversation_id) == ("support-reply", "s-1")


def test_a_row_of_the_csv_export() -> None:
    """The export tool's CSV has fewer columns, bodies as JSON in cells, and is read all the same."""
    call = read(
        {
            "response_id": "res-1",
            "response_created_at": "2026-11-02T10:00:02.000Z",
            "response_status": "200",
            "request_created_at": "2026-11-02T10:00:00.000Z",
            "request_body": json.dumps(ROW["request_body"]),
            "request_properties": "{}",
            "model": "gpt-5.4",
            "prompt_tokens": "90",
            "completion_tokens": "8",
            "latency": "1500",
            "cost": "0.002",
        }
    )

    assert (call.provider, call.model, call.own_id) == ("openai", "gpt-5.4", "res-1")
    assert call.reply.usage == Usage(90, 8)
    assert call.body == ROW["request_body"]


def test_counts_that_leave_the_cache_out() -> None:
    """Without bodies the columns count, and a cache that is larger than the input is added to it."""
    row = {**ROW, "response_body": None, "prompt_tokens": 5, "prompt_cache_read_tokens": 60}

    assert read(row).reply.usage == Usage(65, 8, cache_read_tokens=60)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (429, {"error": {"type": "rate_limit", "code": "rate_limit_exceeded"}}, "rate_limit_exceeded"),
        (500, None, "HTTP 500"),
        (-3, None, "no_answer"),
    ],
)
def test_failures(status: int, answer: Any, error: str) -> None:
    """A failed request has the provider's code, else its status."""
    assert read({**ROW, "response_status": status, "response_body": answer}).error_type == error


def test_what_is_no_call() -> None:
    """Events of tools and rows without a model are left out, with the reason."""
    with pytest.raises(NotACall, match="type tool"):
        read({**ROW, "request_body": {"_type": "tool", "toolName": "search"}})
    with pytest.raises(UnreadableRow, match="no model"):
        read({"request_created_at": "2026-11-02T10:00:00Z"})
