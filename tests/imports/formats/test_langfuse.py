from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import langfuse
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow

CAMEL: dict[str, Any] = {
    "id": "b1946ac92492d234",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2026-11-02T10:00:00.000Z",
    "endTime": "2026-11-02T10:00:02.000Z",
    "completionStartTime": "2026-11-02T10:00:00.500Z",
    "model": "gpt-5.4",
    "modelParameters": {"temperature": 0.2},
    "input": [{"role": "system", "content": "Sort mail."}, {"role": "user", "content": "hi"}],
    "output": {"role": "assistant", "content": "private"},
    "usageDetails": {"input": 40, "input_cached_tokens": 60, "output": 7, "total": 107},
    "totalCost": 0.0042,
    "promptName": "mail-sorter",
    "sessionId": "s-1",
    "level": "DEFAULT",
    "parentObservationId": "1111111111111111",
}
SNAKE: dict[str, Any] = {
    "id": "b1946ac92492d234",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "type": "GENERATION",
    "name": "answer",
    "start_time": "2026-11-02 10:00:00.000000",
    "end_time": "2026-11-02 10:00:02.000000",
    "completion_start_time": "2026-11-02 10:00:00.500000",
    "provided_model_name": "gpt-5.4",
    "model_parameters": '{"temperature": 0.2}',
    "input": json.dumps(CAMEL["input"]),
    "output": json.dumps(CAMEL["output"]),
    "usage_details": json.dumps(CAMEL["usageDetails"]),
    "total_cost": "0.0042",
    "prompt_name": "mail-sorter",
    "session_id": "s-1",
    "level": "DEFAULT",
    "parent_observation_id": "1111111111111111",
}


def read(row: dict[str, Any]) -> LoggedCall:
    assert langfuse.claims(row)
    (call,) = langfuse.read(row, Reading())
    return call


def test_a_generation() -> None:
    """A generation gives model, tokens of all kinds, times, prompt name, session and cost."""
    call = read(CAMEL)

    assert (call.provider, call.model, call.api) == ("openai", "gpt-5.4", "chat_completions")
    assert call.reply.usage == Usage(100, 7, cache_read_tokens=60)
    assert call.body == {"messages": CAMEL["input"]}
    assert (call.own_id, call.trace, call.parent) == (CAMEL["id"], CAMEL["traceId"], "1" * 16)
    assert (call.time_to_first_chunk_s, call.stream) == (0.5, True)
    assert (call.use_case_name, call.conversation_id, call.stated_usd) == ("mail-sorter", "s-1", Decimal("0.0042"))
    assert call.parameters == {"gen_ai.request.temperature": 0.2}


def test_exports_to_blob_storage_are_the_same_calls() -> None:
    """Names with underscores, JSON in cells and times without a zone describe the same call."""
    assert read(SNAKE) == read(CAMEL)


@pytest.mark.parametrize(
    ("change", "usage"),
    [
        ({"usageDetails": None, "usage": {"input": 12, "output": 3, "unit": "TOKENS"}}, Usage(12, 3)),
        ({"usageDetails": {}, "promptTokens": 12, "completionTokens": 3}, Usage(12, 3)),
        ({"usageDetails": {}, "inputUsage": "12", "outputUsage": "3"}, Usage(12, 3)),
        ({"usageDetails": {}, "promptTokens": 0, "completionTokens": 0}, None),
    ],
    ids=["usage", "tokens", "table", "zeros"],
)
def test_older_shapes_of_usage(change: dict[str, Any], usage: Usage | None) -> None:
    """Counts are found where older versions and tables put them; zeros in a table mean that nothing was counted."""
    assert read({**CAMEL, **change}).reply.usage == usage


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ("hello", {"messages": [{"role": "user", "content": "hello"}]}),
        ({"messages": [{"role": "user"}], "tools": []}, {"messages": [{"role": "user"}], "tools": []}),
        ({"role": "user", "content": "x"}, {"messages": [{"role": "user", "content": "x"}]}),
        (None, {}),
    ],
    ids=["text", "kwargs", "message", "none"],
)
def test_inputs(given: Any, body: dict[str, Any]) -> None:
    """An input is a text, messages or the call's keyword arguments."""
    assert read({**CAMEL, "input": given}).body == body


def test_errors_and_embeddings() -> None:
    """A generation at level ERROR failed; an embedding is one."""
    assert read({**CAMEL, "level": "ERROR"}).error_type == "error"
    assert read({**CAMEL, "type": "EMBEDDING", "model": "text-embedding-3-small"}).operation == "embeddings"


def test_what_is_no_call() -> None:
    """Spans, events and tools are left out; a generation without a model is reported."""
    with pytest.raises(NotACall, match="SPAN"):
        read({**CAMEL, "type": "SPAN"})
    with pytest.raises(UnreadableRow, match="no model"):
        read({**CAMEL, "model": None})
