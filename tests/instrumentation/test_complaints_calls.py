"""What people reported about calls that other instrumentations broke, held against ours."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import tracemalloc
import weakref
from collections.abc import Callable, Generator, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
import wrapt
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tierwise.instrumentation import instrument, uninstrument
from tierwise.settings import Settings
from tierwise.testing import Answer, LoopbackProvider, ToolCall

from .installed_sdks import OPENAI_HTTP, VERSIONS, needs_omit

if TYPE_CHECKING:
    from .conftest import Caller, Spans

TOOL = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}


# --- what is passed, and what comes back ------------------------------------------------------------------------------


def test_lists_in_a_request_do_not_break_metrics(spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """A streamed call with tools, stop sequences and other lists is delivered and measured
    (traceloop/openllmetry#3428)."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider, meter_provider=meters)
    provider.script([Answer(tool_calls=[ToolCall("lookup", {"city": "Paris"})])])

    chunks = chat.stream(tools=[TOOL], stop=["END", "STOP"]).read()
    uninstrument()

    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert spans.only.attributes["gen_ai.request.stop_sequences"] == ("END", "STOP")
    measured = reader.get_metrics_data()
    assert measured is not None
    assert "gen_ai.client.token.usage" in measured.to_json()


@pytest.mark.parametrize("stream", [False, True])
def test_raw_responses_keep_what_they_have(stream: bool, caller: Caller, instrumented: Spans) -> None:
    """`with_raw_response` keeps `.parse()`, `.headers` and the rest, streamed too (traceloop/openllmetry#4476,
    open-telemetry/opentelemetry-python-contrib#4032, pydantic/logfire#62, Azure/azure-sdk-for-python#48646,
    microsoft/agent-framework#7461)."""
    created = caller.resource.with_raw_response.create(**caller.arguments, **({"stream": True} if stream else {}))
    response = caller.wait(created)
    parsed = response.parse()
    parsed = caller.wait(parsed) if asyncio.iscoroutine(parsed) else parsed

    async def read() -> list[Any]:
        return [chunk async for chunk in parsed]

    chunks = [parsed] if not stream else caller.wait(read()) if caller.is_async else list(parsed)

    assert type(response).__module__.startswith(caller.sdk.__name__)
    assert response.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    assert (response.status_code, response.http_request.method) == (200, "POST")
    assert isinstance(parsed, (caller.sdk.AsyncStream if caller.is_async else caller.sdk.Stream)) is stream
    assert chunks
    assert instrumented.only.attributes["gen_ai.usage.output_tokens"] > 0


def test_one_shot_iterables_arrive_whole(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, spans: Spans
) -> None:
    """Messages that can be read once reach the provider whole, with content captured too
    (anthropics/anthropic-sdk-python#1838, DataDog/dd-trace-py#17269)."""
    instrument(settings=Settings(capture_content=True), tracer_provider=spans.tracer_provider)
    for api in ("chat_completions", "messages"):
        caller = make_caller(api, False)
        question = caller.arguments["messages"]
        for messages in ((message for message in question * 3), iter(question * 3), map(dict, question * 3)):
            caller.create(messages=messages)
            caller.stream(messages=iter(question * 3)).read()
    uninstrument()

    sent = [len(request.body["messages"]) for request in provider.requests]
    assert sent == [3] * 12
    assert len(spans.ended) == 12


@needs_omit
def test_parameters_left_out_are_left_out(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans, caplog: Any
) -> None:
    """A parameter given as NOT_GIVEN or omitted is neither sent nor recorded, and nobody complains about its type
    (traceloop/openllmetry#4431, open-telemetry/opentelemetry-python-contrib#3926, openlit/openlit#893)."""
    chat, claude = make_caller("chat_completions", False), make_caller("messages", False)

    chat.create(temperature=openai.NOT_GIVEN, stop=openai.omit)
    chat.stream(temperature=openai.NOT_GIVEN, tools=openai.omit).read()
    claude.create(stop_sequences=anthropic.NOT_GIVEN, system=anthropic.omit)

    assert [sorted(request.body) for request in provider.requests] == [
        ["messages", "model"],
        ["messages", "model", "stream", "stream_options"],
        ["max_tokens", "messages", "model"],
    ]
    assert len(instrumented.ended) == 3
    assert caplog.records == []


# --- clients ----------------------------------------------------------------------------------------------------------

HTTP_PACKAGES = [
    pytest.param(
        "httpx2",
        marks=pytest.mark.skipif(OPENAI_HTTP.__name__ != "httpx2", reason=f"{VERSIONS} do not know httpx2"),
    ),
    pytest.param(
        "httpx",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("httpx") is None, reason="httpx, which older SDKs use, is not installed"
        ),
    ),
]


