from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.sdk import (
    as_object,
    attributed,
    count,
    error_code,
    estimated_tokens,
    member,
    number,
    stop_sequences,
    text,
)


def options(url: str, method: str = "post") -> Any:
    return SimpleNamespace(url=url, method=method)


@pytest.mark.parametrize(
    ("sdk", "url", "api"),
    [
        (OPENAI, "/chat/completions", "chat_completions"),
        (OPENAI, "/responses", "responses"),
        (ANTHROPIC, "/v1/messages", "messages"),
        (ANTHROPIC, "/v1/messages?beta=true", "messages"),
    ],
)
def test_billable(sdk: Any, url: str, api: str) -> None:
    """A path in the table is billable, with a query or without."""
    assert sdk.surface(options(url)).api == api


@pytest.mark.parametrize(
    ("sdk", "url", "method"),
    [
        (OPENAI, "/chat/completions", "get"),
        (OPENAI, "/responses/r1/cancel", "post"),
        (ANTHROPIC, "/v1/messages/count_tokens?beta=true", "post"),
        (ANTHROPIC, "/v1/messages/batches", "post"),
    ],
)
def test_not_billable(sdk: Any, url: str, method: str) -> None:
    """Reading, counting and batches are not calls."""
    assert sdk.surface(options(url, method)) is None


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_readers_refuse_other_types(value: Any) -> None:
    """Each reader gives its own type or nothing."""
    assert text(value) is None or (isinstance(value, str) and value)
    assert count(value) is None or (type(value) is int and value >= 0)
    assert number(value) is None or type(number(value)) is float
    assert stop_sequences(value) is None or isinstance(value, str)
    assert member(value, "key") is None


def test_objects() -> None:
    """JSON reads like the SDK's own objects, whatever its keys."""
    document = as_object('{"usage": {"total tokens": 1}, "choices": [{"index": 0}]}')

    assert document.choices[0].index == 0
    assert getattr(document.usage, "total tokens") == 1


def test_members_newer_than_the_sdk() -> None:
    """What an SDK does not know, and keeps as mappings, reads like its own objects; anything else is left as it is."""
    known = SimpleNamespace(type="message")

    read = attributed({"cached_tokens": 3, "lifetimes": [{"ttl": "1h"}], "known": known})

    assert (read.cached_tokens, read.lifetimes[0].ttl) == (3, "1h")
    assert read.known is known
    assert attributed(known) is known


@pytest.mark.parametrize(("chars", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_estimate(chars: int, tokens: int) -> None:
    """Four characters are a token, a begun one counts."""
    assert estimated_tokens(chars) == tokens


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("server-error.2", "server-error.2"),
        ("You asked: what is …?", "error"),
        ("x" * 65, "error"),
        ("", "error"),
        (None, "error"),
        (500, "error"),
    ],
)
def test_error_codes(value: Any, code: str) -> None:
    """Only what looks like a code becomes `error.type`: a server may put the prompt there."""
    assert error_code(value, "error") == code
