from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

GENERATION: dict[str, Any] = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "claude-opus-4-7",
    "langfuse.observation.input": json.dumps([{"role": "user", "content": "Hello"}]),
    "langfuse.observation.output": json.dumps({"role": "assistant", "content": "Good day"}),
    "langfuse.observation.usage_details": json.dumps({"input": 100, "output": 20, "cache_read_input_tokens": 50}),
    "langfuse.observation.prompt.name": "greeting",
    "session.id": "talk",
    "user.id": "ana",
}


def test_generation_is_a_call(make_decoded: MakeDecoded) -> None:
    """A generation made by hand is a call to the provider of its model's family; each count stands for itself."""
    call = read_call(make_decoded(GENERATION, scope="langfuse-sdk", name="greet"))

    assert call is not None
    assert (call.provider, call.request_model, call.use_case_name) == ("anthropic", "claude-opus-4-7", "greeting")
    assert call.usage == Usage(150, 20, cache_read_tokens=50)
    assert (call.conversation_id, call.tenant) == ("talk", "ana")
    assert "Good day" in str(call.extra["gen_ai.output.messages"])


def test_reasoning_stands_apart(make_decoded: MakeDecoded) -> None:
    """Reasoning that is counted beside the output is part of its total."""
    details = json.dumps({"input": 10, "output": 20, "output_reasoning_tokens": 70})
    said = {**GENERATION, "langfuse.observation.usage_details": details}

    call = read_call(make_decoded(said, scope="langfuse-sdk"))

    assert call is not None
    assert call.usage == Usage(10, 90, reasoning_tokens=70)


@pytest.mark.parametrize("kind", ["span", "event", "agent", "tool", "chain", "retriever", "evaluator", "guardrail"])
def test_other_observations_are_no_calls(make_decoded: MakeDecoded, kind: str) -> None:
    """Observations around calls are no calls."""
    assert read_call(make_decoded({**GENERATION, "langfuse.observation.type": kind}, scope="langfuse-sdk")) is None


def test_spans_of_others_keep_their_dialect(make_decoded: MakeDecoded) -> None:
    """A span of another instrumentation that Langfuse marks as well is read as what it is."""
    said = {**GENERATION, "gen_ai.request.model": "gpt-4o", "gen_ai.operation.name": "chat"}

    call = read_call(make_decoded(said, scope="opentelemetry.instrumentation.genai.openai"))

    assert call is not None
    assert call.request_model == "gpt-4o"
