from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import litellm
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow

ROW: dict[str, Any] = {
    "request_id": "chatcmpl-9f2a",
    "call_type": "acompletion",
    "api_key": "88dc28",
    "spend": 0.00123,
    "total_tokens": 134,
    "prompt_tokens": 100,
    "completion_tokens": 34,
    "startTime": "2026-11-02T10:00:00.500Z",
    "endTime": "2026-11-02T10:00:02.000Z",
    "completionStartTime": "2026-11-02T10:00:01.000Z",
    "model": "anthropic/claude-haiku-4-5",
    "model_group": "fast",
    "custom_llm_provider": "anthropic",
    "metadata": {"usage_object": {"prompt_tokens": 100, "completion_tokens": 34, "cache_read_input_tokens": 60}},
    "cache_hit": "False",
    "team_id": "support",
    "messages": {},
    "response": {},
    "session_id": "session-1",
    "status": "success",
    "proxy_server_request": {},
}


def read(row: dict[str, Any]) -> LoggedCall:
    assert litellm.claims(row)
    (call,) = litellm.read(row, Reading())
    return call


def test_a_row_without_content() -> None:
    """A row as LiteLLM stores it by default gives model, tokens with the cache within, times, team and stated cost."""
    call = read(ROW)

    assert (call.provider, call.model, call.own_id) == ("anthropic", "claude-haiku-4-5", "chatcmpl-9f2a")
    assert call.reply.usage == Usage(100, 34, cache_read_tokens=60)
    assert (call.end_ns or 0) - (call.start_ns or 0) == 1_500_000_000
    assert call.time_to_first_chunk_s == 0.5
    assert call.stated_usd == Decimal("0.00123")
    assert (call.tenant, call.conversation_id, call.body) == ("support", "session-1", {})


def test_rows_of_a_csv_export() -> None:
    """The same row with its JSON in cells, as a database client writes it, is the same call."""
    cells = {name: value if isinstance(value, str) else json.dumps(value) for name, value in ROW.items()}

    assert read(cells) == read(ROW)


def test_stored_prompts() -> None:
    """Where the proxy stores requests and answers, the request is there for inference and the answer for its usage."""
    request = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}
    answer = {
        "id": "chatcmpl-9f2a",
        "object": "chat.completion",
        "model": "anthropic/claude-haiku-4-5",
        "choices": [{"finish_reason": "stop", "message": {"content": "hello"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }

    call = read({**ROW, "proxy_server_request": {"body": request}, "response": answer, "metadata": {}})

    assert call.body == request
    assert call.reply.usage == Usage(9, 2)
    assert (call.reply.model, call.reply.finish_reasons) == ("claude-haiku-4-5", ("stop",))
    assert call.parameters == {"gen_ai.request.temperature": 0.5}


def test_a_failed_call() -> None:
    """A failure has its class, and neither usage nor cost: nobody billed it."""
    metadata = {"error_information": {"error_class": "RateLimitError"}}

    call = read({**ROW, "status": "failure", "prompt_tokens": "0", "completion_tokens": 0, "metadata": metadata})

    assert (call.error_type, call.reply.usage, call.stated_usd) == ("RateLimitError", None, None)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"cache_hit": "True"}, NotACall, "own cache"),
        ({"call_type": "call_mcp_tool"}, NotACall, "no model"),
        ({"model": "", "model_group": ""}, UnreadableRow, "names no model"),
    ],
)
def test_rows_that_are_no_calls(change: dict[str, Any], kind: type[Exception], words: str) -> None:
    """What LiteLLM answered itself and what names no model is left out, with the reason."""
    with pytest.raises(kind, match=words):
        read({**ROW, **change})
