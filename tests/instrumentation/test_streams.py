from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from opentelemetry import trace

from tierwise.instrumentation import streams
from tierwise.testing import (
    EMPTY_CHOICES,
    NULL_CHOICES,
    NULL_DELTA,
    Answer,
    Fault,
    LoopbackProvider,
    ProviderUsage,
    ToolCall,
)

from .installed_sdks import ANTHROPIC_HTTP, OPENAI_HTTP, VERSIONS, needs_prompt_release, skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans

CONNECTION_ERRORS = (openai.APIConnectionError, OPENAI_HTTP.TransportError, ANTHROPIC_HTTP.TransportError)
"""openai wraps what the HTTP client raises in mid-stream, anthropic does not."""


def usage(span: Any) -> tuple[int, int]:
    return span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]


def test_read_to_the_end(caller: Caller, instrumented: Spans) -> None:
    """A stream that is read to its end is one span with the usage the provider reported."""
    stream = caller.stream()

    chunks = stream.read()

    span = instrumented.only
    assert span.name == f"{'text_completion' if caller.api == 'completions' else 'chat'} {caller.model}"
    assert (span.status, span.events) == ("UNSET", ())
    assert span.attributes["gen_ai.request.stream"] is True
    assert usage(span) == (1200, 64)
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 900
    assert span.attributes["gen_ai.usage.cache_write.input_tokens"] == 200
    assert span.attributes["gen_ai.response.finish_reasons"] in (("stop",), ("end_turn",))
    assert 0 < span.attributes["gen_ai.response.time_to_first_chunk"] <= (span.end_ns - span.start_ns) / 1e9
    assert "tierwise.usage.partial" not in span.attributes
    assert len(chunks) > 3


def test_chunks_are_the_sdks_own(caller: Caller, spans: Spans, request: pytest.FixtureRequest) -> None:
    """The user gets the same chunks, in a stream of the same class, as without instrumentation."""
    bare = caller.stream()
    bare_chunks = [type(chunk) for chunk in bare.read()]

    request.getfixturevalue("instrumented")
    stream = caller.stream()
    chunks = [type(chunk) for chunk in stream.read()]

    assert type(stream.stream) is type(bare.stream)
    assert isinstance(stream.stream, caller.sdk.AsyncStream if caller.is_async else caller.sdk.Stream)
    assert chunks == bare_chunks


def test_left_early(caller: Caller, instrumented: Spans) -> None:
    """A loop that is left ends the span once the stream is let go, as partial and not as an error."""
    stream = caller.stream()

    stream.break_after(2)
    before = len(instrumented.capture.spans)
    stream.drop()

    span = instrumented.only
    assert before == 0
    assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)
    assert span.attributes["tierwise.usage.partial"] is True
    assert span.attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert span.attributes["gen_ai.usage.output_tokens"] < 64


def test_resumed_after_a_break(caller: Caller, instrumented: Spans) -> None:
    """Leaving a loop is not the end of a stream: whoever goes on reading gets the rest, and the whole usage."""
    stream = caller.stream()

    stream.break_after(2)
    stream.read()

    span = instrumented.only
    assert usage(span) == (1200, 64)
    assert "tierwise.usage.partial" not in span.attributes


def test_closed(caller: Caller, instrumented: Spans) -> None:
    """Closing a stream ends its span at once."""
    stream = caller.stream()
    stream.next()

    stream.close()

    span = instrumented.only
    assert span.status == "UNSET"
    assert span.attributes["tierwise.usage.partial"] is True


def test_left_as_a_context_manager(caller: Caller, instrumented: Spans) -> None:
    """Leaving the stream's own `with` block ends its span at once."""
    stream = caller.stream()

    stream.leave_block_after(2)

    assert instrumented.only.attributes["tierwise.usage.partial"] is True


def test_never_read(caller: Caller, instrumented: Spans) -> None:
    """A stream that is dropped unread still ends its span."""
    caller.stream().drop()

    span = instrumented.only
    assert span.attributes["tierwise.usage.partial"] is True
    assert "gen_ai.response.time_to_first_chunk" not in span.attributes


def test_ends_once(caller: Caller, instrumented: Spans, caplog: pytest.LogCaptureFixture) -> None:
    """Reading to the end, closing and dropping the same stream end its span once."""
    stream = caller.stream()

    stream.read()
    stream.close()
    stream.drop()

    assert instrumented.only.status == "UNSET"
    assert caplog.records == []


