"""Kinds of attributes; reading from a server is tested with the store, in tests/store/test_clickhouse.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tierwise.attributes import from_attributes, to_attributes
from tierwise.call import Call, Decision, Usage
from tierwise.ingest.clickhouse_spans import typed


def as_text(value: Any) -> str:
    """An attribute as the exporter writes it."""
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_call_is_the_same_after_the_exporter() -> None:
    """A call whose attributes were all made text is the same call, texts that look like numbers among them."""
    call = Call(
        "chat",
        "openai",
        "gpt-5.4",
        response_id="42",
        finish_reasons=("stop", "length"),
        usage=Usage(1200, 64, cache_read_tokens=900, reasoning_tokens=10, estimated=True),
        stream=True,
        time_to_first_chunk_s=0.25,
        conversation_id="7",
        server_port=443,
        tenant="1e5",
        task_type="extraction",
        task_confidence=0.5,
        decision=Decision("gpt-5.4", "gpt-5.4", 3, "cheap", "control", "unchanged", 0.9, "drawn"),
        parameters={"gen_ai.request.temperature": 0.5, "gen_ai.request.stop_sequences": ["a", "b"]},
    )
    texts = {key: as_text(value) for key, value in to_attributes(call).items()}

    assert from_attributes(typed(texts)) == call


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("llm.token_count.prompt", "12", 12),
        ("ai.usage.inputTokens", "12", 12),
        ("ai.response.msToFirstChunk", "12.5", 12.5),
        ("operation.cost", "1.8e-06", 1.8e-06),
        ("gen_ai.is_streaming", "true", True),
        ("gen_ai.usage.raw", '{"input_tokens":1}', '{"input_tokens":1}'),
        ("user.id", "12", "12"),
        ("gen_ai.input.messages", "[]", "[]"),
    ],
)
def test_kinds(key: str, text: str, value: object) -> None:
    """What a text was before is told by its key, for other instrumentations' too."""
    assert typed({key: text}) == {key: value}
