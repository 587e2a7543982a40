from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tierwise import evaluations, use_case
from tierwise.instrumentation import _wrap, shadow_call
from tierwise.instrumentation.runtime import Runtime
from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest, ProviderUsage

from .installed_sdks import skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Span, Spans

CHEAPER = {"gpt-4o": "gpt-4o-mini", "claude-opus-4-7": "claude-haiku-4-5"}
SHADOWED = [(api, is_async) for api in ("chat_completions", "responses", "messages") for is_async in (False, True)]
EVERY_CALL = "[shadow]\nsample = 1.0\ndaily_budget_usd = 5.0\n[shadow.candidates]\n" + "\n".join(
    f'"{model}" = ["{cheaper}"]' for model, cheaper in CHEAPER.items()
)


@pytest.fixture(params=SHADOWED, ids=lambda given: f"{given[0]}-{'async' if given[1] else 'sync'}")
def shadowed(
    request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans]
) -> tuple[Caller, Spans]:
    """Callers each of whose calls is shadowed, and their spans."""
    return make_caller(*request.param), route(EVERY_CALL)


@pytest.fixture
def shadowed_chat(chat: Caller, route: Callable[[str], Spans]) -> tuple[Caller, Spans]:
    return chat, route(EVERY_CALL)


def runtime() -> Runtime:
    running = _wrap.active_runtime()
    assert running is not None
    return running


def settle(caller: Caller) -> None:
    """Wait for shadow calls under way."""
    if caller.is_async:

        async def wait() -> None:
            await asyncio.gather(*runtime().shadows._tasks)

        caller.wait(wait())
    else:
        assert runtime().shadows.drain(5)


def pair(spans: Spans) -> tuple[Span, Span]:
    """The user's call and its shadow."""
    one, other = spans.ended
    return (other, one) if "tierwise.shadow.of" in one.attributes else (one, other)


@pytest.mark.parametrize("stream", [False, True])
def test_pair(stream: bool, shadowed: tuple[Caller, Spans], provider: LoopbackProvider) -> None:
    """A shadow call asks the candidate the same, has a trace of its own, and points at the call it shadows."""
    caller, spans = shadowed

    caller.stream().read() if stream else caller.create()
    settle(caller)

    primary, shadow = provider.requests
    assert (primary.model, shadow.model) == (caller.model, CHEAPER[caller.model])
    key = "input" if caller.api == "responses" else "messages"
    assert shadow.body[key] == primary.body[key]
    assert {"stream", "stream_options"}.isdisjoint(shadow.body)
    user_span, shadow_span = pair(spans)
    context = user_span.context
    assert shadow_span.name == f"chat {CHEAPER[caller.model]}"
    assert shadow_span.parent is None
    assert shadow_span.context.trace_id != context.trace_id
    assert shadow_span.links == (context,)
    assert shadow_span.attributes["tierwise.shadow.of"] == f"{context.trace_id:032x}-{context.span_id:016x}"
    assert shadow_span.attributes["tierwise.shadow.propensity"] == 1.0
    assert shadow_span.attributes["gen_ai.usage.input_tokens"] == 1200
    assert shadow_span.attributes["gen_ai.usage.cost.amount"] > 0
    assert shadow_span.attributes["tierwise.use_case.id"] == user_span.attributes["tierwise.use_case.id"]
    assert "tierwise.route.requested_model" not in shadow_span.attributes
    assert "tierwise.shadow.of" not in user_span.attributes


