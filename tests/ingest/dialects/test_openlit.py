from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-opus-4-7",
    "gen_ai.request.max_tokens": -1,
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.top_p": 1.0,
    "gen_ai.request.stream": True,
    "gen_ai.request.user": "",
    "gen_ai.server.time_to_first_token": 0.25,
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 200,
    "gen_ai.usage.output_tokens": 64,
}


@pytest.mark.parametrize(("sdk", "total"), [("anthropic", 1200), ("openai", 1000)])
def test_input_of_anthropic_leaves_out_the_cache(make_decoded: MakeDecoded, sdk: str, total: int) -> None:
    """Anthropic's input is the fresh part, however small the cached one; OpenAI's is the total."""
    call = read_call(make_decoded(CHAT, scope=f"openlit.instrumentation.{sdk}"))

    assert call is not None
    assert (call.usage.input_tokens, call.usage.cache_read_tokens) == (total, 200)


def test_defaults_nobody_asked_for_are_dropped(make_decoded: MakeDecoded) -> None:
    """Parameters that the request did not set are no parameters, and an empty user is no tenant."""
    call = read_call(make_decoded(CHAT, scope="openlit.instrumentation.anthropic"))

    assert call is not None
    assert call.parameters == {"gen_ai.request.temperature": 0.2}
    assert (call.tenant, call.time_to_first_chunk_s) == (None, 0.25)


def test_failure_is_told_by_the_name(make_decoded: MakeDecoded) -> None:
    """A failed call without attributes is a call to the model in the span's name; without an error it is none."""
    given: dict[str, Any] = {"scope": "openlit.instrumentation.anthropic", "name": "chat claude-x"}

    call = read_call(make_decoded({}, status="error", **given))

    assert call is not None
    assert (call.operation, call.provider, call.request_model) == ("chat", "anthropic", "claude-x")
    assert read_call(make_decoded({}, **given)) is None
