"""A stream on its way to the user, watched without being replaced.

The SDK's stream object stays the one the user gets, so `isinstance`, helpers and attributes work as ever. Only the
iterator inside it is wrapped, and the body of the HTTP response under it, which every way of leaving a stream comes to:
`with`, `close()`, the helpers' own, and garbage collection.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any, Protocol

from tierwise.firewall import firewall, report, reraises, swallow
from tierwise.instrumentation.dropped import expect_drops, finish_later
from tierwise.instrumentation.observation import Observation
from tierwise.instrumentation.sdk import Accumulator, Reply


class Watch(Protocol):
    """Somebody to tell that a response was closed or collected."""

    @property
    def is_over(self) -> bool:
        """Whether the call is finished, so that nothing more has to be told."""
        ...

    def closing(self) -> None: ...

    def closed(self) -> None: ...

    def dropped(self) -> None: ...


class StreamWatch:
    """What a stream's chunks add up to, and its end, whoever notices it first."""

    __slots__ = ("_accumulator", "_closed_by_caller", "_observation", "hides_usage", "reading")

    def __init__(self, observation: Observation, accumulator: Accumulator, *, hides_usage: bool) -> None:
        self._observation = observation
        self._accumulator: Accumulator | None = accumulator
        self.hides_usage = hides_usage
        """Whether the chunk that carries only usage was asked for by us, and must not reach the user."""
        self._closed_by_caller = False
        self.reading = False
        """Whether the SDK is at work on the next chunk; if it closes the response then, the reader knows more."""

    @property
    def is_over(self) -> bool:
        return self._observation.is_finished

    def add(self, chunk: Any) -> None:
        """Take in a chunk."""
        # This runs for every chunk: what could be a call of its own is spelled out.
        observation = self._observation
        observation.last_chunk_ns = time.time_ns()
        if observation.first_chunk_s is None:
            observation.first_chunk_s = time.perf_counter() - observation.called_s
        accumulator = self._accumulator
        if accumulator is not None:
            try:
                accumulator.add(chunk)
            except Exception as error:
                if reraises():
                    raise
                self._accumulator = None
                report("reading a stream", error)

    def end(self, error: BaseException | None = None) -> None:
        """The SDK's stream is exhausted or broken."""
        self._finish(None if self._closed_by_caller else error)

    def closing(self) -> None:
        """The response is about to be closed."""
        if self.reading and not self.is_over and not isinstance(sys.exception(), GeneratorExit) and not _in_reader():
            # From another thread or task: what the reader gets from it, at once, is no failure of the call.
            self._closed_by_caller = True

    def closed(self) -> None:
        """The response was closed: by the user, or by the SDK while it reads."""
        if self.is_over:
            return
        if isinstance(sys.exception(), GeneratorExit):
            # A generator is being closed, most often by the garbage collector.
            finish_later(self.dropped)
        elif not self.reading:
            self._finish(None)

    def dropped(self) -> None:
        """The response was garbage-collected."""
        self._finish(None, dropped=True)

    def _finish(self, error: BaseException | None, *, dropped: bool = False) -> None:
        accumulator, self._accumulator = self._accumulator, None
        reply = Reply(complete=False)
        if accumulator is not None:
            with firewall("reading a stream"):
                reply = accumulator.reply()
        if error is not None:
            reply.complete = False
        self._observation.finish(reply, error, dropped=dropped)


class WatchedIterator:
    """The iterator inside a sync stream."""

    __slots__ = ("_inner", "_watch")

    def __init__(self, inner: Iterator[Any], watch: StreamWatch) -> None:
        self._inner = inner
        self._watch = watch

    def __iter__(self) -> WatchedIterator:
        return self

    def __next__(self) -> Any:
        watch = self._watch
        while True:
            watch.reading = True
            try:
                chunk = next(self._inner)
            except BaseException as error:
                watch.reading = False
                try:
                    watch.end(None if isinstance(error, StopIteration) else error)
                except Exception as own_error:
                    swallow("finishing a stream", own_error)
                raise
            watch.reading = False
            try:
                watch.add(chunk)
            except Exception as own_error:
                swallow("reading a stream", own_error)
            if not watch.hides_usage or getattr(chunk, "usage", None) is None or getattr(chunk, "choices", None):
                return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedAsyncIterator:
    """The iterator inside an async stream."""

    __slots__ = ("_inner", "_watch")

    def __init__(self, inner: AsyncIterator[Any], watch: StreamWatch) -> None:
        self._inner = inner
        self._watch = watch

    def __aiter__(self) -> WatchedAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        watch = self._watch
        while True:
            watch.reading = True
            try:
                chunk = await anext(self._inner)
            except BaseException as error:
                watch.reading = False
                try:
                    watch.end(None if isinstance(error, StopAsyncIteration) else error)
                except Exception as own_error:
                    swallow("finishing a stream", own_error)
                raise
            watch.reading = False
            try:
                watch.add(chunk)
            except Exception as own_error:
                swallow("reading a stream", own_error)
            if not watch.hides_usage or getattr(chunk, "usage", None) is None or getattr(chunk, "choices", None):
                return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_READERS = {WatchedIterator.__next__.__code__, WatchedAsyncIterator.__anext__.__code__}


