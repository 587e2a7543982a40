"""What people reported about streams under other instrumentations, held against ours."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from tierwise.instrumentation import dropped, instrument, uninstrument
from tierwise.settings import Settings
from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderUsage, ToolCall

from .installed_sdks import skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans, Streaming

NO_ARGUMENTS = {
    "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": None, "arguments": None}}]}}]
}
"""A chunk that some gateways send in the middle of a tool call."""


class OpenSpans(SpanProcessor):
    """The spans that have begun and not ended."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.begun = 0

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.begun += 1
        self._open.add(span.get_span_context().span_id)

    def on_end(self, span: ReadableSpan) -> None:
        assert span.context is not None
        self._open.remove(span.context.span_id)

    def count(self) -> int:
        gc.collect()
        assert dropped.wait_until_finished(5)
        return len(self._open)


@pytest.fixture
def open_spans(instrumented: Spans) -> OpenSpans:
    processor = OpenSpans()
    instrumented.tracer_provider.add_span_processor(processor)
    return processor


def break_out(stream: Streaming) -> None:
    stream.break_after(2)
    stream.drop()


def close(stream: Streaming) -> None:
    stream.next()
    stream.close()


def leave_block(stream: Streaming) -> None:
    stream.leave_block_after(2)


def drop_unread(stream: Streaming) -> None:
    stream.drop()


def keep_in_a_cycle(stream: Streaming) -> None:
    stream.next()
    cycle: list[Any] = [stream.stream]
    cycle.append(cycle)
    stream.drop()


def test_no_abandoned_call_vanishes(caller: Caller, instrumented: Spans, open_spans: OpenSpans) -> None:
    """However a stream is left, its span ends, once (Arize-ai/openinference#3790, openlit/openlit#1454)."""
    for abandon in (break_out, close, leave_block, drop_unread, keep_in_a_cycle):
        abandon(caller.stream())

    assert open_spans.count() == 0
    assert open_spans.begun == 5
    assert [span.attributes["tierwise.usage.partial"] for span in instrumented.ended] == [True] * 5


def test_consumed_streams_leave_no_span_open(caller: Caller, open_spans: OpenSpans) -> None:
    """A stream read to its end has no second span that never ends (openlit/openlit#1460)."""
    for _ in range(5):
        caller.stream().read()

    assert open_spans.count() == 0
    assert open_spans.begun == 5


def test_walking_away_leaves_nothing_behind(caller: Caller, instrumented: Spans, open_spans: OpenSpans) -> None:
    """After a stream was left, spans that follow in the request are not children of the call, and the call's own span
    has ended (open-telemetry/opentelemetry-python-genai#491)."""
    tracer = instrumented.tracer_provider.get_tracer("app")

    with tracer.start_as_current_span("handler") as handler:
        stream = caller.stream()
        stream.break_after(1)
        with tracer.start_as_current_span("between"):
            pass
        stream.drop()
        with tracer.start_as_current_span("after"):
            pass
        current = trace.get_current_span()

    assert current is handler
    assert open_spans.count() == 0
    parents = {span.name: span.parent for span in instrumented.ended}
    assert parents["between"] == parents["after"] == handler.get_span_context()


@pytest.mark.parametrize("beta", [False, True])
def test_the_helper_of_messages_works_and_tells(
    beta: bool, make_caller: Callable[[str, bool], Caller], instrumented: Spans
) -> None:
    """`messages.stream()` gives `text_stream` and `get_final_message()` as ever, and its span has all of the response
    (open-telemetry/opentelemetry-python-genai#653 and #654, traceloop/openllmetry#3371, Arize-ai/openinference#2467).
    """
    caller = make_caller("beta_messages" if beta else "messages", False)
    skip_without(caller.resource, "stream")

    with caller.resource.stream(**caller.arguments) as helper:
        text = "".join(helper.text_stream)
        final = helper.get_final_message()

    assert text == final.content[0].text
    assert type(helper).__qualname__ == ("BetaMessageStream" if beta else "MessageStream")
    assert_whole(instrumented.only.attributes, final)


@pytest.mark.parametrize("beta", [False, True])
def test_the_async_helper_of_messages_works_and_tells(
    beta: bool, make_caller: Callable[[str, bool], Caller], instrumented: Spans
) -> None:
    """So does the async helper (the same reports)."""
    caller = make_caller("beta_messages" if beta else "messages", True)
    skip_without(caller.resource, "stream")

    async def main() -> tuple[str, Any]:
        async with caller.resource.stream(**caller.arguments) as helper:
            text = "".join([piece async for piece in helper.text_stream])
            return text, await helper.get_final_message()

    text, final = caller.wait(main())

    assert text == final.content[0].text
    assert_whole(instrumented.only.attributes, final)


