"""Raw responses: the answer of `with_raw_response` and `with_streaming_response`, read along as bytes.

The user may parse, iterate, or never look; nothing is read that they do not read.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Any, Protocol

from tierwise.firewall import firewall, swallow
from tierwise.instrumentation.dropped import finish_later
from tierwise.instrumentation.observation import Observation
from tierwise.instrumentation.sdk import Reply, as_object
from tierwise.instrumentation.streams import StreamWatch, reads_along, watch_close

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""A longer JSON answer is passed on all the same, and its usage estimated."""


def read_document(observation: Observation, body: bytes) -> Reply:
    """The answer in a body that has arrived whole; incomplete when it is broken."""
    try:
        document = observation.surface.decode(body)
    except ValueError:
        return Reply(complete=False)
    return observation.surface.read(document, observation.keeps_text)


def read_events(observation: Observation, body: bytes) -> Reply:
    """The answer that the events of a stream, which has arrived whole, amount to; incomplete when it broke off."""
    surface = observation.surface
    if surface.accumulator is None:
        return Reply(complete=False)
    accumulator = surface.accumulator(observation.keeps_text)
    for line in body.split(b"\n"):
        if (event := _event(line)) is not None:
            accumulator.add(event)
    return accumulator.reply()


def _event(line: bytes) -> Any:
    """The event in one line of a stream; None for any other line."""
    if not line.startswith(b"data:"):
        return None
    data = line[5:].strip()
    if not data or data == b"[DONE]":
        return None
    try:
        return as_object(data)
    except ValueError:
        # A broken event is the SDK's to report, or the user's: it has reached them as it came.
        return None


class Progress(Protocol):
    """How far the SDK is with a body."""

    reading: bool
    """Whether its HTTP client is at work on the next piece."""


class BodyReader(Protocol):
    """Reads along."""

    @property
    def progress(self) -> Progress:
        """Where it is noted how far the SDK is."""
        ...

    def feed(self, piece: bytes) -> None:
        """Some more of the decoded body."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """The body is exhausted or broken."""
        ...

    @property
    def is_over(self) -> bool: ...

    def closing(self) -> None: ...

    def closed(self) -> None: ...

    def dropped(self) -> None: ...


class EventReader:
    """Server-sent events, each fed to the same accumulator as the SDK's own chunks."""

    __slots__ = ("_rest", "_watch", "progress")

    def __init__(self, watch: StreamWatch) -> None:
        self._watch = self.progress = watch
        self._rest = b""

    @property
    def is_over(self) -> bool:
        return self._watch.is_over

    def feed(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if (event := _event(line)) is not None:
                self._watch.add(event)

    def end(self, error: BaseException | None = None) -> None:
        self._watch.end(error)

    def closing(self) -> None:
        self._watch.closing()

    def closed(self) -> None:
        self._watch.closed()

    def dropped(self) -> None:
        self._watch.dropped()


class DocumentReader:
    """One JSON document, kept until it is complete."""

    __slots__ = ("_observation", "_pieces", "_size", "reading")

    @property
    def progress(self) -> Progress:
        return self

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._pieces: list[bytes] = []
        self._size = 0
        self.reading = False

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MAX_KEPT_BYTES:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def end(self, error: BaseException | None = None) -> None:
        reply = Reply(complete=False)
        if error is None and self._pieces:
            with firewall("reading a raw response"):
                reply = read_document(self._observation, b"".join(self._pieces))
        self._pieces.clear()
        self._observation.finish(reply, error)

    @property
    def is_over(self) -> bool:
        return self._observation.is_finished

    def closing(self) -> None:
        """Nothing to note: a document that was not read whole is incomplete, whoever closes it."""

    def closed(self) -> None:
        if self.is_over:
            return
        if isinstance(sys.exception(), GeneratorExit):
            finish_later(self.dropped)
        elif not self.reading:
            self._observation.finish(Reply(complete=False))

    def dropped(self) -> None:
        self._observation.finish(Reply(complete=False), dropped=True)


def watch_body(response: Any, reader: BodyReader, *, is_async: bool) -> None:
    """Follow an HTTP response until it is read, closed or dropped."""
    read_along(response, reader, is_async=is_async)
    watch_close(response, reader)


def read_along(response: Any, reader: BodyReader, *, is_async: bool) -> None:
    """Have `reader` see the body when it is read, in whichever way: all of them come to `iter_bytes`.

    Where a watched stream of the SDK reads, that sees the chunks itself; but helpers of older SDKs, and users, may go
    round it to the response.
    """
    # Taken here: where the SDK reads, nothing of ours may be called that could raise.
    weak_response, progress = weakref.ref(response), reader.progress
    if is_async:
        aiter_bytes = type(response).aiter_bytes

        def aiter_along(chunk_size: int | None = None) -> AsyncGenerator[bytes]:
            inner = aiter_bytes(weak_response(), chunk_size)
            return inner if progress.reading else _async_pieces(inner, reader, progress)

        response.aiter_bytes = aiter_along
    else:
        iter_bytes = type(response).iter_bytes

        def iter_along(chunk_size: int | None = None) -> Generator[bytes]:
            inner = iter_bytes(weak_response(), chunk_size)
            return inner if progress.reading else _pieces(inner, reader, progress)

        response.iter_bytes = iter_along


@reads_along
def _pieces(inner: Generator[bytes], reader: BodyReader, progress: Progress) -> Generator[bytes]:
    with closing(inner):
        while True:
            progress.reading = True
            try:
                piece = next(inner, None)
            except BaseException as error:
                progress.reading = False
                try:
                    reader.end(error)
                except Exception as own_error:
                    swallow("finishing a raw response", own_error)
                raise
            progress.reading = False
            try:
                if piece is None:
                    reader.end()
                else:
                    reader.feed(piece)
            except Exception as own_error:
                swallow("reading a raw response", own_error)
            if piece is None:
                return
            yield piece


@reads_along
async def _async_pieces(inner: AsyncGenerator[bytes], reader: BodyReader, progress: Progress) -> AsyncGenerator[bytes]:
    async with aclosing(inner):
        while True:
            progress.reading = True
            try:
                piece = await anext(inner, None)
            except BaseException as error:
                progress.reading = False
                try:
                    reader.end(error)
                except Exception as own_error:
                    swallow("finishing a raw response", own_error)
                raise
            progress.reading = False
            try:
                if piece is None:
                    reader.end()
                else:
                    reader.feed(piece)
            except Exception as own_error:
                swallow("reading a raw response", own_error)
            if piece is None:
                return
            yield piece