def test_disconnected(caller: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A connection that breaks in mid-stream reaches the user, and the span as an error."""
    provider.script([Fault.disconnect_mid_stream(Answer("x" * 400), after_chunks=4)])
    stream = caller.stream()

    with pytest.raises(CONNECTION_ERRORS) as raised:
        stream.read()

    span = instrumented.only
    assert (span.status, span.description, span.events) == ("ERROR", None, ())
    assert span.attributes["error.type"] == type(raised.value).__name__
    assert span.attributes["tierwise.usage.partial"] is True


def test_error_event(caller: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """An error event in mid-stream is an error of the call."""
    provider.script([Fault.error_mid_stream(after_chunks=3)])
    stream = caller.stream()

    if caller.api == "responses":
        # The SDK hands this one to the user as an event.
        if not any(event.type == "error" for event in stream.read()):
            pytest.skip(f"{VERSIONS}: the SDK drops error events of Responses streams")
    else:
        with pytest.raises(caller.sdk.APIError):
            stream.read()

    span = instrumented.only
    assert span.status == "ERROR"
    assert span.attributes["error.type"]


def test_truncated(caller: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A stream that stops without its closing events, which no SDK reports, is marked partial, never free."""
    provider.script([Fault.truncated_stream(Answer("x" * 400), after_chunks=6)])

    caller.stream().read()

    span = instrumented.only
    assert span.status == "UNSET"
    assert span.attributes["tierwise.usage.partial"] is True
    assert span.attributes["gen_ai.usage.output_tokens"] > 0
    assert span.attributes["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize("odd", [NULL_DELTA, EMPTY_CHOICES, NULL_CHOICES], ids=["null-delta", "no-choices", "null"])
@pytest.mark.parametrize("is_async", [False, True])
def test_odd_chunks(
    odd: Any,
    is_async: bool,
    make_caller: Callable[[str, bool], Caller],
    provider: LoopbackProvider,
    instrumented: Spans,
) -> None:
    """Chunks that some deployments send, without a delta or choices, pass through and break nothing."""
    provider.script([Answer("hello", extra_chunks=[odd], usage=ProviderUsage(10, 5))])

    chunks = make_caller("chat_completions", is_async).stream().read()

    assert sum(1 for chunk in chunks if not chunk.choices or chunk.choices[0].delta is None) == 1
    assert usage(instrumented.only) == (10, 5)


def test_tool_calls(chat: Caller, instrumented: Spans, provider: LoopbackProvider) -> None:
    """The arguments of a streamed tool call count as output when the provider reports no usage."""
    provider.answer(lambda _: Answer(tool_calls=[ToolCall("lookup", {"city": "Paris"})], report_usage=False))

    chat.stream().read()

    span = instrumented.only
    assert span.attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)
    assert span.attributes["tierwise.usage.estimated"] is True
    assert span.attributes["gen_ai.usage.output_tokens"] == -(-len('lookup{"city":"Paris"}') // 4)


def test_spans_of_the_user_keep_their_parent(caller: Caller, instrumented: Spans) -> None:
    """The call's span is not current while chunks are read, nor after the stream was left."""
    tracer = instrumented.tracer_provider.get_tracer("app")

    with tracer.start_as_current_span("handler") as handler:
        stream = caller.stream()
        stream.next()
        inside = trace.get_current_span()
        stream.break_after(1)
        after = trace.get_current_span()
        stream.close()

    assert inside is handler
    assert after is handler
    call, _ = instrumented.ended
    assert call.parent == handler.get_span_context()


def test_read_in_another_thread(chat: Caller, instrumented: Spans, caplog: pytest.LogCaptureFixture) -> None:
    """A stream may be read by another thread than the one that made the call."""
    stream = chat.stream()
    thread = threading.Thread(target=stream.read)

    thread.start()
    thread.join()

    assert usage(instrumented.only) == (1200, 64)
    assert caplog.records == []


def test_closed_by_another_thread(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """What a reader gets from a stream that another thread closes under it is no error of the call."""
    provider.script([Fault.stall(0.5, Answer("x" * 400), after_chunks=3)])
    stream = chat.stream()
    for _ in range(3):
        stream.next()
    raised: list[Exception] = []

    def read() -> None:
        try:
            stream.read()
        except CONNECTION_ERRORS as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: stream.stream._iterator._watch.reading)
    stream.close()
    reader.join(5)

    span = instrumented.only
    assert len(raised) == 1
    assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)
    assert span.attributes["tierwise.usage.partial"] is True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_cancelled(make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans) -> None:
    """A task that is cancelled while it reads stops the call; that is no error of the call."""
    provider.script([Fault.stall(5.0, Answer("x" * 400), after_chunks=3)])
    caller = make_caller("chat_completions", True)
    stream = caller.stream()

    async def read() -> None:
        async with asyncio.timeout(0.2):
            async for _ in stream.stream:
                pass

    with pytest.raises(TimeoutError):
        caller.wait(read())

    span = instrumented.only
    assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)
    assert span.attributes["tierwise.usage.partial"] is True


