"""Log records of ours on their way: through a LoggerProvider that was given, or through a private one.

The private one sends them to the standard OTLP variables' address if there is one, and to our collector unless only the
former was named.
"""

from __future__ import annotations

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
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter

logger = logging.getLogger("tierwise")

_LAST_WORD_S = 0.25


class LogDelivery:
    """A logger made on first use, and what it takes to deliver what it was given.

    Args:
        what: the records' name in a warning that they cannot be delivered, such as "Evaluations".
        logger_provider: None: a private one.
        max_queued: records that may wait for delivery; further ones are dropped.
    """

    def __init__(
        self, settings: Settings, what: str, *, logger_provider: LoggerProvider | None = None, max_queued: int = 2_048
    ) -> None:
        self._settings = settings
        self._what = what
        self._given = logger_provider
        self._max_queued = max_queued
        self._lock = threading.Lock()
        self._logger: Logger | None = None
        self._processors: list[BatchLogRecordProcessor] = []

    @property
    def logger(self) -> Logger:
        """Takes records, and delivers them in the background."""
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
        for exporter in exporters(self._settings, self._what):
            processor = BatchLogRecordProcessor(
                exporter, max_queue_size=self._max_queued, max_export_batch_size=min(512, self._max_queued // 4)
            )
            provider.add_log_record_processor(processor)
            self._processors.append(processor)
        return provider

    def flush(self) -> bool:
        """Deliver what was emitted; takes as long as the collector takes to answer."""
        delivered = [processor.force_flush() for processor in self._processors]
        return all(delivered)

    def close(self, timeout_s: float) -> None:
        """Deliver what was emitted within `timeout_s`, and stop."""
        with firewall(f"delivering the last {self._what.lower()}"):
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

    def renewed(self) -> LogDelivery:
        """The same in a forked child, where the parent's locks and connections are of no use."""
        return LogDelivery(self._settings, self._what, logger_provider=self._given, max_queued=self._max_queued)


def exporters(settings: Settings, what: str) -> list[LogRecordExporter]:
    """Where records go, none when OpenTelemetry is turned off."""
    if is_disabled():
        return []
    standard = None if is_off("LOGS") else standard_endpoint("LOGS")
    found: list[LogRecordExporter] = []
    if standard is not None:
        found.append(_quiet_exporter(standard, what, headers=None, session=None))
    if standard is None or names_collector(settings):
        headers = collector_headers(settings)
        endpoint = f"{settings.endpoint}/v1/logs"
        if endpoint != standard:
            session = session_without_foreign_headers(headers, "LOGS")
            found.append(_quiet_exporter(endpoint, what, headers=headers, session=session))
    return found


def _quiet_exporter(
    endpoint: str, what: str, *, headers: dict[str, str] | None, session: requests.Session | None
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
                    "%s cannot be delivered to %s. Your calls are not affected. Start a collector with "
                    "`tierwise up`, or set TIERWISE_ENDPOINT to the one you have.",
                    what,
                    endpoint,
                )
            return result

    quiet.install()
    return QuietLogExporter(endpoint=endpoint, headers=headers, session=session)
