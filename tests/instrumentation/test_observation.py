from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tierwise.call import Decision, Request, Usage
from tierwise.instrumentation import observation as module
from tierwise.instrumentation import pricing
from tierwise.instrumentation.observation import BeingMade, Observation, call_id, span_being_made
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.request import Endpoint, Outgoing
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Reply
from tierwise.settings import Settings
from tierwise.tasks import infer

if TYPE_CHECKING:
    from .conftest import Spans

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Capital of France?"}]}


@pytest.fixture
def observe(spans: Spans, clients: dict[Any, Any]) -> Callable[..., Observation]:
    """Begin to observe a chat completion; keyword arguments are those of its request."""

    def begin(decision: Decision | None = None, **request: Any) -> Observation:
        known: dict[str, Any] = {
            "provider": "openai",
            "operation": "chat",
            "api": "chat_completions",
            "model": "gpt-4o",
            "body": BODY,
            "input_tokens_estimate": 5,
        }
        outgoing = Outgoing(
            Request(**{**known, **request}),
            infer(BODY),
            Endpoint("openai", "host", 443, True, None, None, None),
            "parsed",
        )
        return Observation(
            Runtime(Settings(), None, tracer_provider=spans.tracer_provider),
            OPENAI.surfaces["/chat/completions"],
            outgoing,
            decision,
            sent_model="gpt-4o" if decision is None else decision.sent_model,
            checked=False,
        )

    return begin


def test_finished_once(observe: Callable[..., Observation], spans: Spans) -> None:
    """Only the first end counts."""
    observation = observe()

    observation.finish(Reply(id="r1", usage=Usage(10, 5)))
    observation.finish(None, RuntimeError("later"))

    assert observation.is_finished
    assert (spans.only.status, spans.only.attributes["gen_ai.response.id"]) == ("UNSET", "r1")


def test_estimate(observe: Callable[..., Observation], spans: Spans) -> None:
    """An answer without usage is estimated from the lengths of prompt and answer, and marked so."""
    observe().finish(Reply(output_chars=41))

    attributes = spans.only.attributes
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (5, 11)
    assert attributes["tierwise.usage.estimated"] is True
    assert attributes["tierwise.priced"] is True


def test_unknown_is_not_zero(observe: Callable[..., Observation], spans: Spans) -> None:
    """Input that could not be read is unknown, not free."""
    observe(input_tokens_estimate=0).finish(Reply(output_chars=4))

    assert "gen_ai.usage.input_tokens" not in spans.only.attributes


def test_error_before_any_answer(observe: Callable[..., Observation], spans: Spans) -> None:
    """A call that failed before it was answered used nothing, and nothing is estimated."""
    observe().finish(None, ValueError("secret"))

    span = spans.only
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "ValueError")
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert span.attributes["tierwise.unpriced.reason"] == "no usage reported"
    assert "secret" not in repr(span)


def test_stopped_by_the_user(observe: Callable[..., Observation], spans: Spans) -> None:
    """A key press or a cancellation is not an error, but leaves the usage open."""
    observe().finish(None, KeyboardInterrupt())

    assert spans.only.status == "UNSET"
    assert spans.only.attributes["tierwise.usage.partial"] is True


def test_error_in_the_answer(observe: Callable[..., Observation], spans: Spans) -> None:
    """An answer that reports a failure makes the call one."""
    observe().finish(Reply(error_type="server_error", usage=Usage(10, 0)))

    assert (spans.only.status, spans.only.attributes["error.type"]) == ("ERROR", "server_error")


def test_answers_of_odd_types(
    observe: Callable[..., Observation], spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """Members of an odd type are not put on the span, where they would make OpenTelemetry complain."""
    odd: Any = {"id": 7, "model": ["gpt"], "service_tier": {"a": 1}, "finish_reasons": (None, "stop")}

    observe().finish(Reply(**odd, usage=Usage(1, 1)))

    attributes = spans.only.attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("None", "stop")
    assert "gen_ai.response.id" not in attributes
    assert caplog.records == []


def test_fell_back(observe: Callable[..., Observation], spans: Spans) -> None:
    """After a fallback the span is about the requested model, and its decision says what failed."""
    observation = observe(Decision("gpt-4o", "gpt-4o-mini", 7, "cheap", "treated", "routed", 0.5))

    observation.fell_back(TimeoutError())
    observation.finish(Reply(usage=Usage(10, 5)))

    span = spans.only
    assert (span.name, span.attributes["gen_ai.request.model"]) == ("chat gpt-4o", "gpt-4o")
    assert span.attributes["tierwise.route.decision"] == "fell_back"
    assert span.attributes["tierwise.route.reason"] == "gpt-4o-mini failed with TimeoutError"
    assert span.attributes["tierwise.route.propensity"] == 0.5


def test_end_time_of_a_late_price(
    observe: Callable[..., Observation], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that waited for the price list ends when it ended, with its cost."""
    held: list[tuple[pricing.Bill, pricing.Close]] = []
    monkeypatch.setattr(pricing, "settle", lambda bill, close: held.append((bill, close)))
    observation = observe()

    observation.finish(Reply(usage=Usage(10, 5)))
    before = spans.ended
    ((bill, close),) = held
    after_ns = observation.started_ns + 10**12
    close(*pricing._cost(bill))

    assert before == []
    assert bill.at_ns == observation.started_ns
    assert spans.only.end_ns < after_ns
    assert spans.only.attributes["gen_ai.usage.cost.amount"] > 0


def test_left_in_another_context(observe: Callable[..., Observation], caplog: pytest.LogCaptureFixture) -> None:
    """A call whose coroutine is closed elsewhere leaves that context alone, without a complaint from OpenTelemetry."""
    making = observe().being_made()
    contextvars.copy_context().run(making.__enter__)

    making.__exit__(None, None, None)

    assert caplog.records == []


def test_being_made(observe: Callable[..., Observation]) -> None:
    """The call's span is current, and known as the one being made, only inside the block."""
    observation = observe()

    with observation.being_made():
        inside = (trace.get_current_span(), span_being_made())

    assert inside == (observation.span, observation.span)
    assert span_being_made() is None
    assert isinstance(observation.being_made(), BeingMade)


def test_context_that_fails(
    observe: Callable[..., Observation], outside_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenTelemetry's context cannot be set, the call is made all the same."""

    def fail(_: object) -> None:
        raise RuntimeError("no context")

    monkeypatch.setattr(module, "attach", fail)

    with observe().being_made():
        made = True

    assert made


def test_call_id() -> None:
    """A call is named by its ids in hex, in full length."""
    context = trace.SpanContext(trace_id=1, span_id=2, is_remote=False)

    assert call_id(context) == f"{'0' * 31}1-{'0' * 15}2"


def test_unsampled(observe: Callable[..., Observation], monkeypatch: pytest.MonkeyPatch) -> None:
    """A span that nobody samples is ended without building its attributes."""
    built: list[object] = []
    monkeypatch.setattr(module, "to_attributes", built.append)
    runtime = Runtime(Settings(), None, tracer_provider=TracerProvider(ALWAYS_OFF, shutdown_on_exit=False))
    template = observe()
    unsampled = Observation(runtime, template.surface, template.outgoing, None, sent_model="gpt-4o", checked=False)

    unsampled.finish(Reply(usage=Usage(10, 5)))

    assert built == []
