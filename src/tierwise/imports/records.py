"""A logged call with all that a stored one has: task type, use case, complexity, price, and an id that stays the same.

The id is a hash of the format and of what the log itself knows the call by, so the same call imported again, from the
same file or another export of it, is the same call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

from tierwise import prices
from tierwise import semconv as sc
from tierwise.attributes import usd
from tierwise.call import AttributeValue, Call, Cost, Usage
from tierwise.imports.logged import LoggedCall
from tierwise.imports.values import hex_id
from tierwise.instrumentation.content_capture import ContentCapture
from tierwise.instrumentation.sdk import estimated_tokens
from tierwise.store.rows import CallRecord
from tierwise.tasks.infer import Inference, infer
from tierwise.tasks.memory import TaskMemory

SCOPE_PREFIX: Final = "tierwise.import."
"""Instrumentation scope of imported calls, before the name of their format."""
DEFAULT_SERVICE: Final = "imported"

NO_USAGE: Final = "no usage in the log, and no text to estimate it from"

_QUARTER_HOUR_NS: Final = 15 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the content of a request says of it; None throughout where the log keeps no content."""

    task_type: str = "unknown"
    task_confidence: float | None = None
    task_source: str | None = None
    task_sub_tag: str | None = None
    complexity: str | None = None
    use_case_id: str | None = None
    use_case_name: str | None = None
    input_chars: int = 0


def inferred(logged: LoggedCall, body: Mapping[str, Any], memory: TaskMemory) -> Inferred:
    """What `body`, and labels in the log, say the call is for."""
    if not body and logged.task is None and logged.use_case_name is None and logged.operation == "chat":
        return Inferred()
    found = infer(
        body,
        operation=logged.operation,
        explicit_task=logged.task,
        use_case_name=logged.use_case_name,
        memory=memory,
    )
    return _of_inference(found, with_text=bool(body))


def _of_inference(found: Inference, *, with_text: bool) -> Inferred:
    return Inferred(
        task_type=found.task_type,
        task_confidence=found.confidence,
        task_source=found.source,
        task_sub_tag=found.sub_tag,
        complexity=found.complexity.band if with_text else None,
        # Without text and name all calls of an operation would be one use case.
        use_case_id=found.use_case.id if with_text or found.use_case.source == "name" else None,
        use_case_name=found.use_case.name,
        input_chars=found.complexity.input_chars,
    )


def usage_of(logged: LoggedCall, input_chars: int) -> Usage:
    """The usage that the log reports, else an estimate from the texts, marked as one; no counts without either."""
    reported = logged.reply.usage
    if reported is not None:
        return reported if logged.reply.complete else replace(reported, partial=True)
    if logged.error_type is not None or not (input_chars or logged.reply.output_chars):
        # Nobody bills a call that failed by the length of what was asked.
        return Usage()
    return Usage(estimated_tokens(input_chars) or None, estimated_tokens(logged.reply.output_chars), estimated=True)


def price_order(logged: LoggedCall) -> tuple[str, str, int]:
    """Sort key under which calls with the same prices stand together: they are looked up once."""
    return logged.provider, logged.model, (logged.start_ns or 0) // _QUARTER_HOUR_NS


def to_record(
    logged: LoggedCall,
    found: Inferred,
    *,
    format_name: str,
    key: bytes,
    at_ns: int,
    service: str | None,
    capture: ContentCapture,
) -> CallRecord:
    """The call as it is stored.

    Args:
        key: what the call is known by where the log has no id of its own.
        at_ns: when it began, where the log does not say.
        service: for calls whose log names none.
        capture: whether content is kept, and how much of it.
    """
    start_ns = at_ns if logged.start_ns is None else logged.start_ns
    usage = usage_of(logged, found.input_chars)
    cost, reason = _price(logged, usage, start_ns)
    extra: dict[str, AttributeValue] = {**logged.reply.extra}
    if logged.stated_usd is not None:
        extra[sc.COST_STATED_USD] = float(logged.stated_usd)
    if capture.on_spans:
        extra.update(capture.read(logged.body, logged.reply, is_recording=True).on_span)
    own = key if logged.own_id is None else logged.own_id.encode("utf-8", "surrogatepass")
    call = Call(
        operation=logged.operation,
        provider=logged.provider,
        request_model=logged.model,
        api=logged.api,
        response_model=logged.reply.model,
        response_id=logged.reply.id,
        finish_reasons=tuple(map(str, logged.reply.finish_reasons)),
        usage=usage,
        cost=cost,
        unpriced_reason=reason,
        service_tier=logged.reply.service_tier,
        stream=logged.stream,
        time_to_first_chunk_s=logged.time_to_first_chunk_s,
        conversation_id=logged.conversation_id,
        error_type=logged.error_type or logged.reply.error_type,
        task_type=found.task_type,
        task_confidence=found.task_confidence,
        task_source=found.task_source,
        task_sub_tag=found.task_sub_tag,
        complexity=found.complexity,
        use_case_id=found.use_case_id,
        use_case_name=found.use_case_name,
        tenant=logged.tenant,
        parameters=logged.parameters,
        extra=extra,
    )
    return CallRecord(
        trace_id=_identifier(format_name, "trace", logged.trace, own, 32),
        span_id=_identifier(format_name, "span", logged.own_id, own, 16),
        start_ns=start_ns,
        end_ns=max(start_ns, logged.end_ns or start_ns),
        call=call,
        parent_span_id=None
        if logged.parent is None
        else _identifier(format_name, "span", logged.parent, logged.parent.encode(), 16),
        service_name=logged.service_name or service or DEFAULT_SERVICE,
        instrumentation=SCOPE_PREFIX + format_name,
    )


def _price(logged: LoggedCall, usage: Usage, start_ns: int) -> tuple[Cost | None, str | None]:
    """The price by today's way of working it out; what the log states where that has none."""
    cost, reason = prices.price(
        logged.provider,
        logged.model,
        usage,
        at_ns=start_ns,
        service_tier=logged.reply.service_tier,
        response_model=logged.reply.model,
        region=logged.reply.region,
    )
    if cost is None and logged.stated_usd:
        nothing = usd(0)
        return Cost(nothing, nothing, other_usd=logged.stated_usd, source="provider"), None
    if cost is None and usage.input_tokens is None and usage.output_tokens is None:
        reason = "the call failed" if logged.error_type is not None else NO_USAGE
    return cost, reason


def _identifier(format_name: str, kind: str, said: str | None, own: bytes, digits: int) -> str:
    """The log's own id where it is one of OpenTelemetry's, else a hash of it."""
    if said is not None:
        if (known := hex_id(said, digits)) is not None:
            return known
        own = said.encode("utf-8", "surrogatepass")
    digest = blake2b(own, digest_size=digits // 2, person=kind.encode(), salt=format_name.encode()[:16])
    return digest.hexdigest()
