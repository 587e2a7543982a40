"""Evaluations as OpenTelemetry log records.

The app's own LoggerProvider is left alone: log records of ours would end up among the app's logs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tierwise import semconv as sc
from tierwise.log_delivery import LogDelivery
from tierwise.settings import Settings

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context

    from tierwise.call import AttributeValue, Evaluation


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
        self._delivery = LogDelivery(settings, "Evaluations", logger_provider=logger_provider)

    def emit(self, evaluation: Evaluation) -> None:
        """Hand over one evaluation for delivery in the background."""
        self._delivery.logger.emit(
            timestamp=evaluation.time_ns,
            context=context_of(evaluation),
            event_name=sc.EVALUATION_EVENT,
            attributes=attributes_of(evaluation),
        )

    def flush(self) -> bool:
        """Deliver what was emitted; takes as long as the collector takes to answer."""
        return self._delivery.flush()

    def close(self, timeout_s: float) -> None:
        """Deliver what was emitted within `timeout_s`, and stop."""
        self._delivery.close(timeout_s)

    def renewed(self) -> EvaluationExport:
        """The same in a forked child, where the parent's locks and connections are of no use."""
        return EvaluationExport(self._settings, logger_provider=self._given)
