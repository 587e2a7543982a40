from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import semconv as sc
from tierwise.instrumentation.content import content_attributes
from tierwise.instrumentation.sdk import Reply, ToolCall

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def content(body: dict[str, Any], reply: Reply | None = None) -> dict[str, Any]:
    return {key: json.loads(str(value)) for key, value in content_attributes(body, reply).items()}


def said(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "content": text}]


@pytest.mark.parametrize(
    "body",
    [
        {"system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]},
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
    """Every API's way to give instructions and a prompt comes to the same attributes."""
    assert content(body) == {
        sc.SYSTEM_INSTRUCTIONS: said("Be brief."),
        sc.INPUT_MESSAGES: [{"role": "user", "parts": said("hi")}],
    }


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
    assert content(turns)[sc.INPUT_MESSAGES] == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "f", "arguments": "{}"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]},
    ]


def test_tools_of_anthropic() -> None:
    """Anthropic's blocks are the same parts."""
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "42"}]},
    ]

    assert content({"messages": messages})[sc.INPUT_MESSAGES] == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]},
    ]


def test_attachments_stay_out() -> None:
    """Of an image only that there was one is recorded, not its bytes."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    messages = content({"messages": [{"role": "user", "content": [image]}]})[sc.INPUT_MESSAGES]

    assert messages == [{"role": "user", "parts": [{"type": "image_url"}]}]


def test_answer() -> None:
    """The answer is one message with its text, the tools it asks for, and why it ended."""
    reply = Reply(text="Let me see.", tool_calls=(ToolCall("f", "{}", "t1"),), finish_reasons=("tool_calls",))

    assert content({}, reply) == {
        sc.OUTPUT_MESSAGES: [
            {
                "role": "assistant",
                "parts": [*said("Let me see."), {"type": "tool_call", "id": "t1", "name": "f", "arguments": "{}"}],
                "finish_reason": "tool_calls",
            }
        ]
    }


def test_iterators_stay_unread() -> None:
    """Messages given as an iterator are not read: they have to reach the provider."""
    messages = iter([{"role": "user", "content": "hi"}])

    assert content({"messages": messages}) == {}
    assert len(list(messages)) == 1


@given(st.dictionaries(st.sampled_from(["system", "instructions", "messages", "input", "prompt"]), json_values))
def test_odd_bodies(body: dict[str, Any]) -> None:
    """Whatever a request holds, what is recorded is valid JSON."""
    content(body)
