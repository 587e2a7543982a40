from __future__ import annotations

from typing import Any

import pytest

from tierwise.checks.request_text import MAX_CHARS, read_texts


@pytest.mark.parametrize(
    "body",
    [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "First."},
                {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
                {"role": "user", "content": [{"type": "text", "text": "Second."}]},
            ]
        },
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "First."},
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": "Second."},
            ],
        },
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": "First."},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
                {"role": "user", "content": [{"type": "input_text", "text": "Second."}]},
            ],
        },
    ],
    ids=["chat", "messages", "responses"],
)
def test_every_api_s_texts_are_found(body: dict[str, Any]) -> None:
    """Instructions and turns are found in order, and what is asked is the instructions with the last turn."""
    found = read_texts(body)

    assert found.texts == ("Be brief.", "First.", "Yes.", "Second.")
    assert found.instruction == "Be brief.\nSecond."
    assert found.whole


def test_the_result_of_a_tool_is_a_text() -> None:
    """What a tool gave is part of the context, in both APIs' shapes."""
    messages = [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "12"}]}]}]
    items = [{"type": "function_call_output", "output": "12"}]

    assert read_texts({"messages": messages}).texts == ("12",)
    assert read_texts({"input": items}).texts == ("12",)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
        {"input": "And then?", "previous_response_id": "resp_1"},
        {"input": "a" * (MAX_CHARS + 1)},
        {"model": "m"},
        {"input": [{"type": ["text"]}]},
    ],
)
def test_what_is_missing_is_said(body: dict[str, Any]) -> None:
    """An image, a document, a kept conversation or too much text leaves the texts incomplete."""
    assert not read_texts(body).whole


def test_what_is_kept_is_bounded() -> None:
    """Of a long conversation only so much text is kept."""
    found = read_texts({"messages": [{"role": "user", "content": "a" * 300_000}] * 5})

    assert sum(map(len, found.texts)) <= MAX_CHARS
