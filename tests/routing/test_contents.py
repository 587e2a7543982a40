from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import TextBlock, ThinkingBlock, ToolUseBlock
from hypothesis import given
from hypothesis import strategies as st

from tierwise.call import Request
from tierwise.routing.contents import contents_of, first_user_text, messages_of

MakeRequest = Callable[..., Request]


def test_a_text_input_is_one_user_message(make_request: MakeRequest):
    """The Responses API's plain text reads as a message of the user."""
    request = make_request({"input": "Hello"}, api="responses")

    assert messages_of(request) == ({"role": "user", "content": "Hello"},)
    assert first_user_text(request) == "Hello"


def test_a_one_shot_iterator_is_left_unread(make_request: MakeRequest):
    """Messages that can be read once are not read here."""
    messages = iter([{"role": "user", "content": "Hello"}])
    request = make_request({"messages": messages})

    assert messages_of(request) is None
    assert first_user_text(request) == ""
    assert contents_of(request).unreadable == "its messages are not a list"
    assert list(messages) == [{"role": "user", "content": "Hello"}]


@given(st.lists(st.tuples(st.sampled_from(["assistant", "user"]), st.text(max_size=5)), max_size=4))
def test_later_turns_do_not_change_the_first_user_text(make_request: MakeRequest, later: list[tuple[str, str]]):
    """Every turn of one history has the first turn's key."""
    first: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}]
    more = [{"role": role, "content": text} for role, text in later]

    assert first_user_text(make_request({"messages": first + more})) == "One?"


def test_both_ends_of_a_long_text_count(make_request: MakeRequest):
    """Prompts that differ only at their end, or only in their length, do not share a key."""
    instructions = "Extract the total. " * 500

    def key(text: str) -> str:
        return first_user_text(make_request({"messages": [{"role": "user", "content": text}]}))

    assert key(instructions + "invoice 1") != key(instructions + "invoice 2")
    assert key(instructions + "x" * 1500) != key(instructions + "x" * 1600)
    assert len(key(instructions)) < 2100


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ],
)
def test_a_message_without_text_is_known_by_its_data(make_request: MakeRequest, part: dict[str, Any]):
    """Two conversations that begin with different pictures do not share a key."""
    text = first_user_text(make_request({"messages": [{"role": "user", "content": [part]}]}))

    assert "AAAA" in text or "file_1" in text


@pytest.mark.parametrize(
    ("message", "needs"),
    [
        ({"role": "user", "content": [{"type": "text", "text": "a"}]}, set[str]()),
        ({"role": "user", "content": [{"type": "image", "source": {}}]}, {"images"}),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, {"audio_input"}),
        ({"role": "user", "content": [{"type": "document", "source": {"type": "base64"}}]}, {"pdf"}),
        ({"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "a"}}]}, set[str]()),
        ({"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}, {"images"}),
        ({"type": "function_call_output", "output": [{"type": "input_file"}]}, {"pdf"}),
        ({"type": "function_call_output", "output": "text"}, set[str]()),
        (
            {
                "role": "user",
                "content": [{"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}],
            },
            {"images"},
        ),
    ],
)
def test_what_parts_ask_of_a_model_is_found(make_request: MakeRequest, message: dict[str, Any], needs: set[str]):
    """Pictures, files and audio are seen wherever the APIs allow them; plain text asks for nothing."""
    found = contents_of(make_request({"messages": [message]}))

    assert found.needs == needs
    assert found.unreadable is None
    assert not found.unknown_parts


@pytest.mark.parametrize(
    ("item", "state"),
    [
        ({"role": "assistant", "content": [{"type": "thinking", "signature": "x"}]}, "signed thinking blocks"),
        ({"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}, "signed thinking blocks"),
        ({"type": "reasoning", "encrypted_content": "x"}, "reasoning items"),
        ({"type": "item_reference", "id": "x"}, "a reference to a stored item"),
        ({"role": "assistant", "audio": {"id": "x"}}, "audio of an earlier answer"),
        ({"role": "assistant", "content": [{"type": "tool_use", "id": "x"}]}, None),
        ({"type": "function_call", "call_id": "x"}, None),
    ],
)
def test_state_of_another_model_is_found(make_request: MakeRequest, item: dict[str, Any], state: str | None):
    """What only its own model can read is seen; tool calls with their ids are not such a thing."""
    assert contents_of(make_request({"messages": [item]})).state == state


def test_typed_blocks_of_an_earlier_answer_are_read(make_request: MakeRequest):
    """Anthropic's SDK passes on the blocks of `response.content` as objects of its own."""
    blocks = [TextBlock(type="text", text="b"), ToolUseBlock(type="tool_use", id="1", name="f", input={})]
    thinking = ThinkingBlock(type="thinking", thinking="t", signature="s")

    plain = contents_of(make_request({"messages": [{"role": "assistant", "content": blocks}]}))
    tied = contents_of(make_request({"messages": [{"role": "assistant", "content": (thinking, *blocks)}]}))
    first = first_user_text(make_request({"messages": [{"role": "user", "content": blocks}]}))

    assert (plain.unreadable, plain.state, plain.unknown_parts) == (None, None, set())
    assert (tied.unreadable, tied.state) == (None, "signed thinking blocks")
    assert first == "b"


def test_unknown_parts_are_named(make_request: MakeRequest):
    """A part or item of a type nobody has looked at is remembered by its type."""
    found = contents_of(
        make_request(
            {"input": [{"type": "mcp_call"}, {"role": "user", "content": [{"type": "hologram"}]}]}, api="responses"
        )
    )

    untyped = contents_of(make_request({"messages": [{"role": "user", "content": [{"text": "a"}]}]}))

    assert found.unknown_parts == {"mcp_call", "hologram"}
    assert untyped.unknown_parts == {"none"}


@pytest.mark.parametrize(
    "messages", [["text"], [{"role": "user", "content": 3}], [{"role": "user", "content": [3]}], [object()]]
)
def test_what_is_not_json_is_unreadable(make_request: MakeRequest, messages: list[Any]):
    """Messages of other types are not guessed at."""
    assert contents_of(make_request({"messages": messages})).unreadable


def test_roles_are_kept_in_order(make_request: MakeRequest):
    """The last role tells a prefill, the places of system messages tell a mid-conversation one."""
    messages = [{"role": role, "content": "a"} for role in ("user", "system", "assistant")]

    assert contents_of(make_request({"messages": messages})).roles == ["user", "system", "assistant"]
