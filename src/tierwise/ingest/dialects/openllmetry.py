"""The spans of OpenLLMetry's (Traceloop's) instrumentations, with names of its own (read at 0.62.4)."""

from __future__ import annotations

from typing import Any, Final

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects import otel_genai
from tierwise.ingest.dialects.reported import first
from tierwise.ingest.spans import Span

_SCOPES: Final = "opentelemetry.instrumentation."
_NOT_ITS: Final = ("opentelemetry.instrumentation.genai.", "opentelemetry.instrumentation.openai_v2")
"""OpenTelemetry's own, which share the prefix."""
_OWN: Final = ("traceloop.", "llm.", "gen_ai.is_streaming", "gen_ai.prompt.0.", "gen_ai.openai.api_base")
_ASSOCIATED: Final = "traceloop.association.properties."


def claims(span: Span) -> bool:
    """Whether one of OpenLLMetry's instrumentations wrote the span, and about a model."""
    return (
        span.scope_name.startswith(_SCOPES)
        and not span.scope_name.startswith(_NOT_ITS)
        and any(key.startswith(_OWN) for key in span.attributes)
    )


def read(span: Span) -> Call | None:
    """The call; None for workflows, tasks, agents and tools, which carry `traceloop.span.kind` and no model."""
    attributes = span.attributes
    if "traceloop.span.kind" in attributes or not otel_genai.claims(span):
        return None
    known: dict[str, Any] = {
        sc.REQUEST_STREAM: attributes.get("gen_ai.is_streaming"),
        sc.CONVERSATION_ID: _associated(attributes, "session_id", "conversation_id", "thread_id"),
        sc.TENANT: _associated(attributes, "tenant_id", "tenant", "customer_id", "user_id"),
        sc.USE_CASE_NAME: first(attributes, "traceloop.prompt.key", "traceloop.workflow.name"),
    }
    said = {key: value for key, value in known.items() if value not in (None, "")}
    return otel_genai.read_attributes({**said, **attributes})


def _associated(attributes: dict[str, Any], *names: str) -> str | None:
    found = first(attributes, *(_ASSOCIATED + name for name in names))
    return None if found is None else str(found)
