"""Evaluations as OpenTelemetry log records, and where they are sent.

The app's own LoggerProvider is left alone: log records of ours would end up among the app's logs. A private one sends
them to the standard OTLP variables' address if there is one, and to our collector unless only the former was named.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tierwise import semconv as sc
from tierwise.firewall import firewall
from tierwise.otlp_delivery import (
    collector_headers,
    is_disabled,
    is_off,
    names_collector,
    quiet,
    session_without_foreign_headers,
    standard_endpoint,
)
from tierwise.settings import Settings

if TYPE_CHECKING:
    import requests
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter

    from tierwise.call import AttributeValue, Evaluation

logger = logging.getLogger("tierwise")

_LAST_WORD_S = 0.25


def warm_up() -> None:
    """Import what delivery needs. Some of it starts threads, which a process that is ending no longer may."""
    for name in ("opentelemetry.sdk._logs.export", "opentelemetry.exporter.otlp.proto.http._log_exporter", "requests"):
        importlib.import_module(name)


def attributes_of(evaluation: Evaluation) -> dict[str, AttributeValue]:
    """The attributes of a `gen_ai.evaluation.result` event; what is None is left out."""
    attributes: dict[str, AttributeValue] = {
        sc.EVALUATION_NAME: evaluation.name,
        sc.EVALUATION_SOURCE: evaluation.source,
    }
    for key, value in (
        (sc.EVALUATION_SCORE_VALUE, evaluation.score),
        (sc.EVALUATION_SCORE_LABEL, evaluation.label),
        (sc.EVALUATION_EXPLANATION, evaluation.explanation),
        (sc.RESPONSE_ID, evaluation.response_id),
    ):
        if value is not None:
            attributes[key] = value
    return attributes


def context_of(evaluation: Evaluation) -> Context:
    """The context of the judged call's span; of no span when the call is known by its response id alone."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    span: trace.Span = trace.INVALID_SPAN
    if evaluation.trace_id and evaluation.span_id:
        span = trace.NonRecordingSpan(
            trace.SpanContext(
                trace_id=int(evaluation.trace_id, 16),
                span_id=int(evaluation.span_id, 16),
                is_remote=False,
                trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            )
        )
    # An empty context would make the log record fall back to the span that happens to be current.
    return trace.set_span_in_context(span, Context())


class EvaluationExport:
    """Emits evaluations through `logger_provider`, or else through a private one made on first use."""

    def __init__(self, settings: Settings, *, logger_provider: LoggerProvider | None = None) -> None:
        self._settings = settings
        self._given = logger_provider
        self._lock = threading.Lock()
        self._logger: Logger | None = None
        self._processors: list[BatchLogRecordProcessor] = []

    def emit(self, evaluation: Evaluation) -> None:
        """Hand over one evaluation for delivery in the background."""
        self._otel_logger().emit(
            timestamp=evaluation.time_ns,
            context=context_of(evaluation),
            event_name=sc.EVALUATION_EVENT,
            attributes=attributes_of(evaluation),
        )

    def _otel_logger(self) -> Logger:
        with self._lock:
            if self._logger is None:
                provider = self._given or self._private_provider()
                self._logger = provider.get_logger(sc.SCOPE_NAME)
            return self._logger

    def _private_provider(self) -> LoggerProvider:
        from opentelemetry import trace
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        # Its own handler at exit may wait half a minute for a collector that is away.
        provider = LoggerProvider(
            resource=getattr(trace.get_tracer_provider(), "resource", None), shutdown_on_exit=False
        )
        for exporter in exporters(self._settings):
            processor = BatchLogRecordProcessor(exporter)
            provider.add_log_record_processor(processor)
            self._processors.append(processor)
        return provider

    def flush(self) -> bool:
        """Deliver what was emitted; takes as long as the collector takes to answer."""
        delivered = [processor.force_flush() for processor in self._processors]
        return all(delivered)

    def close(self, timeout_s: float) -> None:
        """Deliver what was emitted within `timeout_s`, and stop."""
        with firewall("delivering the last evaluations"):
            for processor in self._processors:
                batches = getattr(processor, "_batch_processor", None)
                if batches is None:
                    processor.shutdown()
                else:
                    # The processor's own shutdown() has no parameter for the time it may take.
                    batches.shutdown(timeout_millis=int(timeout_s * 1000))
                    # Stopped in the middle of a try, it has still to say that it failed.
                    batches._worker_thread.join(_LAST_WORD_S)
            self._processors.clear()

    def renewed(self) -> EvaluationExport:
        """The same in a forked child, where the parent's locks and connections are of no use."""
        return EvaluationExport(self._settings, logger_provider=self._given)


def exporters(settings: Settings) -> list[LogRecordExporter]:
    """Where evaluations go, none when OpenTelemetry is turned off."""
    if is_disabled():
        return []
    standard = None if is_off("LOGS") else standard_endpoint("LOGS")
    found: list[LogRecordExporter] = []
    if standard is not None:
        found.append(_quiet_exporter(standard, headers=None, session=None))
    if standard is None or names_collector(settings):
        headers = collector_headers(settings)
        endpoint = f"{settings.endpoint}/v1/logs"
        if endpoint != standard:
            found.append(
                _quiet_exporter(endpoint, headers=headers, session=session_without_foreign_headers(headers, "LOGS"))
            )
    return found


def _quiet_exporter(
    endpoint: str, *, headers: dict[str, str] | None, session: requests.Session | None
) -> LogRecordExporter:
    """An OTLP/HTTP log exporter that says once that nobody listens, where the OTLP exporter says it at each try."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs.export import LogRecordExportResult

    class QuietLogExporter(OTLPLogExporter):
        warned = False

        def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
            with quiet:
                result = super().export(batch)
            if result is not LogRecordExportResult.SUCCESS and not self.warned:
                self.warned = True
                logger.warning(
                    "Evaluations cannot be delivered to %s. Your calls are not affected. Start a collector with "
                    "`tierwise up`, or set TIERWISE_ENDPOINT to the one you have.",
                    endpoint,
                )
            return result

    quiet.install()
    return QuietLogExporter(endpoint=endpoint, headers=headers, session=session)