def test_leaves_nothing_with_the_provider(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A shadow response is not stored."""
    route(EVERY_CALL)
    caller = make_caller("responses", False)

    caller.create()
    settle(caller)

    _, shadow = provider.requests
    assert shadow.body["store"] is False


def test_in_the_background(shadowed_chat: tuple[Caller, Spans], provider: LoopbackProvider) -> None:
    """The user's call does not wait for its shadow."""
    chat, _ = shadowed_chat
    provider.answer(lambda request: Answer("Paris", latency_s=1.0 if request.model == "gpt-4o-mini" else 0))

    began = time.monotonic()
    chat.create()
    took_s = time.monotonic() - began
    settle(chat)

    assert took_s < 0.9


def test_as_it_was_asked(shadowed_chat: tuple[Caller, Spans], provider: LoopbackProvider) -> None:
    """The shadow asks what the user asked, though the user goes on with the same list."""
    chat, _ = shadowed_chat
    started = threading.Event()

    def answer(request: ProviderRequest) -> Answer:
        if request.model == "gpt-4o-mini":
            started.wait(5)
        return Answer("Paris")

    provider.answer(answer)
    messages = [{"role": "user", "content": "Capital of France?"}]
    other = [{"role": "user", "content": "Capital of Spain?"}]
    chat.create(messages=other)
    chat.create(messages=messages)
    messages.append({"role": "assistant", "content": "Paris"})
    started.set()
    settle(chat)

    shadows = [request.body["messages"] for request in provider.requests if request.model == "gpt-4o-mini"]
    assert shadows == [other, messages[:1]]


def test_parsed_calls(shadowed_chat: tuple[Caller, Spans]) -> None:
    """The helper that parses answers, and raw responses, are shadowed like plain calls."""
    chat, spans = shadowed_chat
    skip_without(chat.client, "chat.completions.parse")

    chat.client.chat.completions.parse(**chat.arguments)
    chat.resource.with_raw_response.create(**chat.arguments)
    settle(chat)

    assert sorted(span.name for span in spans.ended) == ["chat gpt-4o"] * 2 + ["chat gpt-4o-mini"] * 2


@pytest.mark.parametrize("is_async", [False, True])
def test_failed_shadow(
    is_async: bool,
    make_caller: Callable[[str, bool], Caller],
    route: Callable[[str], Spans],
    provider: LoopbackProvider,
) -> None:
    """A shadow call that fails is tried once, is a finding on its own span, and nobody's problem."""
    spans = route(EVERY_CALL)
    caller = make_caller("chat_completions", is_async)

    def answer(request: ProviderRequest) -> Answer | Fault:
        return Fault.server_error() if request.model == "gpt-4o-mini" else Answer("Paris")

    provider.answer(answer)
    caller.create()
    settle(caller)

    assert len(provider.requests) == 2
    user_span, shadow_span = pair(spans)
    assert (user_span.status, shadow_span.status) == ("UNSET", "ERROR")
    assert shadow_span.attributes["error.type"] == "InternalServerError"


def test_not_of_a_failed_call(shadowed_chat: tuple[Caller, Spans], provider: LoopbackProvider) -> None:
    """A call without an answer to compare with, or a stream that was left early, is not shadowed."""
    chat, spans = shadowed_chat
    provider.script([Fault.server_error(), Answer("x" * 200)])

    with pytest.raises(chat.sdk.InternalServerError):
        chat.create()
    chat.stream().leave_block_after(2)
    settle(chat)

    assert len(spans.ended) == 2
    assert len(provider.requests) == 2


def test_both_answers_are_checked(
    shadowed_chat: tuple[Caller, Spans], monkeypatch: pytest.MonkeyPatch, provider: LoopbackProvider
) -> None:
    """The check of a use case judges both answers, each against its own span."""
    chat, spans = shadowed_chat
    provider.answer(lambda request: Answer(f"by {request.model}"))
    judged: dict[str, Any] = {}
    monkeypatch.setattr(evaluations, "has_check", lambda *_: True)
    monkeypatch.setattr(
        evaluations, "schedule", lambda body, answer, **rest: judged.update({answer.text: (body, rest)})
    )

    with use_case("capitals"):
        chat.create()
    settle(chat)

    user_span, shadow_span = pair(spans)
    assert judged["by gpt-4o"][1]["span_context"] == user_span.context
    assert judged["by gpt-4o-mini"][1]["span_context"] == shadow_span.context
    assert judged["by gpt-4o-mini"][0]["model"] == "gpt-4o-mini"
    assert judged["by gpt-4o-mini"][1]["use_case_name"] == "capitals"


def test_budget_is_told(shadowed_chat: tuple[Caller, Spans], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shadow call really cost takes the place of what was set aside for it."""
    chat, spans = shadowed_chat
    router = runtime().router
    assert router is not None
    booked: list[Any] = []
    monkeypatch.setattr(router, "spent", lambda cost, draw: booked.append((cost, draw.model)))

    chat.create()
    settle(chat)

    ((cost, model),) = booked
    assert model == "gpt-4o-mini"
    assert float(cost) == pair(spans)[1].attributes["gen_ai.usage.cost.amount"]


@pytest.mark.parametrize("is_async", [False, True])
def test_too_many(
    is_async: bool,
    make_caller: Callable[[str, bool], Caller],
    route: Callable[[str], Spans],
    monkeypatch: pytest.MonkeyPatch,
    provider: LoopbackProvider,
) -> None:
    """When too many are under way a shadow call is dropped and counted, and what was set aside for it is freed."""
    monkeypatch.setattr(shadow_call, "MAX_WAITING", 0)
    monkeypatch.setattr(shadow_call, "MAX_RUNNING", 0)
    spans = route(EVERY_CALL)
    caller = make_caller("chat_completions", is_async)
    router = runtime().router
    assert router is not None
    booked: list[Decimal | None] = []
    monkeypatch.setattr(router, "spent", lambda cost, draw: booked.append(cost))

    caller.create()

    assert runtime().shadows.dropped_calls == 1
    assert booked == [Decimal(0)]
    assert len(spans.ended) == 1


def test_metrics_leave_them_out(chat: Caller, spans: Spans) -> None:
    """Shadow calls are not the user's traffic: the client metrics do not count them."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from tierwise.instrumentation import instrument, uninstrument
    from tierwise.routing.policy import parse
    from tierwise.settings import Settings

    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    policy = parse(f'version = 1\nmode = "enforce"\n{EVERY_CALL}')
    instrument(policy, settings=Settings(), tracer_provider=spans.tracer_provider, meter_provider=meters)

    chat.create()
    settle(chat)
    uninstrument()

    assert len(spans.ended) == 2
    text = reader.get_metrics_data().to_json()  # type: ignore[union-attr]
    meters.shutdown()
    assert "gpt-4o-mini" not in text
    assert "gpt-4o" in text


def test_outside_asyncio(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a loop that is not asyncio's, an async client's shadow calls are dropped and counted."""
    route(EVERY_CALL)

    def no_loop() -> None:
        raise RuntimeError("no running event loop")

    monkeypatch.setattr(shadow_call.asyncio, "get_running_loop", no_loop)

    assert not runtime().shadows._start_task(Any)  # type: ignore[arg-type]


def test_usage_of_the_shadow(shadowed_chat: tuple[Caller, Spans], provider: LoopbackProvider) -> None:
    """Each span has the usage of its own answer."""
    chat, spans = shadowed_chat
    provider.answer(lambda request: Answer("Paris", usage=ProviderUsage(10, 1 if request.model == "gpt-4o" else 2)))

    chat.create()
    settle(chat)

    assert [span.attributes["gen_ai.usage.output_tokens"] for span in pair(spans)] == [1, 2]
