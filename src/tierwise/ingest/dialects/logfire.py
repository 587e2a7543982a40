"""The spans of Logfire's openai and anthropic integrations, of which a streamed call is two (read at 5.2.0)."""

from __future__ import annotations

from typing import Final

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects import otel_genai
from tierwise.ingest.spans import Span

_SCOPES: Final = frozenset({"logfire.openai", "logfire.anthropic"})
_SPAN_TYPE: Final = "logfire.span_type"
_USAGE: Final = (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)


def claims(span: Span) -> bool:
    """Whether one of Logfire's own integrations wrote the span."""
    return span.scope_name in _SCOPES


def read(span: Span) -> Call | None:
    """The call; None for the request of a stream, which has no usage: a log of no length reports it at the end."""
    if span.attributes.get(_SPAN_TYPE) == "pending_span":
        return None
    if span.status != "error" and all(key not in span.attributes for key in _USAGE):
        return None
    return otel_genai.read(span)
