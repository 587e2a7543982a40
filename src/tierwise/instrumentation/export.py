"""Where spans go: where the app says, else where the standard OTLP variables say, else to our collector."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from tierwise import semconv as sc
from tierwise.errors import SettingsError
from tierwise.firewall import firewall
from tierwise.instrumentation import dropped, later, pricing
from tierwise.otlp_delivery import (
    collector_headers,
    is_disabled,
    is_off,
    names_collector,
    session_without_foreign_headers,
    standard_endpoint,
    standard_headers,
)
from tierwise.settings import EXPORT_PROFILES, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        elif provider is not _own_provider and provider is not _fed:
            if settings.export_profile:
                _warn_of_unused_profile(
                    "your application exports its spans itself",
                    'wrap its exporter: tierwise.export_profile(exporter, "NAME")',
                )
            if names_collector(settings):
                _fed = provider
                # Only the SDK's providers take processors.
                add = getattr(provider, "add_span_processor", None)
                if add is not None:
                    add(_only_ours(_collector_exporter(settings)))
        return provider is _own_provider


def export_profile(exporter: SpanExporter, *names: str) -> SpanExporter:
    """An exporter that adds what a backend wants on calls' spans, for an app that exports by itself.

    Only the copies that go to `exporter` are changed: other exporters of the app, and a tierwise collector, get the
    spans as they are.

    Args:
        exporter: the one that leads to the backend.
        names: profiles: langfuse, mlflow, openlit, phoenix, sentry.

    Raises:
        SettingsError: there is no profile of this name.
    """
    from tierwise.instrumentation.translating_exporter import TranslatingExporter

    for name in names:
        if name not in EXPORT_PROFILES:
            raise SettingsError(f"no export profile {name!r}; known profiles: {', '.join(EXPORT_PROFILES)}")
    return TranslatingExporter(exporter, names)


def _new_provider(settings: Settings) -> TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Its own handler at exit may wait half a minute for a collector that is away.
    provider = TracerProvider(shutdown_on_exit=False)
    if is_off("TRACES"):
        return provider
    standard = standard_endpoint("TRACES")
    if standard:
        exporter = _standard_exporter(standard, settings.export_profile)
        provider.add_span_processor(_remembered(BatchSpanProcessor, exporter))
    elif settings.export_profile:
        _warn_of_unused_profile(
            "a tierwise collector takes spans as they are", "name the backend with OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    if not standard or names_collector(settings):
        exporter = _collector_exporter(settings)
        provider.add_span_processor(_only_ours(exporter) if standard else _remembered(BatchSpanProcessor, exporter))
    return provider


@cache
def _warn_of_unused_profile(why: str, way_out: str) -> None:
    """Once a process."""
    logger.warning("TIERWISE_EXPORT_PROFILE changes nothing: %s. To use it, %s.", why, way_out)


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


def _standard_exporter(endpoint: str, profiles: Sequence[str]) -> CollectorExporter:
    from tierwise.instrumentation.collector_exporter import CollectorExporter

    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    uses_grpc = protocol == "grpc"
    if uses_grpc and find_spec("opentelemetry.exporter.otlp.proto.grpc") is None:
        logger.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', but opentelemetry-exporter-otlp-proto-grpc is not installed: spans "
            "are sent as http/protobuf. Install it, or set the variable to http/protobuf and the address to match."
        )
        uses_grpc = False
    if uses_grpc:
        _import_grpc()

    def make(timeout_s: float | None) -> SpanExporter:
        exporter = _grpc_exporter(timeout_s) if uses_grpc else _http_exporter(endpoint, profiles, timeout_s)
        return export_profile(exporter, *profiles) if profiles else exporter

    return CollectorExporter(
        make,
        # gRPC has no path, and takes its address from the variable itself.
        endpoint.removesuffix("/v1/traces") if uses_grpc else endpoint,
        "The address comes from OTEL_EXPORTER_OTLP_ENDPOINT; is anything listening there?",
    )


def _import_grpc() -> None:
    """Have the gRPC exporter imported in the background, and done by the time the process ends.

    The first export may be the one at exit, when nothing that starts a thread can be imported any more. The thread is
    no daemon, so that the interpreter waits for it before that; the SDK's logs, whose import uses a thread pool, are
    imported here because pools end sooner.
    """
    import_module("opentelemetry.sdk._logs")

    def load() -> None:
        with firewall("importing the gRPC exporter"):
            import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")

    threading.Thread(target=load, name="tierwise-grpc-import", daemon=False).start()


def _grpc_exporter(timeout_s: float | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # pyright: ignore[reportMissingImports]
        OTLPSpanExporter,
    )

    return OTLPSpanExporter(timeout=timeout_s)


def _http_exporter(endpoint: str, profiles: Sequence[str], timeout_s: float | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    headers: dict[str, str] | None = None
    if profiles:
        from tierwise.instrumentation.profiles import headers as profile_headers

        headers = {**profile_headers(profiles), **standard_headers("TRACES")}
    return OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=timeout_s)


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
        later.complete_waiting()
        # A short script's first call may be its last, and backends other than our collector price nothing later.
        pricing.wait_until_settled(later.WAIT_FOR_PRICES_S)
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
    later.forget_parent()
    pricing.forget_waiting()
    for _, exporter in _processors:
        exporter.forget_connections()
