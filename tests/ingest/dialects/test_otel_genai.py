from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

CURRENT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5.4",
    "gen_ai.response.model": "gpt-5.4-2026-03-05",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 60,
}


def test_current_names_are_read(make_decoded: MakeDecoded) -> None:
    """A span under today's conventions is a call."""
    call = read_call(make_decoded(CURRENT))

    assert call is not None
    assert (call.operation, call.provider, call.request_model) == ("chat", "openai", "gpt-5.4")
    assert call.usage == Usage(100, 20, cache_read_tokens=60)
    assert (call.response_id, call.finish_reasons) == ("chatcmpl-1", ("stop",))


def test_older_names_are_read(make_decoded: MakeDecoded) -> None:
    """A span under names of earlier conventions and of traceloop is the same call."""
    call = read_call(
        make_decoded(
            {
                "gen_ai.system": "Bedrock",
                "llm.request.type": "completion",
                "gen_ai.request.model": "m",
                "gen_ai.usage.prompt_tokens": 100,
                "gen_ai.usage.completion_tokens": 20,
                "gen_ai.usage.cache_read_input_tokens": 60,
                "llm.is_streaming": True,
            }
        )
    )

    assert call is not None
    assert (call.operation, call.provider, call.stream) == ("text_completion", "aws.bedrock", True)
    assert call.usage == Usage(100, 20, cache_read_tokens=60)


def test_current_name_wins_over_the_older(make_decoded: MakeDecoded) -> None:
    """Where a span carries both names, today's counts, whatever the order."""
    for attributes in ({"gen_ai.usage.prompt_tokens": 1, **CURRENT}, {**CURRENT, "gen_ai.usage.prompt_tokens": 1}):
        call = read_call(make_decoded(attributes))

        assert call is not None
        assert call.usage.input_tokens == 100


@pytest.mark.parametrize(
    ("reported", "total"),
    [((100, 1000, 100), 1200), ((1200, 1000, 100), 1200), ((100, 0, 0), 100), ((0, 10, 0), 10)],
)
def test_input_is_the_total(make_decoded: MakeDecoded, reported: tuple[int, int, int], total: int) -> None:
    """Input that is less than its cached part was reported without it."""
    fresh, read, written = reported
    counts = {
        "gen_ai.usage.input_tokens": fresh,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
    }

    call = read_call(make_decoded({**CURRENT, **counts}))

    assert call is not None
    assert call.usage.input_tokens == total
    assert (call.usage.cache_read_tokens, call.usage.cache_write_tokens) == (read, written)


@pytest.mark.parametrize(
    "operation", ["invoke_agent", "execute_tool", "invoke_workflow", "create_agent", "fetch_response"]
)
def test_spans_around_calls_are_no_calls(make_decoded: MakeDecoded, operation: str) -> None:
    """Agents and tools repeat the usage of the calls inside them, and are not counted again."""
    assert read_call(make_decoded({**CURRENT, "gen_ai.operation.name": operation})) is None


def test_model_may_be_the_responses(make_decoded: MakeDecoded) -> None:
    """A span that names only the model that answered is a call to it; one that names none is no call."""
    without = {key: value for key, value in CURRENT.items() if key != "gen_ai.request.model"}

    call = read_call(make_decoded(without))

    assert call is not None
    assert call.request_model == "gpt-5.4-2026-03-05"
    assert read_call(make_decoded({"gen_ai.system": "openai"})) is None


def test_other_spans_are_not_touched(make_decoded: MakeDecoded) -> None:
    """A span without gen_ai attributes is in no dialect."""
    assert read_call(make_decoded({"http.request.method": "GET"})) is None
