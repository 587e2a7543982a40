"""A payload as records for the store: calls priced, evaluations read, the rest kept as plain spans."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tierwise import prices
from tierwise import semconv as sc
from tierwise.call import Call, Evaluation
from tierwise.ingest.dialects import read_call
from tierwise.ingest.otlp import Payload
from tierwise.ingest.spans import LogEvent, Span
from tierwise.store.rows import CallRecord, SpanRecord

log = logging.getLogger(__name__)

_SOURCES: Final[dict[object, Literal["structural", "check", "judge", "human", "feedback"]]] = {
    "structural": "structural",
    "check": "check",
    "judge": "judge",
    "human": "human",
    "feedback": "feedback",
}


@dataclass(slots=True)
class Arrivals:
    """What payloads bring, ready to land."""

    calls: list[CallRecord] = field(default_factory=list[CallRecord])
    spans: list[SpanRecord] = field(default_factory=list[SpanRecord])
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])
    unreadable_spans: int = 0
    """Spans whose attributes no dialect could make sense of, though one claimed them; kept as plain spans."""

    def extend(self, other: Arrivals) -> None:
        """Add what `other` brings."""
        self.calls += other.calls
        self.spans += other.spans
        self.evaluations += other.evaluations
        self.unreadable_spans += other.unreadable_spans

    def __len__(self) -> int:
        return len(self.calls) + len(self.spans) + len(self.evaluations)


def read_arrivals(payload: Payload) -> Arrivals:
    """The records in a payload."""
    arrivals = Arrivals()
    for span in payload.spans():
        try:
            call = read_call(span)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            log.warning("attributes of span %s from %r cannot be read", span.span_id, span.scope_name, exc_info=True)
            arrivals.unreadable_spans += 1
            call = None
        if call is None:
            arrivals.spans.append(_span_record(span))
        else:
            arrivals.calls.append(_call_record(span, call))
    arrivals.evaluations.extend(read_evaluations(payload.events()))
    return arrivals


def read_evaluations(events: Iterable[LogEvent]) -> list[Evaluation]:
    """The evaluations among log events; one that names neither a span nor a response is left out."""
    found = (_evaluation(event) for event in events if event.name == sc.EVALUATION_EVENT)
    return [evaluation for evaluation in found if evaluation is not None]


def _span_record(span: Span) -> SpanRecord:
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        name=span.name,
        parent_span_id=span.parent_span_id,
        kind=span.kind,
        service_name=span.service_name,
        status=span.status,
    )


def _call_record(span: Span, call: Call) -> CallRecord:
    if span.status == "error" and call.error_type is None:
        call = replace(call, error_type="_OTHER")
    return CallRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        call=_priced(call, span),
        parent_span_id=span.parent_span_id,
        service_name=span.service_name,
        instrumentation=span.scope_name,
        resource=span.resource,
    )


def _priced(call: Call, span: Span) -> Call:
    """`call` with its cost, where it has none because the app could not price it yet or does not price at all."""
    if call.cost is not None or (span.scope_name == sc.SCOPE_NAME and call.unpriced_reason != prices.LOADING):
        return call
    region = call.extra.get(sc.INFERENCE_REGION)
    cost, reason = prices.price(
        call.provider,
        call.request_model,
        call.usage,
        at_ns=span.start_ns,
        service_tier=call.service_tier,
        response_model=call.response_model,
        region=region if isinstance(region, str) else None,
    )
    return replace(call, cost=cost, unpriced_reason=reason)


def _evaluation(event: LogEvent) -> Evaluation | None:
    attributes = event.attributes
    name = _text(attributes.get(sc.EVALUATION_NAME))
    response_id = _text(attributes.get(sc.RESPONSE_ID))
    knows_span = bool(event.trace_id and event.span_id)
    if name is None or not (knows_span or response_id):
        return None
    label = _text(attributes.get(sc.EVALUATION_SCORE_LABEL))
    raw_score = attributes.get(sc.EVALUATION_SCORE_VALUE)
    score = float(raw_score) if isinstance(raw_score, int | float) and not isinstance(raw_score, bool) else None
    if score is not None and not (math.isfinite(score) and 0 <= score <= 1):
        # Another scale: as a score it would be wrong, as a label it is still there to be read.
        label, score = label or str(raw_score), None
    return Evaluation(
        trace_id=event.trace_id if knows_span else "",
        span_id=event.span_id if knows_span else "",
        name=name,
        source=_SOURCES.get(attributes.get(sc.EVALUATION_SOURCE), "feedback"),
        score=score,
        time_ns=event.time_ns if 0 < event.time_ns < 2**63 else time.time_ns(),
        label=label,
        explanation=_text(attributes.get(sc.EVALUATION_EXPLANATION)),
        response_id=response_id,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
