from __future__ import annotations

import pytest

from tierwise.checks.answer import Answer, ToolCall
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.refusal import check


def found(answer: Answer) -> Finding:
    return check({}, answer, CheckContext(), Deadline(10.0))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("Sure!", refused=True),
        Answer("Sure!", finish_reason="content_filter"),
        Answer("Sure!", finish_reason="refusal"),
        Answer("", finish_reason="stop"),
        Answer(" \n" * 10_000),
        Answer("I'm sorry, but I can't assist with that request."),
    ],
)
def test_no_answer_is_a_refusal(answer: Answer) -> None:
    """A provider's mark, an empty answer, or a text that begins as refusals do is none."""
    assert found(answer).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        Answer("The total is 12."),
        Answer("", (ToolCall("find", "{}"),)),
        Answer("I can't assist you further, says the letter. " + "It goes on. " * 200),
        Answer('{"text": "I cannot help with that"}'),
    ],
)
def test_an_answer_is_none(answer: Answer) -> None:
    """A tool call, JSON, or a text that goes on at length is an answer."""
    assert found(answer).passed
