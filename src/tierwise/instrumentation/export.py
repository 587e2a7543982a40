"""Where spans go: where the app says, else where the standard OTLP variables say, else to our collector."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from tierwise import semconv as sc
from tierwise.firewall import firewall
from tierwise.instrumentation import dropped, pricing
from tierwise.otlp_delivery import (
    collector_headers,
    is_disabled,
    is_off,
    names_collector,
    session_without_foreign_headers,
    standard_endpoint,
)
from tierwise.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

    from tierwise.instrumentation.collector_exporter import CollectorExporter

logger = logging.getLogger("tierwise")

FLUSH_AT_EXIT_S = 2.0
"""How long a process that ends waits for its last spans to be delivered."""


# --- set-up, once a process -------------------------------------------------------------------------------------------

_lock = threading.Lock()
_own_provider: TracerProvider | None = None
_own_meters: MeterProvider | None = None
_fed: Any = None
"""The app's provider that also feeds our collector."""
_processors: list[tuple[BatchSpanProcessor, CollectorExporter]] = []


def set_up_exporting(settings: Settings) -> bool:
    """Configure OpenTelemetry if nobody has; whether the provider in force is of our making.

    An app's own TracerProvider is left as it is, but for one case: when `TIERWISE_ENDPOINT` was set, it gets one more
    processor, which sends tierwise's own spans there and no others.
    """
    global _own_provider, _fed
    if is_disabled():
        return False
    with _lock:
        provider: Any = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            _own_provider = provider = _new_provider(settings)
            trace.set_tracer_provider(provider)
            _set_up_metrics()
        elif provider is not _own_provider and provider is not _fed and names_collector(settings):
            _fed = provider
            # Only the SDK's providers take processors.
            add = getattr(provider, "add_span_processor", None)
            if add is not None:
                add(_only_ours(_collector_exporter(settings)))
        return provider is _own_provider


def _new_provider(settings: Settings) -> TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Its own handler at exit may wait half a minute for a collector that is away.
    provider = TracerProvider(shutdown_on_exit=False)
    if is_off("TRACES"):
        return provider
    standard = standard_endpoint("TRACES")
    if standard:
        provider.add_span_processor(_remembered(BatchSpanProcessor, _standard_exporter(standard)))
    if not standard or names_collector(settings):
        exporter = _collector_exporter(settings)
        provider.add_span_processor(_only_ours(exporter) if standard else _remembered(BatchSpanProcessor, exporter))
    return provider


def _only_ours(exporter: CollectorExporter) -> BatchSpanProcessor:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class OwnSpansProcessor(BatchSpanProcessor):
        """Exports the spans of tierwise, and leaves the app's own where the app sends them."""

        def on_end(self, span: ReadableSpan) -> None:
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == sc.SCOPE_NAME:
                super().on_end(span)

    return _remembered(OwnSpansProcessor, exporter)


def _remembered(kind: type[BatchSpanProcessor], exporter: CollectorExporter) -> BatchSpanProcessor:
    processor = kind(exporter)
    _processors.append((processor, exporter))
    if len(_processors) == 1:
        atexit.register(flush_at_exit)
    return processor


def _collector_exporter(settings: Settings) -> CollectorExporter:
    from tierwise.instrumentation.collector_exporter import CollectorExporter

    def make(timeout_s: float | None) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        headers = collector_headers(settings)
        return OTLPSpanExporter(
            endpoint=f"{settings.endpoint}/v1/traces",
            headers=headers,
            timeout=timeout_s,
            session=session_without_foreign_headers(headers, "TRACES"),
        )

    return CollectorExporter(
        make,
        settings.endpoint,
        "Start a collector there with `tierwise up`, or set TIERWISE_ENDPOINT to the one you have.",
    )


def _standard_exporter(endpoint: str) -> CollectorExporter:
    from tierwise.instrumentation.collector_exporter import CollectorExporter

    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    uses_grpc = protocol == "grpc"
    if uses_grpc and find_spec("opentelemetry.exporter.otlp.proto.grpc") is None:
        logger.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', but opentelemetry-exporter-otlp-proto-grpc is not installed: spans "
            "are sent as http/protobuf. Install it, or set the variable to http/protobuf and the address to match."
        )
        uses_grpc = False

    def make(timeout_s: float | None) -> SpanExporter:
        if uses_grpc:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # pyright: ignore[reportMissingImports]
                OTLPSpanExporter,
            )

            return OTLPSpanExporter(timeout=timeout_s)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)

    return CollectorExporter(
        make, endpoint, "The address comes from OTEL_EXPORTER_OTLP_ENDPOINT; is anything listening there?"
    )


def _set_up_metrics() -> None:
    """A MeterProvider, only for those who asked for metrics: our collector takes none."""
    global _own_meters
    exporter = os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    asked = exporter == "otlp" or (not exporter and os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
    if not asked or type(metrics.get_meter_provider()).__module__.startswith("opentelemetry.sdk"):
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    _own_meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], shutdown_on_exit=False)
    metrics.set_meter_provider(_own_meters)


# --- the end of the process, and its children -------------------------------------------------------------------------


def flush_at_exit() -> None:
    """Deliver the last spans, for `FLUSH_AT_EXIT_S` at the most."""
    timeout_ms = int(FLUSH_AT_EXIT_S * 1000)
    with firewall("finishing calls at exit"):
        dropped.wait_until_finished(0.5)
    pricing.give_up_waiting()
    for processor, exporter in _processors:
        with firewall("delivering spans at exit"):
            exporter.begin_closing()
            batches = getattr(processor, "_batch_processor", None)
            if batches is None:
                processor.shutdown()
            else:
                # The processor's own shutdown() has no parameter for the time it may take.
                batches.shutdown(timeout_millis=timeout_ms)
    if _own_meters is not None:
        with firewall("delivering metrics at exit"):
            _own_meters.shutdown(timeout_millis=timeout_ms)


def forget_parent() -> None:
    """In a forked child, leave the parent's connections and unfinished calls to the parent."""
    dropped.forget_parent()
    pricing.forget_waiting()
    for _, exporter in _processors:
        exporter.forget_connections()
