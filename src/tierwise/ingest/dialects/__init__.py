"""One file an instrumentation: which spans are its calls to a model, and what they say.

A dialect is a module with two functions, listed in DIALECTS in the order they are asked:

    claims(span) -> bool          whether the span was written in this dialect
    read(span) -> Call | None     the call it describes; None when it describes none, such as a token count
"""

from __future__ import annotations

from typing import Final, Protocol

from tierwise.call import Call
from tierwise.ingest.dialects import (
    anthropic_native,
    langfuse,
    logfire,
    openinference,
    openlit,
    openllmetry,
    otel_genai,
    tierwise,
    vercel_ai_sdk,
)
from tierwise.ingest.spans import Span


class Dialect(Protocol):
    """What a module in this package offers."""

    def claims(self, span: Span, /) -> bool: ...

    def read(self, span: Span, /) -> Call | None: ...


DIALECTS: Final[tuple[Dialect, ...]] = (
    tierwise,
    anthropic_native,
    logfire,
    langfuse,
    vercel_ai_sdk,
    openinference,
    openlit,
    openllmetry,
    otel_genai,
)
"""The first that claims a span reads it, so the general one stands last."""


def read_call(span: Span) -> Call | None:
    """The call that `span` describes; None for any other span."""
    for dialect in DIALECTS:
        if dialect.claims(span):
            return dialect.read(span)
    return None
