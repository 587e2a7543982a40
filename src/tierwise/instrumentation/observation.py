"""One call while it runs: its span, what was decided about it, and its one end.

However a call ends (answer, error, stream read to the end, closed, dropped or cancelled), `Observation.finish` is told,
and works once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, detach, get_current, get_value
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Attempt, Call, Cost, Decision, Usage
from tierwise.firewall import firewall
from tierwise.instrumentation import completion_hook, later, orders, pricing
from tierwise.instrumentation.content_capture import NOTHING, Captured
from tierwise.instrumentation.follow_up import follow_up
from tierwise.instrumentation.request import Outgoing
from tierwise.instrumentation.sdk import Reply, Surface, estimated_tokens, read_parameters, text

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.trace import SpanContext

    from tierwise.instrumentation.runtime import Runtime
    from tierwise.instrumentation.shadow_call import Repeat
    from tierwise.judges import JudgedAnswer
    from tierwise.routing.shadow import ShadowDraw

_BEING_MADE = "tierwise-call-being-made"
_CURRENT_SPAN = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""OpenTelemetry's own key, so that one copy of the context sets both."""

_MAKING_CURRENT = firewall("making a call's span current")
_RECORDING = firewall("recording a call")


@dataclass(frozen=True, slots=True)
class ShadowOf:
    """The call that a shadow call repeats with another model."""

    span_context: SpanContext
    draw: ShadowDraw
    answer: JudgedAnswer | None = None
    """What it was answered; None where its text was not kept."""


