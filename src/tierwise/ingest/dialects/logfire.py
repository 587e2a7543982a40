"""The spans of Logfire's openai and anthropic integrations, of which a streamed call is two (read at 5.2.0)."""

from __future__ import annotations

from typing import Any, Final

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects import otel_genai
from tierwise.ingest.dialects.content import content_attributes
from tierwise.ingest.dialects.reported import mapping, usage_attributes
from tierwise.ingest.spans import Span

_SCOPES: Final = frozenset({"logfire.openai", "logfire.anthropic"})
_SPAN_TYPE: Final = "logfire.span_type"
_USAGE: Final = (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)
_RAW_USAGE: Final = "gen_ai.usage.raw"
_REQUEST: Final = "request_data"
_NOT_KEPT: Final = frozenset({_RAW_USAGE, _REQUEST, "response_data", "logfire.json_schema"})


def claims(span: Span) -> bool:
    """Whether one of Logfire's own integrations wrote the span."""
    return span.scope_name in _SCOPES


def read(span: Span) -> Call | None:
    """The call; None for the request of a stream, which has no usage: a log of no length reports it at the end."""
    said = span.attributes
    if said.get(_SPAN_TYPE) == "pending_span":
        return None
    if span.status != "error" and all(key not in said for key in _USAGE):
        return None
    attributes: dict[str, Any] = {key: value for key, value in said.items() if key not in _NOT_KEPT}
    # Its own counts leave out the parts that a cache served.
    attributes.update(usage_attributes(mapping(said.get(_RAW_USAGE))))
    if said.get(_SPAN_TYPE) == "log":
        attributes[sc.REQUEST_STREAM] = True
    if sc.INPUT_MESSAGES not in attributes:
        request = mapping(said.get(_REQUEST))
        turns = request.get("messages", request.get("input"))
        attributes.update(content_attributes(messages=turns, system=request.get("system")))
    return otel_genai.read_attributes(attributes)
