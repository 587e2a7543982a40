"""Other instrumentations beside ours, emulated; `benchmarks/neighbours.py` runs the real ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
import wrapt
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult

from tierwise.ingest.serve import running_collector
from tierwise.instrumentation import instrument, uninstrument
from tierwise.settings import Settings
from tierwise.testing import LoopbackProvider

if TYPE_CHECKING:
    from .conftest import Caller, Spans

WAYS = [("chat_completions", False), ("chat_completions", True), ("messages", False), ("messages", True)]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{'async' if way[1] else 'sync'}")
def way(request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller]) -> Caller:
    """A call of each SDK, sync and async."""
    return make_caller(*request.param)


# --- wrappers of the method that we wrap ------------------------------------------------------------------------------


class Neighbour:
    """An instrumentation that wraps `request` of a client class, and counts the calls it sees."""

    def __init__(self, owner: type, style: str) -> None:
        self.owner = owner
        self.style = style
        self.calls = 0

    def switch_on(self) -> None:
        if self.style == "wrapt":
            wrapt.wrap_function_wrapper(self.owner, "request", self._around)
        else:
            inner: Any = vars(self.owner).get("request") or getattr(self.owner, "request")  # noqa: B009

            @functools.wraps(inner)
            def request(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                return inner(*args, **kwargs)

            setattr(self.owner, "request", request)  # noqa: B010

    def _around(self, wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        self.calls += 1
        return wrapped(*args, **kwargs)

    def switch_off(self) -> None:
        if "request" in vars(self.owner):
            delattr(self.owner, "request")


@pytest.fixture(params=["wrapt", "functools"])
def neighbour(request: pytest.FixtureRequest, way: Caller) -> Generator[Neighbour]:
    made = Neighbour(type(way.client), request.param)
    yield made
    made.switch_off()
    uninstrument()


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_wrapper_on_the_client_class(way: Caller, spans: Spans, neighbour: Neighbour, order: str) -> None:
    """Somebody's wrapper on the client's class, which holds the base class's method, leads past neither side."""
    switches = [lambda: instrument(settings=Settings(), tracer_provider=spans.tracer_provider), neighbour.switch_on]
    for switch in switches if order == "ours first" else reversed(switches):
        switch()

    way.create()
    way.stream().read()

    assert (len(spans.ended), neighbour.calls) == (2, 2)


ORDERS = [
    order
    for order in permutations(("ours on", "ours off", "theirs on", "theirs off"))
    if order.index("ours on") < order.index("ours off") and order.index("theirs on") < order.index("theirs off")
]


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_any_order(make_caller: Callable[[str, bool], Caller], spans: Spans, order: tuple[str, ...]) -> None:
    """Whoever comes and leaves in whatever order: each sees the calls made while it was on, and all is as it was."""
    caller = make_caller("chat_completions", False)
    owner, before = type(caller.client), openai._base_client.SyncAPIClient.request
    neighbour = Neighbour(owner, "wrapt")
    accessor = caller.resource.with_raw_response
    steps: dict[str, Callable[[], None]] = {
        "ours on": lambda: instrument(settings=Settings(), tracer_provider=spans.tracer_provider),
        "ours off": uninstrument,
        "theirs on": neighbour.switch_on,
        "theirs off": neighbour.switch_off,
    }
    active: set[str] = set()
    expected = {"ours": 0, "theirs": 0}

    for step in order:
        steps[step]()
        side, state = step.split()
        active = active | {side} if state == "on" else active - {side}
        caller.create()
        accessor.create(**caller.arguments)
        for seen in active:
            expected[seen] += 2

    assert {"ours": len(spans.ended), "theirs": neighbour.calls} == expected
    assert owner.request is before


@pytest.mark.parametrize("style", ["wrapt", "functools"])
def test_coming_back_under_a_wrapper(make_caller: Callable[[str, bool], Caller], spans: Spans, style: str) -> None:
    """Instrumented again while somebody's wrapper still holds our first one, a call is one span."""
    caller = make_caller("chat_completions", False)
    base = openai._base_client.SyncAPIClient
    original = vars(base)["request"]
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    Neighbour(base, style).switch_on()
    uninstrument()

    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    caller.create()
    uninstrument()
    setattr(base, "request", original)  # noqa: B010

    assert len(spans.ended) == 1


def test_override_of_the_users(instrumented: Spans, provider: LoopbackProvider) -> None:
    """A client class whose `request` calls the base class's is observed once."""

    class Client(openai.OpenAI):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return super().request(*args, **kwargs)

    instrument(settings=Settings(), tracer_provider=instrumented.tracer_provider)
    with Client(base_url=provider.openai_base_url, api_key="x") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    assert len(instrumented.ended) == 1


# --- samplers ---------------------------------------------------------------------------------------------------------


class NotOurs(Sampler):
    """Drops the spans that we start."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **_: Any) -> SamplingResult:
        return SamplingResult(Decision.DROP if name.startswith("chat ") else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "NotOurs"


@pytest.mark.parametrize(
    "sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), NotOurs()], ids=lambda one: type(one).__name__
)
def test_dropped_by_a_sampler(way: Caller, spans: Spans, sampler: Sampler) -> None:
    """A call whose span a sampler drops is answered as ever, streams too, and leaves nothing."""
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(spans.capture.exporter))
    instrument(settings=Settings(), tracer_provider=provider)

    with provider.get_tracer("app").start_as_current_span("request"):
        answer = way.create()
        chunks = way.stream().read()
        way.stream().break_after(1)
    uninstrument()

    assert answer.model == way.model
    assert chunks
    assert [span.name for span in spans.ended] in ([], ["request"])


class MeterProviderLikeLogfires(MeterProvider):
    """A provider that cannot be hashed."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def test_metrics_of_a_provider_that_cannot_be_hashed(way: Caller, spans: Spans) -> None:
    """Metrics go to any MeterProvider, one that cannot be a key included."""
    reader = InMemoryMetricReader()
    provider = MeterProviderLikeLogfires([reader])
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider, meter_provider=provider)

    way.create()
    uninstrument()

    assert reader.get_metrics_data() is not None
    provider.shutdown()


# --- one call in the store --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_current", [True, False], ids=["current", "not current"])
@pytest.mark.parametrize("knows_response", [True, False], ids=["response id", "no response id"])
def test_one_call_in_the_store(
    make_caller: Callable[[str, bool], Caller], tmp_path: Path, is_current: bool, knows_response: bool
) -> None:
    """A second instrumentation's span of each call, exported beside ours, leaves one row a call: ours, with a cost."""
    caller = make_caller("chat_completions", False)
    with running_collector(tmp_path / "calls.duckdb") as collector:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        instrument(settings=Settings(), tracer_provider=provider)
        tracer = provider.get_tracer("opentelemetry.instrumentation.openai")

        for _ in range(3):
            span = tracer.start_span("openai.chat")
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"})
            span.set_attribute("gen_ai.request.model", caller.model)
            if is_current:
                with trace.use_span(span, end_on_exit=False):
                    answer = caller.create()
            else:
                answer = caller.create()
            if knows_response:
                span.set_attribute("gen_ai.response.id", answer.id)
                span.set_attribute("gen_ai.usage.input_tokens", answer.usage.prompt_tokens)
            span.end()
        uninstrument()
        provider.shutdown()
        collector.flush()

        rows = collector.store.sql("SELECT instrumentation, input_tokens, priced FROM llm_calls").to_pylist()

    assert rows == [{"instrumentation": "tierwise", "input_tokens": 1200, "priced": True}] * 3