def assert_whole(attributes: dict[str, Any], message: Any) -> None:
    assert attributes["gen_ai.response.id"] == message.id
    assert attributes["gen_ai.response.model"] == message.model
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert attributes["gen_ai.usage.input_tokens"] == 1200
    assert attributes["gen_ai.usage.output_tokens"] == message.usage.output_tokens == 64


@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
def test_nothing_is_detached_elsewhere(
    api: str, make_caller: Callable[[str, bool], Caller], instrumented: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream opened in one task and read, closed or dropped in others logs no failure to detach a context
    (openlit/openlit#1369, pydantic/pydantic-ai#6569)."""
    caller = make_caller(api, True)

    async def open_one() -> Any:
        return await caller.resource.create(**caller.arguments, stream=True)

    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async def main() -> None:
        read_elsewhere, closed, abandoned = await asyncio.gather(open_one(), open_one(), open_one())
        await asyncio.gather(read(read_elsewhere), closed.close())
        await anext(abandoned)
        del abandoned
        await asyncio.sleep(0.01)

    caller.wait(main())
    gc.collect()

    assert len(instrumented.ended) == 3
    assert caplog.records == []


@pytest.fixture
def with_content(spans: Spans) -> Generator[Spans]:
    """Spans that carry content."""
    instrument(settings=Settings(capture_content=True), tracer_provider=spans.tracer_provider)
    yield spans
    uninstrument()


@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
def test_what_came_before_a_failure_is_kept(
    api: str, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, with_content: Spans
) -> None:
    """A stream that breaks off or is cancelled has a span with what had come by then (DataDog/dd-trace-py#20473)."""
    caller = make_caller(api, True)
    answer = Answer("Paris is the capital. " * 20, usage=ProviderUsage(100, 90))
    provider.script(
        [
            Fault.disconnect_mid_stream(answer, after_chunks=8),
            Fault.stall(1.0, answer, after_chunks=8),
        ]
    )

    async def read(arrived: list[Any]) -> None:
        async for chunk in await caller.resource.create(**caller.arguments, stream=True):
            arrived.append(chunk)

    async def main() -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011 - openai wraps what the HTTP client raises, anthropic does not
            await read([])
        arrived: list[Any] = []
        reading = asyncio.create_task(read(arrived))
        async with asyncio.timeout(5):
            while len(arrived) < 6:
                await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.wait([reading])

    caller.wait(main())

    broken, cancelled = with_content.ended
    assert (broken.status, cancelled.status) == ("ERROR", "UNSET")
    for span in (broken, cancelled):
        assert span.attributes["tierwise.usage.partial"] is True
        assert span.attributes["gen_ai.usage.output_tokens"] > 5
        assert "Paris is the capital" in span.attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("is_async", [False, True])
def test_tool_calls_without_arguments_are_survived(
    is_async: bool, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, with_content: Spans
) -> None:
    """A tool-call delta whose arguments are null breaks neither the app nor the captured content
    (alibaba/loongsuite-python#105)."""
    call = ToolCall("lookup", {"city": "Paris"})
    provider.script([Answer(tool_calls=[call], extra_chunks=[NO_ARGUMENTS])])

    chunks = make_caller("chat_completions", is_async).stream().read()

    arguments = [
        one.function.arguments for chunk in chunks for choice in chunk.choices for one in choice.delta.tool_calls or ()
    ]
    assert None in arguments
    assert '"lookup"' in with_content.only.attributes["gen_ai.output.messages"]


def test_stream_methods_stay_what_they_are(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """`stream()` of async clients, beta too, gives its manager at once and not something to be awaited
    (evalstate/fast-agent#649)."""
    claude, chat = make_caller("messages", True), make_caller("chat_completions", True)
    skip_without(claude.client, "beta.messages.stream")
    skip_without(chat.client, "responses.stream")

    async def main() -> list[bool]:
        awaitable: list[bool] = []
        for manager in (
            claude.client.messages.stream(**claude.arguments),
            claude.client.beta.messages.stream(**claude.arguments),
            chat.resource.stream(**chat.arguments),
            chat.client.responses.stream(model="gpt-4o", input="hi"),
        ):
            awaitable.append(inspect.isawaitable(manager))
            async with manager as helper:
                async for _ in helper:
                    pass
        return awaitable

    assert chat.wait(main()) == [False] * 4
    assert len(instrumented.ended) == 4
