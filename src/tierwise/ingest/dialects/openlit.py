"""The spans of OpenLIT's instrumentations (read at 1.45.0), which state defaults that nobody asked for.

Its content goes into log events, so that the task of these calls is known only where another span says it.
"""

from __future__ import annotations

from typing import Final

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects import otel_genai
from tierwise.ingest.dialects.reported import include_cache_in_input
from tierwise.ingest.spans import Span

_SCOPES: Final = "openlit."
_ANTHROPIC: Final = "openlit.instrumentation.anthropic"
_FIRST_CHUNK: Final = "gen_ai.server.time_to_first_token"
_DEFAULTS: Final = {
    sc.REQUEST_MAX_TOKENS: -1,
    sc.REQUEST_TEMPERATURE: 1.0,
    sc.REQUEST_TOP_P: 1.0,
    sc.REQUEST_TOP_K: 1.0,
    sc.REQUEST_SEED: 0,
    sc.REQUEST_FREQUENCY_PENALTY: 0.0,
    sc.REQUEST_PRESENCE_PENALTY: 0.0,
}
"""What it writes where the request sets nothing."""


def claims(span: Span) -> bool:
    """Whether one of OpenLIT's instrumentations wrote the span."""
    return span.scope_name.startswith(_SCOPES)


def read(span: Span) -> Call | None:
    """The call; None for agents, tools, vector stores and other spans around calls."""
    if not otel_genai.claims(span):
        return _refused(span) if span.status == "error" else None
    attributes = {key: value for key, value in span.attributes.items() if _DEFAULTS.get(key) != value}
    if attributes.get(sc.REQUEST_STREAM) is True and _FIRST_CHUNK in attributes:
        attributes[sc.RESPONSE_TIME_TO_FIRST_CHUNK] = attributes[_FIRST_CHUNK]
    # Without cached tokens, as Anthropic's API counts; OpenAI's count has them within.
    include_cache_in_input(attributes, is_left_out=span.scope_name == _ANTHROPIC)
    return otel_genai.read_attributes(attributes)


def _refused(span: Span) -> Call | None:
    """A call to Anthropic that failed, which is told by nothing but the name of its span, `chat claude-opus-4-7`."""
    operation, _, model = span.name.partition(" ")
    said = {sc.OPERATION_NAME: operation, sc.PROVIDER_NAME: span.scope_name.rpartition(".")[2], sc.REQUEST_MODEL: model}
    return otel_genai.read_attributes(said) if model else None
