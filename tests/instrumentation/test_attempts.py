from __future__ import annotations

import pytest

from tierwise import checks
from tierwise.instrumentation.attempts import as_answer
from tierwise.instrumentation.sdk import Reply, ToolCall


def test_a_reply_as_the_checks_see_it() -> None:
    """Text, tool calls, the first choice's finish reason and the model are those of the reply."""
    reply = Reply(
        model="m", finish_reasons=("stop", "length"), text="hi", tool_calls=(ToolCall("look_up", '{"a": 1}', "c1"),)
    )

    assert as_answer(reply) == checks.Answer(
        "hi", (checks.ToolCall("look_up", '{"a": 1}', "c1"),), "stop", refused=False, model="m"
    )


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        (Reply(refused=True, finish_reasons=("stop",)), True),
        (Reply(finish_reasons=("refusal",)), True),
        (Reply(finish_reasons=("content_filter",)), True),
        (Reply(finish_reasons=()), False),
    ],
)
def test_refusals(reply: Reply, refused: bool) -> None:
    """A provider marks a refusal by a field of its own or by the finish reason."""
    assert as_answer(reply).refused is refused
