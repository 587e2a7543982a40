from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import SettingsError
from tierwise.instrumentation.content import Content
from tierwise.instrumentation.redaction import (
    DEFAULT_LIMITS,
    Limits,
    RedactionFailed,
    Reduced,
    load_redactor,
    reduce_content,
    reduce_text,
)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "content": words}


def message(words: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [text(words)]}


def conversation(*words: str, answer: str = "", instructions: str = "") -> Content:
    return Content(
        [text(instructions)] if instructions else [],
        [message(said) for said in words],
        [message(answer, "assistant")] if answer else [],
        [],
    )


def texts(content: Content) -> list[str]:
    parts = [*content.instructions, *(part for turn in (*content.asked, *content.answered) for part in turn["parts"])]
    return [part["content"] for part in parts]


def test_within_the_limits_nothing_changes() -> None:
    """Content that is small enough leaves as it is, in containers of its own."""
    content = conversation("hi", answer="hello", instructions="Be brief.")

    reduced = reduce_content(content, None, DEFAULT_LIMITS)

    assert reduced == Reduced(content, truncated=False)
    assert reduced.content.asked[0] is not content.asked[0]


def test_every_text_is_redacted() -> None:
    """Instructions, messages, arguments of tools with their names, results and addresses pass the redactor."""
    content = Content(
        [text("secret")],
        [
            {
                "role": "user",
                "parts": [
                    {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": ["secret"], "secret": 1}},
                    {"type": "tool_call_response", "id": "t1", "response": [text("secret")]},
                    {"type": "uri", "modality": "image", "uri": "https://a.test/secret"},
                ],
            }
        ],
        [message("secret", "assistant")],
        [{"type": "function", "name": "secret"}],
    )

    reduced = reduce_content(content, lambda said: said.replace("secret", "*"), DEFAULT_LIMITS)

    assert "secret" not in json.dumps(reduced.content)
    assert json.dumps(reduced.content) == json.dumps(content).replace("secret", "*")


@pytest.mark.parametrize("redact", [lambda _: 1 / 0, lambda _: None], ids=["raises", "forgets to return"])
def test_a_failing_redactor_takes_all_content_with_it(redact: Any) -> None:
    """Nothing leaves that the redactor has not passed."""
    with pytest.raises(RedactionFailed):
        reduce_content(conversation("hi"), redact, DEFAULT_LIMITS)
    with pytest.raises(RedactionFailed):
        reduce_text("hi", redact, DEFAULT_LIMITS)


def test_redaction_goes_before_truncation() -> None:
    """A secret at the cut is redacted whole: half of one would not be recognised."""
    reduced = reduce_content(
        conversation("ab secret"), lambda said: said.replace("secret", "*"), Limits(message_bytes=40, call_bytes=500)
    )

    assert texts(reduced.content) == ["ab *"]


def test_a_long_message_is_cut() -> None:
    """A message keeps its beginning, and says how many bytes are missing; its neighbours are whole."""
    reduced = reduce_content(conversation("x" * 100, "y"), None, Limits(message_bytes=64, call_bytes=10_000))

    first, second = reduced.content.asked
    assert first["parts"] == [{"type": "text", "content": "x" * 32, "truncated_bytes": 68}]
    assert second == message("y")
    assert reduced.truncated


def test_the_oldest_messages_go_first() -> None:
    """Where the call's limit is reached, answer, instructions and the latest messages are kept."""
    content = conversation(*(f"{number:0>50}" for number in range(20)), answer="answer", instructions="Be brief.")

    reduced = reduce_content(content, None, Limits(message_bytes=1_000, call_bytes=500))

    kept = texts(reduced.content)
    assert (kept[0], kept[-2], kept[-1]) == ("Be brief.", f"{19:0>50}", "answer")
    assert len(kept) < 8
    assert reduced.truncated


def test_cut_within_a_character() -> None:
    """Half of a character does not leave."""
    assert reduce_text("aé", None, Limits(2, 100)) == "a"


@pytest.mark.parametrize("value", [2**80, float("nan"), float("inf"), "\ud800", b"bytes", {1, 2}, {3: "three"}])
def test_values_that_otlp_cannot_carry(value: Any) -> None:
    """Large integers, odd floats, lone surrogates and foreign types would lose the whole batch in the exporter."""
    call = {"type": "tool_call", "id": None, "name": "f", "arguments": {"a": value}}

    reduced = reduce_content(Content([], [{"role": "assistant", "parts": [call]}], [], []), None, DEFAULT_LIMITS)

    json.dumps(reduced.content, allow_nan=False, ensure_ascii=False).encode()
    assert all(abs(number) < 2**63 for number in _integers(reduced.content.asked))


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for member in value.values() for number in _integers(member)]
    if isinstance(value, list):
        return [number for member in value for number in _integers(member)]
    return [value] if isinstance(value, int) else []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=8), st.integers(1, 400), st.integers(1, 400))
def test_limits_hold_for_all_content(values: list[Any], message_bytes: int, call_bytes: int) -> None:
    """The texts of a call never add up to more than its limit, whatever it holds."""
    parts = [{"type": "tool_call_response", "id": None, "response": value} for value in values]
    content = Content(parts, [{"role": "tool", "parts": [part]} for part in parts], [], parts)

    reduced = reduce_content(content, None, Limits(message_bytes, call_bytes))

    assert sum(len(said.encode()) for said in _strings(reduced.content)) <= call_bytes


def _strings(value: Any) -> list[str]:
    """Every text but the members that are no content."""
    if isinstance(value, dict):
        members = [(key, member) for key, member in value.items() if key not in ("type", "id", "role")]
        own = [key for key, _ in members if key not in ("parts", "response", "truncated_bytes")]
        return own + [said for _, member in members for said in _strings(member)]
    if isinstance(value, list | tuple):
        return [said for member in value for said in _strings(member)]
    return [value] if isinstance(value, str) else []


def test_a_redactor_by_its_path() -> None:
    """A setting names the function by module and name."""
    assert load_redactor("json:dumps") is json.dumps


@pytest.mark.parametrize(
    "path", ["json", "json.dumps", "json:", "json:nothing", "no.such.module:f", ":f", "json:codecs"]
)
def test_a_path_that_leads_nowhere(path: str) -> None:
    """A redactor that cannot be imported is refused at the start: without it content would leave unredacted."""
    with pytest.raises(SettingsError, match="redact"):
        load_redactor(path)
