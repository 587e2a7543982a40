from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.prompt import HEAD_CHARS, TAIL_CHARS, clip, read_prompt

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_openai_chat():
    """System and developer messages are instructions; the last user message with text is the question."""
    prompt = read_prompt(
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "First"},
                {"role": "assistant", "content": "Answer"},
                {"role": "user", "content": [{"type": "text", "text": "Second"}, {"type": "image_url"}]},
            ]
        }
    )

    assert (prompt.system, prompt.user, prompt.assistant_turns, prompt.attachments) == ("Be brief.", "Second", 1, 1)
    assert prompt.input_chars == len("Be brief.FirstAnswerSecond")


def test_openai_responses():
    """Instructions, input items and tool outputs of the Responses API are read."""
    prompt = read_prompt(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
                {"type": "function_call", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "output": "sunny"},
            ],
            "prompt": {"id": "pmpt_1", "variables": {"city": "Rome"}},
        }
    )

    assert (prompt.system, prompt.user, prompt.has_tool_results) == ("Be brief.", "Hello", True)
    assert prompt.prompt_id == "pmpt_1"
    assert prompt.input_chars == len("Be brief.Hellosunny")


def test_responses_input_may_be_one_string():
    """A plain `input` is the user's text."""
    assert read_prompt({"model": "gpt-5", "input": "Hello"}).user == "Hello"


def test_legacy_completion():
    """A completion's `prompt` is the user's text, alone or the last of a list."""
    assert read_prompt({"prompt": "Once upon"}).user == "Once upon"
    assert read_prompt({"prompt": ["Once", "upon"]}).user == "Once\nupon"


def test_anthropic_messages():
    """System blocks, tool results and documents of Anthropic messages are read."""
    prompt = read_prompt(
        {
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {}}, {"type": "text", "text": "Why?"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "search"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "found"}]}]},
            ],
            "tools": [{"name": "search", "input_schema": {"type": "object"}}],
        }
    )

    assert (prompt.system, prompt.user, prompt.attachments) == ("Be brief.", "Why?", 1)
    assert (prompt.has_tool_results, prompt.tool_names) == (True, ("search",))
    assert prompt.input_chars == len("Be brief.Why?found")


def test_embedding_is_known_by_its_model():
    """Inputs with an embedding model are to be embedded."""
    assert read_prompt({"model": "text-embedding-3-small", "input": ["a", "b"]}).is_embedding
    assert not read_prompt({"model": "gpt-5", "input": "a"}).is_embedding


def test_sdk_objects_are_read_as_their_fields():
    """A message object of the SDK, appended to the list by the caller, counts like a dict."""
    message = SimpleNamespace(role="assistant", content="Answer")

    prompt = read_prompt({"messages": [message, {"role": "user", "content": "Next"}]})

    assert (prompt.assistant_turns, prompt.user) == (1, "Next")


def test_iterators_are_left_unread():
    """A generator in the place of a list yields to the SDK everything it had."""

    def once() -> Iterator[dict[str, str]]:
        yield {"role": "user", "content": "Hello"}

    messages = once()

    prompt = read_prompt({"messages": messages, "tools": iter([WEATHER])})

    assert prompt.user == ""
    assert list(messages) == [{"role": "user", "content": "Hello"}]


def test_tool_choice_none_hides_the_tools():
    """Tools that may not be called do not make a call a tool call."""
    assert read_prompt({"tools": [WEATHER], "tool_choice": "none"}).tool_names == ()
    assert read_prompt({"tools": [WEATHER], "tool_choice": {"type": "none"}}).tool_names == ()


def test_one_forced_tool_is_a_response_schema():
    """Forcing the only tool is how libraries ask for structured output."""
    tool = {"name": "record", "input_schema": {"type": "object", "properties": {}}}

    prompt = read_prompt({"tools": [tool], "tool_choice": {"type": "tool", "name": "record"}})

    assert (prompt.forced_tool, prompt.schema_name, prompt.is_json) == ("record", "record", True)
    assert prompt.schema == tool["input_schema"]


def test_a_forced_tool_among_others_is_not_a_schema():
    """With several tools declared the conversation is an agent's."""
    other = {"type": "function", "function": {"name": "search"}}
    choice = {"type": "function", "function": {"name": "weather"}}

    assert read_prompt({"tools": [WEATHER, other], "tool_choice": choice}).forced_tool == ""


def test_response_schemas_of_all_providers():
    """Chat, Responses and Anthropic keys name the same thing."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    chat = {"response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": schema}}}
    responses = {"text": {"format": {"type": "json_schema", "name": "out", "schema": schema}}}
    anthropic = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    for request in (chat, responses, anthropic):
        prompt = read_prompt(request)
        assert (prompt.schema, prompt.is_json) == (schema, True)


def test_json_mode_has_no_schema():
    """`json_object` asks for JSON without saying which."""
    prompt = read_prompt({"response_format": {"type": "json_object"}})

    assert (prompt.is_json, prompt.schema) == (True, None)


def test_a_long_text_is_its_head_and_tail():
    """Clipping keeps both ends, and a short text as the same object."""
    short = "a" * (HEAD_CHARS + TAIL_CHARS)

    assert clip(short) is short
    assert clip("h" * HEAD_CHARS + "x" * 10**6 + "t" * TAIL_CHARS) == "h" * HEAD_CHARS + "\n" + "t" * TAIL_CHARS


def test_size_of_a_long_conversation_is_estimated_from_its_ends():
    """Of a thousand equal messages a few are read, and all are counted."""
    messages = [{"role": "user", "content": "x" * 10}] * 1_000

    assert read_prompt({"messages": messages}).input_chars == 10_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "messages", "input", "prompt", "system", "instructions", "tools", "functions", "tool_choice", "response_format",
    "text", "output_config", "model", "role", "content", "type", "name", "function", "json_schema", "format", "id",
)  # fmt: skip
REQUESTS = st.recursive(
    VALUES | st.sampled_from(["user", "system", "text", "tool_result", "json_schema", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(KEYS), REQUESTS))
def test_odd_requests_are_read_without_an_error(request_body: dict[str, Any]):
    """Whatever stands where a string, list or mapping is due counts as absent."""
    prompt = read_prompt(request_body)

    assert isinstance(prompt.system, str)
    assert isinstance(prompt.user, str)
    assert prompt.input_chars >= 0