@needs_prompt_release
def test_a_dropped_stream_is_gone_at_once(caller: Caller, instrumented: Spans) -> None:
    """Nothing of ours keeps a dropped stream alive, so its connection is free without a garbage collection."""
    stream = caller.stream()
    stream.next()
    response = weakref.ref(stream.stream.response)
    gc.disable()
    try:
        stream.drop()
        for _ in range(100 if caller.is_async else 0):
            # The loop closes async generators one inside the other, a step at a time.
            if response() is not None:
                caller.wait(asyncio.sleep(0.01))
        assert response() is None
    finally:
        gc.enable()

    assert instrumented.only.attributes["tierwise.usage.partial"] is True


def test_end_of_a_dropped_stream(chat: Caller, instrumented: Spans) -> None:
    """A stream that is forgotten ended when its last chunk came, not when it was collected."""
    stream = chat.stream()
    stream.next()
    seen_ns = stream.stream._iterator._watch._observation.last_chunk_ns
    threading.Event().wait(0.05)

    stream.drop()

    assert instrumented.only.end_ns == seen_ns


def test_our_own_error(
    caller: Caller, instrumented: Spans, outside_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When reading chunks fails in our code, the user still gets each of them, and the span ends."""
    monkeypatch.setattr(streams.StreamWatch, "_accumulator", _Broken())

    stream = caller.stream()
    chunks = stream.read()

    assert len(chunks) > 3
    assert instrumented.only.status == "UNSET"


class _Broken:
    """Stands where a watch keeps its accumulator, and fails at every use."""

    def __set__(self, watch: object, accumulator: object) -> None:
        return

    def __get__(self, watch: object, kind: type) -> Any:
        return self

    def add(self, chunk: Any) -> None:
        raise RuntimeError("broken")

    def reply(self) -> Any:
        raise RuntimeError("broken")


# --- the SDKs' helpers ------------------------------------------------------------------------------------------------


def test_chat_stream_helper(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """`chat.completions.stream()` works as ever, and is one span."""
    client = make_caller("chat_completions", False).client
    skip_without(client, "chat.completions.stream")

    with client.chat.completions.stream(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]) as stream:
        completion = stream.get_final_completion()

    assert completion.choices[0].message.content.startswith("Paris")
    assert completion.usage is None
    assert usage(instrumented.only) == (1200, 64)


def test_chat_stream_helper_left_early(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """Leaving the helper's block ends the span, although the helper closes the response and not the stream."""
    client = make_caller("chat_completions", False).client
    skip_without(client, "chat.completions.stream")

    with client.chat.completions.stream(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]) as stream:
        next(stream)

    assert instrumented.only.attributes["tierwise.usage.partial"] is True


def test_async_chat_stream_helper(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """The async helper works as ever, and is one span."""
    caller = make_caller("chat_completions", True)
    skip_without(caller.client, "chat.completions.stream")

    async def main() -> Any:
        helper = caller.client.chat.completions.stream(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        async with helper as stream:
            return await stream.get_final_completion()

    completion = caller.wait(main())

    assert completion.choices[0].message.content.startswith("Paris")
    assert usage(instrumented.only) == (1200, 64)


def test_responses_stream_helper(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """`responses.stream()` works as ever, and is one span."""
    client = make_caller("responses", False).client
    skip_without(client, "responses.stream")

    with client.responses.stream(model="gpt-4o", input="hi") as stream:
        response = stream.get_final_response()

    assert response.output_text.startswith("Paris")
    assert usage(instrumented.only) == (1200, 64)


def test_messages_stream_helper_left_early(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """Leaving the block of `messages.stream()` ends the span."""
    caller = make_caller("messages", False)

    with caller.resource.stream(**caller.arguments) as stream:
        next(stream)

    span = instrumented.only
    assert span.attributes["tierwise.usage.partial"] is True
    assert span.attributes["gen_ai.usage.input_tokens"] == 1200


def test_streams_are_watched_by_class(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """Both SDKs' stream classes still have what the watch relies on."""
    assert hasattr(openai.Stream, "__stream__")
    assert hasattr(anthropic.AsyncStream, "__stream__")
