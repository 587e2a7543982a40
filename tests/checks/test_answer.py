from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.checks.answer import Answer, ToolCall, read_answer

SURFACES = ("chat", "responses", "messages", "completions")


def test_a_chat_completion_is_read() -> None:
    """Text, tool calls and finish reason are those of the first choice."""
    body = {
        "model": "gpt-6-luna",
        "choices": [
            {
                "finish_reason": "tool_calls",
                "message": {
                    "content": "One moment.",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
                },
            },
            {"finish_reason": "stop", "message": {"content": "another"}},
        ],
    }

    answer = read_answer("chat", body)

    assert answer == Answer("One moment.", (ToolCall("find", "{}", "c1"),), "tool_calls", model="gpt-6-luna")


def test_a_refusal_of_a_chat_completion_is_marked() -> None:
    """The message's own `refusal` marks the answer and is its text."""
    body = {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "I can't help."}}]}

    answer = read_answer("chat", body)

    assert (answer.text, answer.refused) == ("I can't help.", True)


def test_a_legacy_function_call_is_a_tool_call() -> None:
    """`function_call` of older models is read as a tool call without an id."""
    body = {"choices": [{"message": {"function_call": {"name": "find", "arguments": "{"}}}]}

    answer = read_answer("chat", body)

    assert answer.tool_calls == (ToolCall("find", "{"),)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"status": "completed"}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete"}, "incomplete"),
        ({"status": "failed"}, "error"),
        ({"status": "in_progress"}, None),
    ],
)
def test_a_response_says_how_it_ended(body: dict[str, Any], reason: str | None) -> None:
    """The status of a response is told in the words of chat completions."""
    assert read_answer("responses", body).finish_reason == reason


def test_a_response_is_read() -> None:
    """Texts, refusals and function calls are found among the output items."""
    body = {
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "A"}, {"type": "refusal", "refusal": "B"}]},
            {"type": "function_call", "name": "find", "arguments": '{"a": 1}', "call_id": "c1"},
        ],
    }

    answer = read_answer("responses", body)

    assert answer == Answer("AB", (ToolCall("find", '{"a": 1}', "c1"),), "tool_calls", refused=True)


def test_a_message_is_read() -> None:
    """A tool's input, which this API gives parsed, is JSON again."""
    body = {
        "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "..."},
            {"type": "text", "text": "Ja. "},
            {"type": "tool_use", "id": "t1", "name": "find", "input": {"ort": "Köln"}},
        ],
    }

    answer = read_answer("messages", body)

    assert answer == Answer("Ja. ", (ToolCall("find", '{"ort": "Köln"}', "t1"),), "tool_use")


def test_a_refused_message_is_marked() -> None:
    """`stop_reason: refusal` marks the answer."""
    assert read_answer("messages", {"stop_reason": "refusal", "content": []}).refused


def test_a_completion_is_read() -> None:
    """A legacy completion's text stands in the choice itself."""
    answer = read_answer("completions", {"choices": [{"text": "four", "finish_reason": "length"}]})

    assert answer == Answer("four", (), "length")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "tool_calls", "function", "output", "type", "text", "status", "name"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(st.sampled_from([*SURFACES, "embeddings"]), JSON)
def test_any_body_is_read(surface: str, body: Any) -> None:
    """A body of any shape gives an answer, and raises nothing."""
    answer = read_answer(surface, body)

    assert isinstance(answer.text, str)
    assert all(isinstance(call.arguments, str) for call in answer.tool_calls)
