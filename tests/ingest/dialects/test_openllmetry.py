from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.ingest.dialects import openllmetry, read_call
from tierwise.ingest.dialects.content import request_of
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

SCOPE = "opentelemetry.instrumentation.openai.v1"
CHAT: dict[str, Any] = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.is_streaming": True,
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Summarize the text.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "A long text.",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Short.",
    "traceloop.workflow.name": "digest",
    "traceloop.association.properties.session_id": "talk",
    "traceloop.association.properties.user_id": "ana",
}


def test_older_span_is_read(make_decoded: MakeDecoded) -> None:
    """A span with numbered prompts is a call with its stream, workflow, session, user and messages."""
    call = read_call(make_decoded(CHAT, scope=SCOPE))

    assert call is not None
    assert (call.provider, call.stream, call.usage.input_tokens) == ("openai", True, 12)
    assert (call.use_case_name, call.conversation_id, call.tenant) == ("digest", "talk", "ana")
    assert request_of(call) == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Summarize the text."},
            {"role": "user", "content": "A long text."},
        ],
    }
    assert not any(key.startswith("gen_ai.prompt.") for key in call.extra)


def test_workflows_and_tasks_are_no_calls(make_decoded: MakeDecoded) -> None:
    """A span of a workflow, task, agent or tool is no call, whatever it repeats of the calls inside it."""
    span = make_decoded({**CHAT, "traceloop.span.kind": "workflow"}, scope="opentelemetry.instrumentation.langchain")

    assert read_call(span) is None


@pytest.mark.parametrize(
    "scope", ["opentelemetry.instrumentation.genai.openai", "opentelemetry.instrumentation.openai_v2"]
)
def test_official_instrumentations_are_others(make_decoded: MakeDecoded, scope: str) -> None:
    """OpenTelemetry's own instrumentations, whose scopes begin alike, are read as what they are."""
    assert not openllmetry.claims(make_decoded(CHAT, scope=scope))
