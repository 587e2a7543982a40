from __future__ import annotations

from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import anthropic_log, openai_log
from tierwise.imports.logged import BatchOrder, LoggedCall, NotACall, Reading

REQUEST: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "system": "Sort mail.",
    "messages": [{"role": "user", "content": "hi"}],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 20,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
        "output_tokens": 7,
    },
}


def read(row: dict[str, Any]) -> LoggedCall:
    assert anthropic_log.claims(row)
    (call,) = anthropic_log.read(row, Reading())
    assert isinstance(call, LoggedCall)
    return call


@pytest.mark.parametrize(
    "row", [{"request": REQUEST, "response": MESSAGE}, {**REQUEST, "response": MESSAGE}], ids=["nested", "flat"]
)
def test_a_message(row: dict[str, Any]) -> None:
    """A message's input becomes the total, cache included, split by lifetime."""
    call = read(row)

    assert (call.provider, call.model, call.api) == ("anthropic", "claude-haiku-4-5", "messages")
    assert call.reply.usage == Usage(
        100, 7, cache_read_tokens=60, cache_write_tokens=20, cache_write_5m_tokens=5, cache_write_1h_tokens=15
    )
    assert (call.reply.id, call.reply.finish_reasons) == ("msg_1", ("end_turn",))
    assert call.parameters == {"gen_ai.request.max_tokens": 100}


def test_results_of_a_batch() -> None:
    """A succeeded result is a message at the batch's price; the others cost nothing; requests are orders."""
    succeeded = {"custom_id": "row-1", "result": {"type": "succeeded", "message": MESSAGE}}

    call = read(succeeded)
    (order,) = anthropic_log.read({"custom_id": "row-1", "params": REQUEST}, Reading())

    assert (call.reply.service_tier, call.order, call.own_id) == ("batch", "row-1", "msg_1")
    assert order == BatchOrder("row-1", REQUEST, "/v1/messages")
    with pytest.raises(NotACall, match="expired"):
        read({"custom_id": "row-2", "result": {"type": "expired"}})


def test_an_error() -> None:
    """An error in place of a message is the call's."""
    call = read({"request": REQUEST, "response": {"type": "error", "error": {"type": "overloaded_error"}}})

    assert call.error_type == "overloaded_error"


def test_what_it_leaves_to_others() -> None:
    """A row of OpenAI's is not claimed, and neither is a batch line of OpenAI's."""
    chat = {"object": "chat.completion", "choices": [{"message": {}}]}

    assert not anthropic_log.claims({"request": {"model": "gpt-5.4", "messages": []}, "response": chat})
    assert not anthropic_log.claims({"custom_id": "row-1", "response": {"body": chat}})
    assert not openai_log.claims({"custom_id": "row-1", "result": {"type": "succeeded"}})