def reads_along(reader: Any) -> Any:
    """Mark a function as one that advances a stream: a response closed from inside it is closed by the SDK."""
    _READERS.add(reader.__code__)
    return reader


def _in_reader() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _READERS:
            return True
        frame = frame.f_back
    return False


def hide_usage(stream: Any, *, is_async: bool) -> None:
    """Keep the chunk that carries only usage from the user, where the watch that would do it could not be set up."""
    stream._iterator = (_without_usage_async if is_async else _without_usage)(stream._iterator)


def _without_usage(chunks: Iterator[Any]) -> Iterator[Any]:
    return (chunk for chunk in chunks if chunk.usage is None or chunk.choices)


async def _without_usage_async(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        if chunk.usage is None or chunk.choices:
            yield chunk


def watch_stream(stream: Any, watch: StreamWatch, *, is_async: bool) -> None:
    """Watch an SDK stream from the inside."""
    inner = _unbound_iterator(stream)
    stream._iterator = WatchedAsyncIterator(inner, watch) if is_async else WatchedIterator(inner, watch)
    watch_close(stream.response, watch)


def _unbound_iterator(stream: Any) -> Any:
    """The iterator of a stream, without a reference to the stream.

    openai's generator is bound to the stream that holds it, a cycle that only the garbage collector ends. Made on a
    copy, as anthropic makes its own, it lets a dropped stream and its connection go at once.
    """
    own = getattr(type(stream), "__stream__", None)
    if own is None or not own.__module__.endswith("._streaming"):
        # A class with an iteration of its own may keep state, which has to be the stream's.
        return stream._iterator
    # As `copy.copy` makes it, in a third of the time.
    twin = object.__new__(type(stream))
    vars(twin).update(vars(stream))
    vars(twin).pop("_iterator", None)
    return twin.__stream__()


def watch_close(response: Any, watch: Watch) -> None:
    """Tell `watch` when the HTTP response is closed, or garbage-collected without."""
    expect_drops()
    response.stream = _watched_body(type(response.stream))(response.stream, watch)


class _WatchedBody:
    """Stands in for the byte stream under a response: whoever closes or drops the one closes or drops the other.

    It is between the two rather than on the response, so that it needs no reference to the response. One would make a
    cycle, and a weak one is dead when a finalizer of that cycle closes the response.
    """

    def __init__(self, body: Any, watch: Watch) -> None:
        self._body = body
        self._watch = watch
        # anthropic looks for it at every event, and finding nothing costs more than finding None.
        self.stream_observer = getattr(body, "stream_observer", None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    def close(self) -> None:
        try:
            self._watch.closing()
        except Exception as error:
            swallow("closing a response", error)
        try:
            self._body.close()
        finally:
            try:
                self._watch.closed()
            except Exception as error:
                swallow("closing a response", error)

    async def aclose(self) -> None:
        try:
            self._watch.closing()
        except Exception as error:
            swallow("closing a response", error)
        try:
            await self._body.aclose()
        finally:
            try:
                self._watch.closed()
            except Exception as error:
                swallow("closing a response", error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __del__(self) -> None:
        try:
            # Half made, it has neither: what it stands in for stays in its place.
            if (watch := vars(self).get("_watch")) is not None and not watch.is_over:
                finish_later(watch.dropped)
        except Exception as error:
            swallow("noticing a dropped response", error)


@cache
def _watched_body(kind: type) -> type[_WatchedBody]:
    """A `_WatchedBody` that is a sync, an async or either byte stream of the HTTP client's own, as `kind` is."""
    bases = [base for base in kind.__mro__ if base.__name__ in ("SyncByteStream", "AsyncByteStream")]
    return type("WatchedBody", (_WatchedBody, *bases), {})
