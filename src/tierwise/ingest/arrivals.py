"""A payload as records for the store: calls priced and their task inferred, evaluations read, the rest plain spans."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from tierwise import prices
from tierwise import semconv as sc
from tierwise.attributes import MOST_USD, usd
from tierwise.call import Call, Cost, Evaluation
from tierwise.ingest.dialects import read_call
from tierwise.ingest.dialects.content import request_of
from tierwise.ingest.dialects.reported import mapping
from tierwise.ingest.otlp import Payload
from tierwise.ingest.spans import LogEvent, Span
from tierwise.store.rows import CallRecord, SpanRecord
from tierwise.tasks.infer import infer
from tierwise.tasks.memory import TaskMemory
from tierwise.tasks.taxonomy import UNKNOWN

log = logging.getLogger(__name__)

_SOURCES: Final[dict[object, Literal["structural", "check", "judge", "human", "feedback"]]] = {
    "structural": "structural",
    "check": "check",
    "judge": "judge",
    "human": "human",
    "feedback": "feedback",
}

_REPORTED_COSTS: Final = ("operation.cost", "gen_ai.usage.cost", "llm.cost.total", "gen_ai.cost.total_tokens")
"""What other instrumentations say a call cost, in USD: Logfire, OpenLIT, OpenInference, Sentry."""
_SAME_USD: Final = Decimal("1e-9")
_NO_USD: Final = Decimal(0)


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
    arrivals = read_spans(payload.spans())
    arrivals.evaluations.extend(read_evaluations(payload.events()))
    return arrivals


def read_spans(spans: Iterable[Span]) -> Arrivals:
    """The records that spans are: calls, and the rest."""
    arrivals = Arrivals()
    for span in spans:
        try:
            call = read_call(span)
            record = None if call is None else _call_record(span, call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            log.warning("attributes of span %s from %r cannot be read", span.span_id, span.scope_name, exc_info=True)
            arrivals.unreadable_spans += 1
            record = None
        if record is None:
            arrivals.spans.append(_span_record(span))
        else:
            arrivals.calls.append(record)
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
        call=_priced(_with_task(call, span), span),
        parent_span_id=span.parent_span_id,
        service_name=span.service_name,
        instrumentation=span.scope_name,
        resource=span.resource,
    )


def _with_task(call: Call, span: Span) -> Call:
    """`call` with its task type, complexity and use case, where the span says none and carries what they show in.

    Memory is kept per service: two services may share a prompt and not what they use it for.
    """
    if call.task_source is not None or call.task_type != UNKNOWN or span.scope_name == sc.SCOPE_NAME:
        return call
    request = request_of(call)
    if request is None:
        if call.operation != "embeddings":
            return call
        request = {"model": call.request_model}
    inference = infer(
        request, operation=call.operation, use_case_name=call.use_case_name, memory=_memory_of(span.service_name)
    )
    return replace(
        call,
        task_type=inference.task_type,
        task_confidence=inference.confidence,
        task_source=inference.source,
        task_sub_tag=inference.sub_tag,
        complexity=inference.complexity.band,
        use_case_id=call.use_case_id or inference.use_case.id,
        use_case_name=inference.use_case.name,
    )


@lru_cache(maxsize=256)
def _memory_of(_service_name: str) -> TaskMemory:
    return TaskMemory()


def forget_tasks() -> None:
    """Forget what earlier calls of each use case agreed on, so that the next are judged as the first were."""
    _memory_of.cache_clear()


def _priced(call: Call, span: Span) -> Call:
    """`call` with its cost, where the app could not price it yet or another instrumentation priced it or did not.

    Another's figure is kept beside ours as `tierwise.cost.reported_usd`, and stands in for it where the price list has
    no price. What a provider billed is taken as it is.
    """
    is_ours = span.scope_name == sc.SCOPE_NAME
    if is_ours and (call.cost is not None or call.unpriced_reason != prices.LOADING):
        return call
    if call.cost is not None and call.cost.source == "provider":
        return call
    reported = None if is_ours else _reported_usd(call)
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
    if cost is None and reported:
        version = f"reported by {span.scope_name}"
        cost, reason = Cost(_NO_USD, _NO_USD, other_usd=reported, price_version=version), None
    priced = replace(call, cost=cost, unpriced_reason=reason)
    if reported is None or (cost is not None and abs(cost.total_usd - reported) <= _SAME_USD):
        return priced
    return replace(priced, extra={**call.extra, sc.COST_REPORTED_USD: float(reported)})


def _reported_usd(call: Call) -> Decimal | None:
    """What another instrumentation says the call cost; None when it says nothing, or what cannot be a cost."""
    if call.cost is not None:
        return call.cost.total_usd
    said = next((call.extra[key] for key in _REPORTED_COSTS if key in call.extra), None)
    if said is None:
        said = mapping(call.extra.get("langfuse.observation.cost_details")).get("total")
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < MOST_USD:
        return None
    return usd(said)


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
