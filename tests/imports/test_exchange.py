from __future__ import annotations

from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.exchange import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    error_of,
    read_reply,
    surface_of,
)
from tierwise.instrumentation.sdk import Surface

CHOICE = {"finish_reason": "stop", "message": {"content": "hello"}}


@pytest.mark.parametrize(
    ("body", "answer", "path", "surface"),
    [
        ({}, {"object": "chat.completion"}, None, CHAT),
        ({}, {"type": "message"}, None, MESSAGES),
        ({}, {"choices": [{"text": "x"}]}, None, COMPLETIONS),
        ({"messages": []}, None, "https://api.anthropic.com/v1/messages?beta=true", MESSAGES),
        ({"messages": []}, None, "/v1/chat/completions", CHAT),
        ({"model": "claude-haiku-4-5", "system": "x", "messages": []}, None, None, MESSAGES),
        ({"model": "gpt-5.4", "messages": []}, None, None, CHAT),
        ({"model": "gpt-5.4", "input": "x"}, None, None, RESPONSES),
        ({"model": "text-embedding-3-small", "input": "x"}, None, None, EMBEDDINGS),
        ({"prompt": "x"}, None, None, COMPLETIONS),
        ({}, None, None, None),
    ],
    ids=str,
)
def test_which_api(body: dict[str, Any], answer: Any, path: str | None, surface: Surface | None) -> None:
    """The answer tells the API, else the path, else the request; nothing tells nothing."""
    assert surface_of(body, answer, path=path) is surface


def test_what_is_dropped_unread_changes_nothing() -> None:
    """An answer is read the same with its text wanted and not, the text apart."""
    answer = {"object": "chat.completion", "id": "c", "model": "m", "choices": [CHOICE, CHOICE]}
    counted = {**answer, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}

    plain, whole = (read_reply(CHAT, counted, with_text=wanted) for wanted in (False, True))

    assert whole.text == "hello"
    assert (plain.id, plain.model, plain.usage, plain.finish_reasons) == ("c", "m", Usage(9, 2), ("stop", "stop"))
    assert (whole.id, whole.model, whole.usage, whole.finish_reasons) == ("c", "m", Usage(9, 2), ("stop", "stop"))
    assert read_reply(CHAT, answer, with_text=False).output_chars == 10


def test_a_gateway_that_mixes_shapes() -> None:
    """OpenAI's shape with Anthropic's counts is read, the cache within the total."""
    usage = {"input_tokens": 20, "output_tokens": 2, "cache_read_input_tokens": 60}

    reply = read_reply(CHAT, {"object": "chat.completion", "choices": [CHOICE], "usage": usage}, with_text=False)

    assert reply.usage == Usage(80, 2, cache_read_tokens=60)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": {"code": "rate_limit", "type": "x"}}, "rate_limit"),
        ({"error": {"type": "overloaded_error"}}, "overloaded_error"),
        ({"error": {"message": "the prompt itself"}}, "error"),
        ({"error": None}, None),
        ("text", None),
    ],
    ids=str,
)
def test_errors(answer: Any, error: str | None) -> None:
    """An error is its code or type, and never its message, which may quote the prompt."""
    assert error_of(answer) == error
