from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tierwise.instrumentation.collector_exporter import SINGLE_TRY_S, CollectorExporter

SPANS: list[Any] = [object(), object()]
otlp_log = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")


class Backend(SpanExporter):
    """An OTLP exporter to a collector that is there or not, and logs as the real one does."""

    def __init__(self, collector: Collector, timeout_s: float | None) -> None:
        self._collector = collector
        self.timeout_s = timeout_s
        self.is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._collector.tries.append(self.timeout_s)
        if self._collector.is_there:
            return SpanExportResult.SUCCESS
        otlp_log.warning("Transient error, retrying")
        otlp_log.error("Failed to export spans batch code: %s, reason: %s", 401, "Unauthorized")
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.is_shut = True


class Collector:
    def __init__(self) -> None:
        self.is_there = True
        self.tries: list[float | None] = []
        self.backends: list[Backend] = []

    def make(self, timeout_s: float | None) -> Backend:
        self.backends.append(Backend(self, timeout_s))
        return self.backends[-1]


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def exporter(collector: Collector) -> CollectorExporter:
    return CollectorExporter(collector.make, "http://collector:4318", "Start one with `tierwise up`.")


def test_made_when_needed(collector: Collector, exporter: CollectorExporter) -> None:
    """The OTLP exporter, which is slow to import, is made at the first export and kept."""
    before = len(collector.backends)

    exporter.export(SPANS)
    exporter.export(SPANS)

    assert (before, len(collector.backends), collector.tries) == (0, 1, [None, None])


def test_one_warning(collector: Collector, exporter: CollectorExporter, caplog: pytest.LogCaptureFixture) -> None:
    """While nobody listens there is one WARNING, which names the address, the reason and the way out."""
    collector.is_there = False

    for _ in range(3):
        assert exporter.export(SPANS) is SpanExportResult.FAILURE

    (record,) = caplog.records
    assert record.getMessage() == (
        "Spans cannot be delivered to http://collector:4318 (Failed to export spans batch code: 401, reason: "
        "Unauthorized). Your calls are not affected. Start one with `tierwise up`."
    )


def test_other_exporters_may_speak(exporter: CollectorExporter, caplog: pytest.LogCaptureFixture) -> None:
    """What another exporter of the app logs outside our exports is not kept back."""
    exporter.export(SPANS)

    otlp_log.error("the app's own")

    assert caplog.messages == ["the app's own"]


def test_single_tries_while_away(collector: Collector, exporter: CollectorExporter) -> None:
    """A collector that is away gets a single try for each batch, and full patience again once it answers."""
    collector.is_there = False
    exporter.export(SPANS)
    exporter.export(SPANS)
    collector.is_there = True
    exporter.export(SPANS)
    exporter.export(SPANS)

    assert collector.tries == [None, SINGLE_TRY_S, SINGLE_TRY_S, None]


def test_back_again(collector: Collector, exporter: CollectorExporter, caplog: pytest.LogCaptureFixture) -> None:
    """When the collector answers again it is said how many spans were lost, and counting starts anew."""
    caplog.set_level(logging.INFO, logger="tierwise")
    collector.is_there = False
    exporter.export(SPANS)
    exporter.export(SPANS)
    lost = exporter.lost_spans
    collector.is_there = True

    exporter.export(SPANS)

    assert (lost, exporter.lost_spans) == (4, 0)
    assert caplog.messages[-1] == "http://collector:4318 answers again; 4 spans were lost while it did not"


def test_closing(collector: Collector, exporter: CollectorExporter) -> None:
    """At the end of the process waiting between tries is cut short, and one failed try is enough."""
    exporter.export(SPANS)
    collector.is_there = False

    exporter.begin_closing()
    exporter.export(SPANS)
    exporter.export(SPANS)
    exporter.shutdown()

    assert collector.tries == [None, SINGLE_TRY_S]
    assert all(backend.is_shut for backend in collector.backends)
    assert exporter.lost_spans == 4


def test_forked(collector: Collector, exporter: CollectorExporter) -> None:
    """A forked child makes connections of its own, and leaves the parent's open."""
    exporter.export(SPANS)

    exporter.forget_connections()
    exporter.export(SPANS)

    parent, child = collector.backends
    assert (parent.is_shut, child.is_shut) == (False, False)
