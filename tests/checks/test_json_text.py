from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.checks.json_text import (
    MAX_JSON_CHARS,
    after_opening_fence,
    breaks_off,
    has_open_fence,
    looks_like_json,
    parse,
    unfenced,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_what_json_writes_is_parsed(value: Any) -> None:
    """Every JSON text gives its value and no error."""
    assert parse(json.dumps(value)) == (value, "", "")


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": 1} and more', r'{"a": "\alpha"}', '{"a": 1,}'])
def test_what_is_not_json_is_named(text: str) -> None:
    """Text that strict JSON does not allow gives an error."""
    assert parse(text).error.startswith("malformed JSON")


def test_line_breaks_in_strings_may_be_allowed() -> None:
    """What models write that were asked for JSON in the prompt alone is read where it may be."""
    text = '{"reasoning": "one\ntwo"}'

    assert parse(text).error
    assert parse(text, line_breaks=True).value == {"reasoning": "one\ntwo"}


def test_deep_nesting_is_not_known() -> None:
    """A text nested more deeply than can be parsed is neither good nor bad."""
    depth = sys.getrecursionlimit() * 4

    parsed = parse("[" * depth + "]" * depth)

    assert parsed.unknown == "nested too deeply"


def test_a_long_text_is_not_parsed() -> None:
    """What is too long to parse in the time of a call is neither good nor bad."""
    assert parse(" " * MAX_JSON_CHARS + "{}").unknown


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('Here:\n```json\n{"a": 1}\n```\nDone.', '{"a": 1}\n'),
        ("```\n{}\n```", "{}\n"),
        ("```python\n{}\n```", "```python\n{}\n```"),
        ("```python\nx\n```\n```json\n{}\n```", "{}\n"),
        ("```python\nx\n```\n```\n{}\n```", "```python\nx\n```\n```\n{}\n```"),
        ("```json\n{}\n```\n```json\n{}\n```", "```json\n{}\n```\n```json\n{}\n```"),
        ("```json\n{}", "```json\n{}"),
        ("{}", "{}"),
    ],
)
def test_the_only_json_block_is_taken_out(text: str, inner: str) -> None:
    """One block marked json, or not marked, stands for the text; anything else stays as it is."""
    assert unfenced(text) == inner


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_json_cut_off_anywhere_breaks_off(value: dict[str, Any], data: st.DataObject) -> None:
    """A JSON object without its end breaks off, wherever it is cut; the whole of it does not."""
    text = json.dumps(value)
    cut = data.draw(st.integers(1, len(text) - 1))

    assert breaks_off(text[:cut])
    assert not breaks_off(text)


def test_broken_json_that_is_closed_does_not_break_off() -> None:
    """A closed object with a wrong escape, or text behind it, is malformed, and not cut off."""
    assert not breaks_off(r'{"a": "\alpha"}')
    assert not breaks_off('[1] He said "hello')


@pytest.mark.parametrize(("text", "is_open"), [("```py\nx", True), ("```py\nx\n```", False), ("a ``` b", False)])
def test_an_open_fence_is_seen(text: str, is_open: bool) -> None:
    """A fence at the start of a line opens a block, and the next one closes it."""
    assert has_open_fence(text) == is_open


def test_a_fence_before_json_is_passed_over() -> None:
    """What stands behind an opening fence is what may be JSON."""
    assert looks_like_json(after_opening_fence('  ```json\n{"a": '))
    assert not looks_like_json(after_opening_fence("Sure: {}"))
