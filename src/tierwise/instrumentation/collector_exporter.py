"""An OTLP span exporter that keeps quiet and lets the app go on while nobody listens.

The OTLP exporter retries for seconds and logs at each try. Here the first failure is one WARNING that names the address
and the way out; while the collector stays away each batch gets a single try, and what is lost is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tierwise.otlp_delivery import quiet

logger = logging.getLogger("tierwise")


class MakeExporter(Protocol):
    """Makes an OTLP exporter with a total time for one batch, retries included; None: its default."""

    def __call__(self, timeout_s: float | None) -> SpanExporter: ...


SINGLE_TRY_S = 0.75
"""Shorter than the OTLP exporter's first wait between two tries, so that there is only one."""


class CollectorExporter(SpanExporter):
    """Exports to one address.

    Args:
        make: makes the OTLP exporter for it.
        address: as the WARNING names it.
        way_out: what a person can do about a silent address, as an imperative sentence.
    """

    def __init__(self, make: MakeExporter, address: str, way_out: str) -> None:
        quiet.install()
        self._make = make
        self._address = address
        self._way_out = way_out
        self._exporter: SpanExporter | None = None
        self._single_try: SpanExporter | None = None
        self._away = False
        self._closing = False
        self._warned = False
        self.lost_spans = 0
        """Spans that could not be delivered since the collector was last reached."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._away and self._closing:
            # One failed try at the end is enough: the process waits for this.
            self.lost_spans += len(spans)
            return SpanExportResult.FAILURE
        with quiet:
            result = self._choose().export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._away:
                logger.info("%s answers again; %d spans were lost while it did not", self._address, self.lost_spans)
            self._away, self.lost_spans = False, 0
            return result
        self._away = True
        self.lost_spans += len(spans)
        if not self._warned:
            self._warned = True
            logger.warning(
                "Spans cannot be delivered to %s (%s). Your calls are not affected. %s",
                self._address,
                quiet.last or "no answer",
                self._way_out,
            )
        return result

    def _choose(self) -> SpanExporter:
        # Made here, on the export thread: importing an HTTP client is nothing to make the user's first call wait for.
        if self._away or self._closing:
            self._single_try = self._single_try or self._make(SINGLE_TRY_S)
            return self._single_try
        self._exporter = self._exporter or self._make(None)
        return self._exporter

    def begin_closing(self) -> None:
        """Stop waiting between tries: the process is about to end."""
        self._closing = True
        self._shut(self._exporter)
        self._exporter = None

    def shutdown(self) -> None:
        self._shut(self._exporter)
        self._shut(self._single_try)

    def forget_connections(self) -> None:
        """In a forked child, leave the parent's connections to the parent."""
        self._exporter = self._single_try = None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    @staticmethod
    def _shut(exporter: SpanExporter | None) -> None:
        if exporter is not None:
            with quiet:
                exporter.shutdown()