@pytest.mark.parametrize("package", HTTP_PACKAGES)
def test_http_clients_of_ones_own_are_accepted(
    package: str, chat: Caller, provider: LoopbackProvider, instrumented: Spans
) -> None:
    """The SDKs still know an HTTP client that the app made for one: its classes are nobody's to patch
    (pydantic/logfire#529)."""
    http: Any = importlib.import_module(package)

    class Own(http.Client):
        pass

    with Own() as http_client, _client(provider, http_client) as client:
        answer = client.chat.completions.create(**chat.arguments)

    assert isinstance(http_client, http.Client)
    assert [type(vars(http.Client)[name]) for name in ("__init__", "request", "send")] == [FunctionType] * 3
    assert answer.usage is not None
    assert len(instrumented.ended) == 1


@pytest.mark.parametrize("package", HTTP_PACKAGES)
def test_the_server_is_known_whatever_the_http_client(
    package: str, chat: Caller, provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Server and port are on the span, streamed or not, with each HTTP package that the SDK works with
    (open-telemetry/opentelemetry-python-contrib#4953)."""
    http: Any = importlib.import_module(package)

    with http.Client() as http_client, _client(provider, http_client) as client:
        client.chat.completions.create(**chat.arguments)
        list(client.chat.completions.create(**chat.arguments, stream=True))

    servers = [(span.attributes["server.address"], span.attributes["server.port"]) for span in instrumented.ended]
    assert servers == [("127.0.0.1", provider.port)] * 2


def _client(provider: LoopbackProvider, http_client: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=provider.openai_base_url, api_key="test", http_client=http_client)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_answers_are_let_go(caller: Caller, instrumented: Spans, provider: LoopbackProvider) -> None:
    """An answer that the app has let go of is freed at once: nobody keeps it (DataDog/dd-trace-py#18795)."""
    answer = caller.create()
    gone = weakref.ref(answer)

    gc.disable()
    try:
        del answer
        left = gone()
    finally:
        gc.enable()

    assert left is None


def test_large_inputs_leave_nothing_in_memory(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Responses with inputs of 20 KB each do not add up in the process (traceloop/openllmetry#4473)."""
    caller = make_caller("responses", False)

    def make_calls(count: int, first: int) -> None:
        for number in range(first, first + count):
            caller.create(input=f"{number} " + "word " * 4_000)
        # Spans and requests are kept by the test's own exporter and provider.
        instrumented.capture.clear()
        provider.clear()
        gc.collect()

    make_calls(5, 0)
    tracemalloc.start()
    make_calls(5, 10)
    before, _ = tracemalloc.get_traced_memory()
    make_calls(20, 20)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < 20 * 4_000, "a fifth of what was sent"


# --- others beside us -------------------------------------------------------------------------------------------------


class ForeignStream(wrapt.ObjectProxy):
    """A stream as another instrumentor hands it on: a proxy that counts chunks."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._self_chunks = 0

    def __iter__(self) -> Iterator[Any]:
        for chunk in self.__wrapped__:
            self._self_chunks += 1
            yield chunk

    async def __aiter__(self) -> Any:
        async for chunk in self.__wrapped__:
            self._self_chunks += 1
            yield chunk


def _foreign(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    answer = wrapped(*args, **kwargs)
    return ForeignStream(answer) if kwargs.get("stream") else answer


async def _foreign_async(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    answer = await wrapped(*args, **kwargs)
    return ForeignStream(answer) if kwargs.get("stream") else answer


@pytest.fixture(params=["beneath us", "above us"])
def beside(request: pytest.FixtureRequest, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Generator[Spans]:
    """Another instrumentor that replaces streams, patched in before us or after."""

    def patch() -> None:
        for sdk in (openai, anthropic):
            base: Any = sdk._base_client
            for owner, wrapper in ((base.SyncAPIClient, _foreign), (base.AsyncAPIClient, _foreign_async)):
                monkeypatch.setattr(owner, "request", wrapt.FunctionWrapper(vars(owner)["request"], wrapper))

    if request.param == "beneath us":
        patch()
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    if request.param == "above us":
        patch()
    yield spans
    monkeypatch.undo()
    uninstrument()


def test_two_instrumentors_on_a_stream(caller: Caller, beside: Spans) -> None:
    """A stream that another instrumentor wraps as well is delivered whole, and its call is one span of ours
    (kagent-dev/kagent#2313)."""
    stream = caller.stream()

    async def read() -> list[Any]:
        return [chunk async for chunk in stream.stream]

    chunks = caller.wait(read()) if caller.is_async else list(stream.stream)

    assert isinstance(stream.stream, ForeignStream)
    assert len(chunks) == stream.stream._self_chunks > 3
    assert beside.only.attributes["gen_ai.usage.output_tokens"] == 64
