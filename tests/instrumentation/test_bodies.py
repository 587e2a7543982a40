from __future__ import annotations

import gc
import gzip
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.instrumentation import bodies
from tierwise.testing import Answer, Fault, LoopbackProvider

from .installed_sdks import OPENAI_HTTP

if TYPE_CHECKING:
    from .conftest import Caller, Spans


def raw(caller: Caller, **changes: Any) -> Any:
    """The answer of `with_raw_response`."""
    return caller.wait(caller.resource.with_raw_response.create(**{**caller.arguments, **changes}))


async def parsed(response: Any) -> Any:
    """What a raw response parses to: anthropic's async ones are awaited."""
    result = response.parse()
    return await result if hasattr(result, "__await__") else result


def usage(span: Any) -> tuple[int, int]:
    return span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]


def test_raw_response(caller: Caller, instrumented: Spans) -> None:
    """A raw response has its usage recorded at once, and keeps `headers`, `parse()` and the body."""
    response = raw(caller)

    span = instrumented.only
    assert usage(span) == (1200, 64)
    assert response.headers["content-type"].startswith("application/json")
    answer = caller.wait(parsed(response)) if caller.is_async else response.parse()
    assert answer.id == span.attributes["gen_ai.response.id"]
    assert response.http_response.json()["id"] == answer.id


def test_raw_stream(caller: Caller, instrumented: Spans, provider: LoopbackProvider) -> None:
    """A raw stream is one span, with its usage once the user has read what it parses to; nothing is asked for."""
    response = raw(caller, stream=True)
    before = instrumented.ended

    if caller.is_async:

        async def read() -> int:
            return len([chunk async for chunk in await parsed(response)])

        count = caller.wait(read())
    else:
        count = len(list(response.parse()))

    assert before == []
    assert count > 3
    (request,) = provider.requests
    assert "stream_options" not in request.body
    span = instrumented.only
    if caller.api in ("chat_completions", "completions"):
        # These tell their usage only to those who ask, and a reader of raw events would see that somebody did.
        assert span.attributes["tierwise.usage.estimated"] is True
    else:
        assert usage(span) == (1200, 64)


def test_raw_stream_with_usage(chat: Caller, instrumented: Spans) -> None:
    """A raw stream whose caller asked for usage has it recorded."""
    for _ in raw(chat, stream=True, stream_options={"include_usage": True}).parse():
        pass

    assert usage(instrumented.only) == (1200, 64)


def test_streaming_response(caller: Caller, instrumented: Spans) -> None:
    """`with_streaming_response` has its usage recorded when the user reads it, in whichever way."""

    def sync() -> None:
        for read in ("read", "json", "text", "parse"):
            with caller.resource.with_streaming_response.create(**caller.arguments) as response:
                getattr(response, read)()
        with caller.resource.with_streaming_response.create(**caller.arguments) as response:
            list(response.iter_lines())

    async def main() -> None:
        for read in ("read", "json", "text", "parse"):
            async with caller.resource.with_streaming_response.create(**caller.arguments) as response:
                await getattr(response, read)()
        async with caller.resource.with_streaming_response.create(**caller.arguments) as response:
            async for _ in response.iter_lines():
                pass

    caller.wait(main()) if caller.is_async else sync()

    assert [usage(span) for span in instrumented.ended] == [(1200, 64)] * 5


def test_streaming_response_with_events(caller: Caller, instrumented: Spans) -> None:
    """A stream read line by line through `with_streaming_response` is one span, with its finish reason."""

    def sync() -> None:
        with caller.resource.with_streaming_response.create(**caller.arguments, stream=True) as response:
            for _ in response.iter_lines():
                pass

    async def main() -> None:
        async with caller.resource.with_streaming_response.create(**caller.arguments, stream=True) as response:
            async for _ in response.iter_lines():
                pass

    caller.wait(main()) if caller.is_async else sync()

    assert instrumented.only.attributes["gen_ai.response.finish_reasons"] in (("stop",), ("end_turn",))


@pytest.mark.parametrize("stream", [False, True])
def test_never_read(stream: bool, caller: Caller, instrumented: Spans) -> None:
    """A response that is closed unread ends its span, as partial."""

    def sync() -> None:
        with caller.resource.with_streaming_response.create(**caller.arguments, stream=stream):
            pass

    async def main() -> None:
        async with caller.resource.with_streaming_response.create(**caller.arguments, stream=stream):
            pass

    caller.wait(main()) if caller.is_async else sync()

    span = instrumented.only
    assert span.status == "UNSET"
    assert span.attributes["tierwise.usage.partial"] is True


