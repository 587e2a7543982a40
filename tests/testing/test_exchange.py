from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.testing.answers import Answer, ProviderRequest, ProviderUsage, ToolCall
from tierwise.testing.exchange import Exchange, arguments_json, sse_data, sse_event

REQUEST = ProviderRequest(
    method="POST",
    path="/v1/chat/completions",
    headers={},
    body={"messages": [{"role": "user", "content": "x" * 40}]},
    model="gpt-4o",
    protocol="chat_completions",
    stream=False,
    received_at=0,
)


def exchange(answer: Answer) -> Exchange:
    return Exchange(request=REQUEST, answer=answer, number=7, created_s=1)


@given(text=st.text(), size=st.integers(min_value=1, max_value=50))
def test_deltas_put_together_are_the_text(text: str, size: int) -> None:
    """Cutting a text into deltas loses and adds nothing, at any size."""
    pieces = list(exchange(Answer(chunk_chars=size)).deltas(text))

    assert "".join(pieces) == text
    assert all(0 < len(piece) <= size for piece in pieces)


def test_usage_without_a_script_is_estimated_from_prompt_and_answer() -> None:
    """40 characters in and 8 out are 10 and 2 tokens."""
    assert exchange(Answer("12345678")).usage == ProviderUsage(input_tokens=10, output_tokens=2)


def test_estimated_output_counts_thinking_and_tool_arguments() -> None:
    """What the model wrote outside its text is output too."""
    answer = Answer("1234", thinking="1234", tool_calls=[ToolCall("f", {"a": 1})])

    assert exchange(answer).usage == ProviderUsage(input_tokens=10, output_tokens=4, reasoning=1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("a"), "stop"),
        (Answer("a", tool_calls=[ToolCall("f")]), "tool_calls"),
        (Answer("no", refusal=True), "refusal"),
        (Answer("a", finish_reason="length"), "length"),
    ],
)
def test_finish_reason_follows_from_the_answer_unless_it_is_given(answer: Answer, reason: str) -> None:
    """A test says why an answer ended only when it is out of the ordinary."""
    assert exchange(answer).finish_reason == reason


def test_ids_repeat_with_the_number_of_the_exchange() -> None:
    """Ids are made of the exchange's number, and a tool call may bring its own."""
    calls = exchange(Answer(tool_calls=[ToolCall("f"), ToolCall("g", id="call_mine")]))

    assert calls.id("chatcmpl-") == "chatcmpl-000000000007"
    assert calls.tool_call_id("call_", 0) == "call_000000070000"
    assert calls.tool_call_id("call_", 1) == "call_mine"


def test_arguments_given_as_text_go_out_as_they_are() -> None:
    """Broken JSON stays broken; a mapping becomes JSON."""
    assert arguments_json(ToolCall("f", '{"city": ')) == '{"city": '
    assert json.loads(arguments_json(ToolCall("f", {"city": "Zürich"}))) == {"city": "Zürich"}


def test_events_are_framed_with_and_without_a_name() -> None:
    """Chat completions stream unnamed events; the other protocols name each by its type."""
    assert sse_data({"a": "ü"}) == 'data: {"a":"ü"}\n\n'.encode()
    assert sse_event({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
