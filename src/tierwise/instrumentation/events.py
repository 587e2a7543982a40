"""Calls as log events of the GenAI conventions, for those who asked: what was said in them, and what they failed with.

They go through the app's LoggerProvider, where its own logs go; in an app without one, where evaluations go.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger_provider
from opentelemetry.context import Context

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Call
from tierwise.instrumentation.content_capture import Captured, ContentCapture
from tierwise.log_delivery import LogDelivery
from tierwise.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MAX_QUEUED = 256
"""Events that may wait for delivery. Each may be as large as the limit for a call's content."""
CLOSE_AT_EXIT_S = 1.0


class CallEvents:
    """Emits the events of finished calls."""

    def __init__(
        self, settings: Settings, capture: ContentCapture, *, logger_provider: LoggerProvider | None = None
    ) -> None:
        self._settings = settings
        self._capture = capture
        self._given = logger_provider
        self._delivery: LogDelivery | None = None

    def emit(self, call: Call, captured: Captured, span: Span, failure: BaseException | None, ended_ns: int) -> None:
        """The events of one finished call, which belong to its span."""
        logger = self._delivering().logger
        # Whatever span is current now is not the call's.
        context = trace.set_span_in_context(span, Context())
        logger.emit(
            timestamp=ended_ns,
            context=context,
            severity_number=SeverityNumber.DEBUG,
            event_name=sc.DETAILS_EVENT,
            attributes={**to_attributes(call), **captured.in_event},
        )
        if failure is not None:
            logger.emit(
                timestamp=ended_ns,
                context=context,
                severity_number=SeverityNumber.WARN,
                event_name=sc.EXCEPTION_EVENT,
                attributes=self._exception(failure),
            )

    def _exception(self, failure: BaseException) -> dict[str, Any]:
        """Without its stack trace, which ends in the message and names the machine's files."""
        kind = type(failure)
        attributes = {sc.EXCEPTION_TYPE: f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
        if (message := self._capture.message_of(failure)) is not None:
            attributes[sc.EXCEPTION_MESSAGE] = message
        return attributes

    def _delivering(self) -> LogDelivery:
        if self._delivery is None:
            # Settled at the first call, so that an app may set up OpenTelemetry after importing us.
            provider = self._given or get_logger_provider()
            is_stand_in = type(provider).__module__.startswith("opentelemetry._logs")
            self._delivery = LogDelivery(
                self._settings, "Events", logger_provider=None if is_stand_in else provider, max_queued=MAX_QUEUED
            )
            if is_stand_in:
                atexit.register(self.close, CLOSE_AT_EXIT_S)
        return self._delivery

    def flush(self) -> bool:
        """Deliver what was emitted, unless the app's own provider does."""
        return self._delivery is None or self._delivery.flush()

    def close(self, timeout_s: float = CLOSE_AT_EXIT_S) -> None:
        """Deliver what was emitted within `timeout_s`, and stop."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            delivery.close(timeout_s)
            atexit.unregister(self.close)

    def forget_parent(self) -> None:
        """In a forked child, leave the parent's connections and events to the parent."""
        if self._delivery is not None:
            self._delivery = self._delivery.renewed()
