"""A span exporter that adds a backend's own attributes to what it exports, and to nothing else.

Spans reach every exporter of an app as the same objects, so this one exports copies: the translation is seen by the
backend behind it, while a tierwise collector beside it gets the spans as they were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tierwise.firewall import firewall
from tierwise.instrumentation.profiles import extra_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable


class TranslatingExporter(SpanExporter):
    """Exports through `exporter`, under the profiles of these names."""

    def __init__(self, exporter: SpanExporter, names: Iterable[str]) -> None:
        self._exporter = exporter
        self._names = tuple(names)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([self._translated(span) for span in spans])

    def _translated(self, span: ReadableSpan) -> ReadableSpan:
        with firewall("translating a span"):
            attributes = span.attributes or {}
            extra = extra_attributes(attributes, self._names)
            if extra:
                return ReadableSpan(
                    name=span.name,
                    context=span.context,
                    parent=span.parent,
                    resource=span.resource,
                    attributes={**attributes, **extra},
                    events=span.events,
                    links=span.links,
                    kind=span.kind,
                    status=span.status,
                    start_time=span.start_time,
                    end_time=span.end_time,
                    instrumentation_scope=span.instrumentation_scope,
                )
        return span

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
