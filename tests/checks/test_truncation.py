from __future__ import annotations

import pytest

from tierwise.checks.answer import Answer, ToolCall
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.json_text import MAX_JSON_CHARS
from tierwise.checks.truncation import check


def found(answer: Answer) -> Finding:
    return check({}, answer, CheckContext(), Deadline(10.0))


@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_context_window_exceeded", "error", "incomplete"])
def test_the_finish_reason_decides(reason: str) -> None:
    """An answer that ran into a limit, or ended without an end, is cut off whatever its text."""
    assert found(Answer("All of it.", finish_reason=reason)).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        Answer("All of it.", finish_reason="stop"),
        Answer('{"a": [1, 2]}', finish_reason="end_turn"),
        Answer("```json\n{}\n```", finish_reason="stop"),
        Answer("", (ToolCall("find", '{"a": 1}'),), "tool_calls"),
        Answer(r'{"a": "\alpha"}'),
    ],
)
def test_a_whole_answer_passes(answer: Answer) -> None:
    """What is closed is whole; JSON that is only malformed is not cut off."""
    assert found(answer).passed


@pytest.mark.parametrize(
    "answer",
    [
        Answer('{"a": [1, 2', finish_reason="stop"),
        Answer('```json\n{"a": "b', finish_reason="stop"),
        Answer("Here:\n```python\nprint(1)", finish_reason="stop"),
        Answer("", (ToolCall("find", "{}"), ToolCall("find", '{"a": ')), "tool_calls"),
    ],
)
def test_what_is_left_open_is_cut_off(answer: Answer) -> None:
    """JSON, tool arguments or a code block that is not closed is cut off, even after a regular end."""
    assert found(answer).passed is False


def test_a_very_long_answer_is_not_looked_through() -> None:
    """What is too long to look through in the time of a call is neither."""
    assert found(Answer("[" * (MAX_JSON_CHARS + 1))).passed is None
