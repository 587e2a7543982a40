from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.instrumentation.content import read_content
from tierwise.instrumentation.sdk import Reply, ToolCall

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def said(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "content": text}]


def asked(body: dict[str, Any]) -> list[dict[str, Any]]:
    return read_content(body, None).asked


@pytest.mark.parametrize(
    "body",
    [
        {"system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]},
        {"instructions": "Be brief.", "input": "hi"},
        {
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        {"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
        {"instructions": "Be brief.", "prompt": ["hi"]},
    ],
)
def test_prompts(body: dict[str, Any]) -> None:
    """Every API's way to give instructions and a prompt comes to the same content."""
    content = read_content(body, None)

    assert content.instructions == said("Be brief.")
    assert content.asked == [{"role": "user", "parts": said("hi")}]


def test_instructions_within_the_conversation_stay_there() -> None:
    """A system or developer message is a message: the conventions keep it in the order it was sent."""
    body = {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]}

    content = read_content(body, None)

    assert content.instructions == []
    assert content.asked == [
        {"role": "developer", "parts": said("Be brief.")},
        {"role": "user", "parts": said("hi")},
    ]


@pytest.mark.parametrize(
    "turns",
    [
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"id": "t1", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "t1", "content": "42"},
            ]
        },
        {
            "input": [
                {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "t1", "output": "42"},
            ]
        },
    ],
)
def test_tools_of_openai(turns: dict[str, Any]) -> None:
    """Calls of tools and their results are parts, in both OpenAI APIs."""
    assert asked(turns) == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "f", "arguments": "{}"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]},
    ]


def test_tools_of_anthropic() -> None:
    """Anthropic's blocks are the same parts."""
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "42"}]},
    ]

    assert asked({"messages": messages}) == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]},
    ]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    ],
)
def test_reasoning(turn: dict[str, Any]) -> None:
    """Visible reasoning that is sent back to the model is a part of its own, without its signature."""
    assert asked({"input": [turn]}) == [{"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}]}]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, {"type": "image_url"}),
        ({"type": "image", "source": {"type": "base64", "data": "AAAA"}}, {"type": "image"}),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, {"type": "input_audio"}),
        (
            {"type": "image_url", "image_url": {"url": "https://a.test/i.png"}},
            {"type": "uri", "modality": "image", "uri": "https://a.test/i.png"},
        ),
        (
            {"type": "input_image", "image_url": "https://a.test/i.png"},
            {"type": "uri", "modality": "image", "uri": "https://a.test/i.png"},
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a.test/d.pdf"}},
            {"type": "uri", "modality": "document", "uri": "https://a.test/d.pdf"},
        ),
        ({"type": "input_file", "file_id": "f1"}, {"type": "file", "modality": "input_file", "file_id": "f1"}),
    ],
)
def test_attachments_stay_out(block: dict[str, Any], part: dict[str, Any]) -> None:
    """Of an image or a file its address is recorded, or that there was one, and never its bytes."""
    assert asked({"messages": [{"role": "user", "content": [block]}]}) == [{"role": "user", "parts": [part]}]


def test_attachments_of_a_tool_stay_out() -> None:
    """An image that a tool gave back is no more recorded than one of the user's."""
    image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "42"}, image]}

    (message,) = asked({"messages": [{"role": "user", "content": [result]}]})

    assert message["parts"][0]["response"] == [*said("42"), {"type": "image"}]


def test_answer() -> None:
    """The answer is one message with its text, the tools it asks for, and why it ended."""
    reply = Reply(text="Let me see.", tool_calls=(ToolCall("f", "{}", "t1"),), finish_reasons=("tool_calls",))

    assert read_content({}, reply).answered == [
        {
            "role": "assistant",
            "parts": [*said("Let me see."), {"type": "tool_call", "id": "t1", "name": "f", "arguments": "{}"}],
            "finish_reason": "tool_calls",
        }
    ]
    assert read_content({}, Reply(finish_reasons=("stop",))).answered == []


@pytest.mark.parametrize(
    ("tool", "definition"),
    [
        ({"type": "function", "function": {"name": "f", "description": "d"}}, {"type": "function", "name": "f"}),
        ({"type": "function", "name": "f", "parameters": {}}, {"type": "function", "name": "f"}),
        ({"name": "f", "input_schema": {}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "name": "f", "input_schema": {}}, {"type": "function", "name": "f"}),
        ({"type": "web_search_20250305", "name": "web_search"}, {"type": "web_search_20250305", "name": "web_search"}),
        ({"type": "file_search"}, {"type": "file_search", "name": "file_search"}),
    ],
)
def test_tool_definitions(tool: dict[str, Any], definition: dict[str, Any]) -> None:
    """Of a tool its type and name are recorded; descriptions and schemas are large and stay out."""
    assert read_content({"tools": [tool]}, None).tools == [definition]


def test_iterators_stay_unread() -> None:
    """Messages given as an iterator are not read: they have to reach the provider."""
    messages = iter([{"role": "user", "content": "hi"}])

    assert asked({"messages": messages}) == []
    assert next(messages)


@given(
    st.dictionaries(st.sampled_from(["system", "instructions", "messages", "input", "prompt", "tools"]), json_values)
)
def test_odd_bodies(body: dict[str, Any]) -> None:
    """Whatever JSON a request holds, it is read."""
    read_content(body, None)
