"""tierwise's own spans."""

from __future__ import annotations

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import Call
from tierwise.ingest.spans import Span


def claims(span: Span) -> bool:
    """Whether tierwise wrote the span."""
    return span.scope_name == sc.SCOPE_NAME


def read(span: Span) -> Call | None:
    """The call; None for a span of ours that names no model."""
    return from_attributes(span.attributes) if sc.REQUEST_MODEL in span.attributes else None
