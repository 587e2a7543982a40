from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects.content import content_attributes, request_of
from tierwise.tasks.infer import infer

OPENAI: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "u"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "12 degrees"},
]


def call_with(**extra: Any) -> Call:
    return Call("chat", "openai", "m", extra=extra)


def test_messages_become_parts() -> None:
    """Texts, images, tool calls and their results are the conventions' parts; an image's data is not kept."""
    found = json.loads(content_attributes(messages=OPENAI)[sc.INPUT_MESSAGES])

    assert found == [
        {"role": "user", "parts": [{"type": "text", "content": "Look"}, {"type": "image_url"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "id": "1", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "12 degrees"}]},
    ]


def test_request_tells_tools_and_results() -> None:
    """What the inference looks for is there: instructions, tools offered, results of tools."""
    content = content_attributes(
        messages=OPENAI, system="Be brief.", tools=[{"type": "function", "function": {"name": "f"}}]
    )

    request = request_of(call_with(**content))

    assert request is not None
    assert (request["system"], request["tools"]) == ("Be brief.", [{"type": "function", "name": "f"}])
    assert {"type": "tool_result", "content": "12 degrees"} in request["messages"][2]["content"]


def test_tool_that_was_called_was_offered() -> None:
    """An answer that calls a tool says that there is one, where nobody defines any."""
    answer = {"role": "assistant", "tool_calls": [{"name": "weather", "arguments": "{}"}]}

    request = request_of(call_with(**content_attributes(messages="Weather?", answer=answer)))

    assert request is not None
    assert request["tools"] == [{"type": "function", "name": "weather"}]


def test_no_content_is_no_request() -> None:
    """A call that carries no messages has no request to infer from."""
    assert request_of(call_with(**{"http.route": "/pay"})) is None
    assert content_attributes() == {}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "parts", "tool_calls", "name"]), inner)
    ),
    max_leaves=12,
)


@given(said=_JSON)
def test_odd_content_is_read_as_far_as_it_goes(said: Any) -> None:
    """Content of any shape gives messages or nothing, never an error."""
    content_keys = (sc.INPUT_MESSAGES, sc.SYSTEM_INSTRUCTIONS, sc.OUTPUT_MESSAGES, sc.TOOL_DEFINITIONS)
    content = content_attributes(messages=said, system=said, answer=said)

    request_of(call_with(**content))
    for value in (said, json.dumps(said)):
        request = request_of(call_with(**dict.fromkeys(content_keys, value)))
        assert request is None or infer(request, memory=None).complexity


@pytest.mark.parametrize("messages", ["not json", "[1, 2]", "{}"])
def test_content_that_is_no_messages(messages: str) -> None:
    """A text that is no list of messages is as good as none."""
    request = request_of(call_with(**{sc.INPUT_MESSAGES: messages}))

    assert request is None or all(message["role"] is None for message in request["messages"])