class Observation:
    """The life of one call, from just before the SDK sends it. Any thread may finish it."""

    __slots__ = (
        "_finished",
        "_runtime",
        "attempt",
        "called_s",
        "checked",
        "decision",
        "first_chunk_s",
        "keeps_text",
        "last_chunk_ns",
        "outgoing",
        "repeat",
        "sent_model",
        "shadow_of",
        "span",
        "started_ns",
        "started_s",
        "surface",
    )

    def __init__(
        self,
        runtime: Runtime,
        surface: Surface,
        outgoing: Outgoing,
        decision: Decision | None,
        *,
        sent_model: str,
        checked: bool,
        repeat: Repeat | None = None,
        shadow_of: ShadowOf | None = None,
        first_attempt: SpanContext | None = None,
    ) -> None:
        """
        Args:
            checked: whether somebody checks the answer.
            repeat: how to make the call once more, for a shadow call; None: never.
            first_attempt: the span of the first of several attempts, for those after it.
        """
        self._runtime = runtime
        self.surface = surface
        self.outgoing = outgoing
        self.decision = decision
        self.sent_model = sent_model
        self.checked = checked
        self.keeps_text = checked or runtime.captures_content
        """Whether somebody will want the answer's text."""
        self.repeat = repeat
        self.shadow_of = shadow_of
        self._finished = Lock()
        self.attempt: Attempt | None = None
        self.first_chunk_s: float | None = None
        """From the caller's request to a stream's first chunk."""
        self.last_chunk_ns: int | None = None
        self.started_ns = time.time_ns()
        linked = shadow_of.span_context if shadow_of else first_attempt
        self.span = runtime.tracer.start_span(
            f"{surface.operation} {sent_model}",
            # A shadow call has a trace of its own: the user's keeps its shape and its cost.
            context=Context() if shadow_of else None if first_attempt is None else _beside(first_attempt),
            kind=SpanKind.CLIENT,
            # For the sampler; the rest follows at the end.
            attributes={
                sc.OPERATION_NAME: surface.operation,
                sc.PROVIDER_NAME: outgoing.request.provider,
                sc.REQUEST_MODEL: sent_model,
            },
            links=None if linked is None else [Link(linked)],
            start_time=self.started_ns,
        )
        self.started_s = self.called_s = time.perf_counter()
        """`called_s` is when the caller asked: earlier, where attempts went before this one."""
        if completion_hook.observed_parents is not None:
            completion_hook.note_parent(self.span)

    @property
    def is_finished(self) -> bool:
        return self._finished.locked()

    def being_made(self) -> BeingMade:
        """Makes the call's span the current one, for as long as the SDK makes the call and no longer."""
        return BeingMade(self.span, Context() if self.shadow_of else None)

    def fell_back(self, error: BaseException) -> None:
        """The routed model failed with `error`, and the requested one is called instead."""
        decision = self.decision
        if decision is None:
            return
        target, self.sent_model = self.sent_model, decision.requested_model
        self.decision = replace(
            decision,
            sent_model=decision.requested_model,
            decision="fell_back",
            reason=f"{target} failed with {error_type(error)}",
        )
        self.span.update_name(f"{self.surface.operation} {self.sent_model}")

    def finish(self, reply: Reply | None, error: BaseException | None = None, *, dropped: bool = False) -> None:
        """The call is over.

        Args:
            reply: what was answered, as far as it came; None for nothing.
            error: what went wrong. A stop that the user asked for, such as cancellation, is not an error.
            dropped: the stream was garbage-collected, some time after anybody last looked at it.
        """
        if not self._finished.acquire(blocking=False):
            return
        ended_ns = (self.last_chunk_ns if dropped else None) or time.time_ns()
        duration_s = time.perf_counter() - self.started_s
        with _RECORDING:
            failure = error if isinstance(error, Exception) else None
            answer = reply or Reply(complete=False)
            request = self.outgoing.request
            usage = self._usage(reply, stopped=error is not None and failure is None)
            if request.attributes:
                answer.extra[sc.USE_CASE_ATTRIBUTES] = tuple(
                    f"{name}={value}" for name, value in sorted(request.attributes.items())
                )
            tier = text(answer.service_tier)
            response_model = text(answer.model)
            captured = NOTHING
            if self._runtime.captures_content:
                captured = self._runtime.content.read(request.body, reply, is_recording=self.span.is_recording())

            def close(cost: Cost | None, unpriced_reason: str | None) -> None:
                call = self._call(answer, response_model, usage, cost, unpriced_reason, tier, failure)
                self._close(call, captured, duration_s, ended_ns)
                if (events := self._runtime.events) is not None:
                    with firewall("emitting a call's events"):
                        events.emit(call, captured, self.span, failure, ended_ns)

            def settle() -> None:
                if answer.billed_later is not None:
                    close(None, answer.billed_later)
                    return
                region = text(answer.region) or self.outgoing.endpoint.region
                if region is not None:
                    answer.extra[sc.INFERENCE_REGION] = region
                pricing.settle(
                    pricing.Bill(
                        request.provider, self.sent_model, response_model, usage, tier, self.started_ns, region
                    ),
                    close,
                )

            if answer.billed_later is not None:
                orders.remember(answer.id, request)
            later.complete(settle, self._runtime.provider)
            if answer.complete and failure is None and answer.error_type is None:
                follow_up(self._runtime, self, answer)

    def _usage(self, reply: Reply | None, *, stopped: bool) -> Usage:
        """The usage reported, or an estimate of it where an answer came without."""
        if reply is None:
            return Usage(partial=stopped)
        usage = reply.usage or self.surface.ordered(self.outgoing.request.body)
        if usage is None:
            estimate = self.outgoing.request.input_tokens_estimate or None
            usage = Usage(estimate, estimated_tokens(reply.output_chars), estimated=True)
        return usage if reply.complete else replace(usage, partial=True)

    def _call(
        self,
        answer: Reply,
        response_model: str | None,
        usage: Usage,
        cost: Cost | None,
        unpriced_reason: str | None,
        service_tier: str | None,
        failure: Exception | None,
    ) -> Call:
        outgoing, request, inference = self.outgoing, self.outgoing.request, self.outgoing.inference
        return Call(
            operation=request.operation,
            provider=request.provider,
            request_model=self.sent_model,
            api=request.api,
            response_model=response_model,
            response_id=text(answer.id),
            finish_reasons=tuple(map(str, answer.finish_reasons)),
            usage=usage,
            cost=cost,
            unpriced_reason=unpriced_reason,
            service_tier=service_tier,
            stream=request.stream,
            time_to_first_chunk_s=self.first_chunk_s,
            conversation_id=request.conversation_id,
            server_address=outgoing.endpoint.address,
            server_port=outgoing.endpoint.port,
            error_type=error_type(failure) if failure else text(answer.error_type),
            task_type=request.task_type,
            task_confidence=inference.confidence,
            task_source=inference.source,
            task_sub_tag=inference.sub_tag,
            complexity=request.complexity,
            use_case_id=request.use_case_id,
            use_case_name=request.use_case_name,
            tenant=request.tenant,
            decision=self.decision,
            attempt=self.attempt,
            shadow_of=call_id(self.shadow_of.span_context) if self.shadow_of else None,
            shadow_propensity=self.shadow_of.draw.propensity if self.shadow_of else None,
            parameters=read_parameters(self.surface.parameters, request.body),
            extra=answer.extra,
        )

    def _close(self, call: Call, captured: Captured, duration_s: float, ended_ns: int) -> None:
        span = self.span
        if span.is_recording():
            attributes = to_attributes(call)
            # On the span from its start.
            del attributes[sc.OPERATION_NAME], attributes[sc.PROVIDER_NAME]
            attributes.update(captured.on_span)
            span.set_attributes(attributes)
            if call.error_type is not None:
                # Without a description: an error's message may quote the prompt.
                span.set_status(StatusCode.ERROR)
        span.end(ended_ns)
        if self.shadow_of is not None:
            self._runtime.shadow_spent(call, self.shadow_of.draw)
        elif (meters := self._runtime.meters(ended_ns)) is not None:
            meters.record(call, duration_s)


class BeingMade:
    """Context manager under which an observed call is made. It never raises: it is all that is ours around the call."""

    __slots__ = ("_context", "_span", "_token")

    def __init__(self, span: Span, context: Context | None) -> None:
        self._span = span
        self._context = context
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        with _MAKING_CURRENT:
            around = get_current() if self._context is None else self._context
            self._token = attach(Context({**around, _CURRENT_SPAN: self._span, _BEING_MADE: self._span}))

    def __exit__(self, *_: object) -> None:
        # A coroutine may be closed from a context that never entered it; there is nothing to leave there.
        if self._token is not None and get_current_span() is self._span:
            detach(self._token)


def _beside(first_attempt: SpanContext) -> Context | None:
    """Where a later attempt's span belongs: beside the first, or under it where nothing is above, for one trace."""
    if get_current_span().get_span_context().is_valid:
        return None
    return set_span_in_context(NonRecordingSpan(first_attempt))


def span_being_made() -> Span | None:
    """The span of the observed call that this code is part of making; None outside any."""
    span = get_value(_BEING_MADE)
    return span if isinstance(span, Span) else None


def error_type(error: BaseException) -> str:
    """`error.type` of an exception: its class's name."""
    return type(error).__name__


def call_id(span_context: SpanContext) -> str:
    """`<trace id>-<span id>` in hex."""
    return f"{span_context.trace_id:032x}-{span_context.span_id:016x}"