def test_dropped(chat: Caller, instrumented: Spans) -> None:
    """A raw stream that is let go unread ends its span."""
    response = raw(chat, stream=True)

    del response
    gc.collect()

    assert instrumented.only.attributes["tierwise.usage.partial"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_disconnected(stream: bool, chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A connection that breaks while a raw response is read is an error of the call."""
    provider.script([Fault.disconnect_mid_stream(Answer("x" * 5000), after_chunks=4)])

    with (
        chat.resource.with_streaming_response.create(**chat.arguments, stream=stream) as response,
        pytest.raises(OPENAI_HTTP.TransportError),
    ):
        response.read()

    span = instrumented.only
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "RemoteProtocolError")


def test_broken_json(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A body that is not JSON reaches the user as it came; its span has no answer to tell of."""
    provider.script([Fault.malformed_json()])

    response = raw(chat)

    assert response.content
    assert instrumented.only.attributes["tierwise.usage.partial"] is True


def test_broken_event(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A broken event in a raw stream is the reader's to judge."""
    provider.script([Fault.malformed_json()])

    with chat.resource.with_streaming_response.create(**chat.arguments, stream=True) as response:
        lines = list(response.iter_lines())

    assert any(lines)
    assert instrumented.only.attributes["tierwise.usage.partial"] is True


def test_long_documents(
    chat: Caller, provider: LoopbackProvider, instrumented: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer too long to keep a copy of is passed on, and its usage estimated."""
    monkeypatch.setattr(bodies, "MAX_KEPT_BYTES", 100)
    provider.answer(lambda _: Answer("x" * 500))

    with chat.resource.with_streaming_response.create(**chat.arguments) as response:
        body = response.json()

    assert body["choices"][0]["message"]["content"] == "x" * 500
    assert instrumented.only.attributes["tierwise.usage.estimated"] is True


def test_our_own_error(
    chat: Caller, instrumented: Spans, outside_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When reading along fails in our code, the user reads on."""

    def fail(_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(bodies, "as_object", fail)

    with chat.resource.with_streaming_response.create(**chat.arguments) as response:
        assert response.json()["id"]
    with chat.resource.with_streaming_response.create(**chat.arguments, stream=True) as response:
        assert list(response.iter_lines())

    assert [span.status for span in instrumented.ended] == ["UNSET", "UNSET"]


def test_gzip(instrumented: Spans) -> None:
    """Bytes are read as decoded, whatever their encoding on the wire."""
    body = {"id": "r1", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}

    def handle(_: Any) -> Any:
        packed = gzip.compress(json.dumps(body).encode())
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return OPENAI_HTTP.Response(200, headers=headers, stream=OPENAI_HTTP.ByteStream(packed))

    with openai.OpenAI(
        api_key="x", http_client=OPENAI_HTTP.Client(transport=OPENAI_HTTP.MockTransport(handle))
    ) as client:
        ask = client.chat.completions.with_streaming_response.create
        with ask(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]) as response:
            response.read()

    assert usage(instrumented.only) == (7, 1)


def test_past_the_stream(caller: Caller, instrumented: Spans) -> None:
    """Whoever reads the response under a stream, as helpers of older SDKs do, is watched as well."""
    stream = caller.stream()
    response = stream.stream.response

    async def read() -> list[str]:
        return [line async for line in response.aiter_lines()]

    lines = caller.wait(read()) if caller.is_async else list(response.iter_lines())

    assert lines
    span = instrumented.only
    assert span.attributes["gen_ai.response.finish_reasons"] in (("stop",), ("end_turn",))
    assert usage(span) == (1200, 64)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_events_in_any_pieces(sizes: list[int]) -> None:
    """However the bytes of a stream are cut on the wire, they come to the same events."""
    body = b'event: a\r\ndata: {"n": 1}\r\n\r\ndata:{"n": 2}\n\n: comment\n\ndata: [DONE]\n\ndata: {"n": 3}\n'
    seen: list[int] = []
    watch: Any = SimpleNamespace(add=lambda event: seen.append(event.n), reading=False)
    reader = bodies.EventReader(watch)

    start = 0
    for size in sizes:
        reader.feed(body[start : start + size])
        start += size
    reader.feed(body[start:])

    assert seen == [1, 2, 3]
