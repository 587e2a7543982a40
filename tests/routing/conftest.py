from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Request

MakeRequest = Callable[..., Request]


@pytest.fixture(scope="session")
def make_request() -> MakeRequest:
    """Makes a Messages API request for claude-opus-5-5; `body` adds to or replaces members of its body."""

    def make(body: dict[str, Any] | None = None, **fields: Any) -> Request:
        known: dict[str, Any] = {
            "provider": "anthropic",
            "operation": "chat",
            "api": "messages",
            "model": "claude-opus-5-5",
            "task_type": "extraction",
            "use_case_id": "uc_1",
        } | fields
        full: dict[str, Any] = {
            "model": known["model"],
            "max_tokens": 5000,
            "messages": [{"role": "user", "content": "What is the total?"}],
        } | (body or {})
        return Request(body={name: value for name, value in full.items() if value is not ...}, **known)

    return make


@pytest.fixture(scope="session")
def make_openai_request(make_request: MakeRequest) -> MakeRequest:
    """Makes a Chat Completions request for gpt-4.1, without a limit on its output."""

    def make(body: dict[str, Any] | None = None, **fields: Any) -> Request:
        defaults = {"provider": "openai", "api": "chat_completions", "model": "gpt-4.1"}
        return make_request({"max_tokens": ...} | (body or {}), **(defaults | fields))

    return make
