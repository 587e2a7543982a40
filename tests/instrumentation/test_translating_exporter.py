from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

import tierwise
from tierwise.errors import SettingsError
from tierwise.instrumentation import profiles

CALL = {"tierwise.priced": True, "gen_ai.operation.name": "chat", "gen_ai.usage.cost.amount": 0.5}


class Exporters:
    """An app's provider with two exporters, of which one is translated."""

    def __init__(self, *names: str) -> None:
        self.plain, self.backend = InMemorySpanExporter(), InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(tierwise.export_profile(self.backend, *names)))
        self.provider.add_span_processor(SimpleSpanProcessor(self.plain))
        self.tracer = self.provider.get_tracer("tierwise")


def test_only_the_backends_copy() -> None:
    """The backend sees the added attributes; the span, and every other exporter, do not."""
    exporters = Exporters("openlit")

    exporters.tracer.start_span("chat gpt-4o", attributes=CALL).end()

    (plain,), (translated,) = exporters.plain.get_finished_spans(), exporters.backend.get_finished_spans()
    assert dict(plain.attributes or {}) == CALL
    assert dict(translated.attributes or {}) == {**CALL, "gen_ai.usage.cost": 0.5}


def test_everything_else_is_the_same() -> None:
    """A translated span differs from the original in its attributes alone."""
    exporters = Exporters("openlit")
    with exporters.tracer.start_as_current_span("parent") as parent:
        span = exporters.tracer.start_span(
            "chat gpt-4o", kind=SpanKind.CLIENT, attributes=CALL, links=[Link(parent.get_span_context())]
        )
        span.add_event("chunk", {"n": 1})
        span.set_status(StatusCode.ERROR, "failed")
        span.end()

    plain, translated = exporters.plain.get_finished_spans()[0], exporters.backend.get_finished_spans()[0]
    for name in (
        *("name", "context", "parent", "kind", "status", "start_time", "end_time"),
        *("resource", "instrumentation_scope", "events", "links"),
    ):
        assert getattr(translated, name) == getattr(plain, name), name


def test_spans_of_the_app() -> None:
    """Spans that are no calls of ours are passed on as they are."""
    exporters = Exporters("openlit", "sentry")

    exporters.tracer.start_span("handler").end()

    (backend,), (plain,) = exporters.backend.get_finished_spans(), exporters.plain.get_finished_spans()
    assert dict(backend.attributes or {}) == dict(plain.attributes or {}) == {}


def test_our_own_error(outside_pytest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When translating fails, the span is exported as it is."""

    def fail(_: object) -> dict[str, str]:
        raise RuntimeError("broken")

    monkeypatch.setattr(profiles, "PROFILES", {"openlit": fail})
    exporters = Exporters("openlit")

    exporters.tracer.start_span("chat gpt-4o", attributes=CALL).end()

    assert dict(exporters.backend.get_finished_spans()[0].attributes or {}) == CALL


def test_unknown_profile() -> None:
    """A name that is no profile is refused when the app starts, with those there are."""
    with pytest.raises(SettingsError, match="no export profile 'lngfuse'; known profiles: langfuse, "):
        tierwise.export_profile(InMemorySpanExporter(), "lngfuse")


class Recording(SpanExporter):
    def __init__(self) -> None:
        self.asked: list[object] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.asked.append("shutdown")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.asked.append(timeout_millis)
        return False


def test_is_the_exporter_it_wraps() -> None:
    """Results, flushing and shutting down are those of the exporter inside."""
    inner = Recording()
    exporter = tierwise.export_profile(inner, "mlflow")

    assert exporter.export([]) is SpanExportResult.FAILURE
    assert exporter.force_flush(5) is False
    exporter.shutdown()
    assert inner.asked == [5, "shutdown"]
