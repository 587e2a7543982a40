"""The write-ahead log: request bodies on disk before they are acknowledged, many to one `fdatasync`.

A segment file is a magic line and records, each a header (length, CRC, sequence, what the body is) and the body as it
came. A segment is deleted once nobody needs its last sequence any more: the store has landed it, and every destination
has it. The rest is replayed at the next start. A record cut short by a crash was never acknowledged, so reading stops
there.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tierwise.errors import TierwiseError
from tierwise.ingest.otlp import JSON, PROTOBUF, MediaType, Payload, Signal

log = logging.getLogger(__name__)

_MAGIC: Final = b"tierwise-wal-1\n"
_HEADER: Final = struct.Struct("<IIQBBBx")
"""Body length, CRC-32 of the rest of the header and the body, sequence, signal, media type, encoding."""
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
_KINDS: Final[tuple[MediaType, ...]] = (PROTOBUF, JSON)
_ENCODINGS: Final = ("", "gzip", "deflate", "zstd")
"""By the number in a record: only ever longer."""

SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""A segment is closed when it has grown past this."""
SEGMENT_S: Final = 600.0
"""So is one that was opened this long ago, so that what it holds is about as old as its last change."""
_PROBE_BYTES: Final = 64 * 1024
"""Room for some batches: less would say that all is well just before the next one fails."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body as it came."""

    signal: Signal
    kind: MediaType
    encoding: str
    """gzip, deflate, zstd or empty."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Durable:
    """A request body that is on disk, and what it decodes to."""

    sequence: int
    body: Body
    payload: Payload

    @property
    def record_bytes(self) -> int:
        """What it takes on disk."""
        return _HEADER.size + len(self.body.content)


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A segment that nothing is appended to any more, and that somebody still needs."""

    path: Path
    size: int
    last_sequence: int


@dataclass(slots=True)
class _Segment:
    path: Path
    descriptor: int
    opened_at: float
    """By the monotonic clock."""
    size: int
    last_sequence: int


class WriteAheadLog:
    """Appends bodies, and hands each on once it is durable, in sequence."""

    def __init__(
        self,
        folder: Path,
        *,
        next_sequence: int,
        on_durable: Callable[[Durable], None],
        kept: Iterable[ClosedSegment] = (),
        segment_bytes: int = SEGMENT_BYTES,
        segment_s: float = SEGMENT_S,
    ) -> None:
        """Open the log in `folder` for appending; what is there must have been read, and removed unless it is `kept`.

        Args:
            next_sequence: above every sequence ever given out.
            on_durable: called on the log's thread, in sequence, before the caller of `append()` learns of it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._next_sequence = next_sequence
        self._on_durable = on_durable
        self._segment_bytes = segment_bytes
        self._segment_s = segment_s
        self._segment: _Segment | None = None
        self._closed: list[ClosedSegment] = list(kept)
        self._pending: list[tuple[Body, Payload, Future[int]]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._trouble: str | None = None
        self._released = 0
        self._thread = threading.Thread(target=self._run, name="tierwise-wal", daemon=True)
        self._thread.start()

    @property
    def size_bytes(self) -> int:
        """Bytes on disk that somebody still needs, or whose segment is still in use."""
        with self._changed:
            current = self._segment.size if self._segment is not None else 0
            return current + sum(segment.size for segment in self._closed)

    def trouble(self) -> str | None:
        """Why the log cannot be written; None when it can be.

        After a failure it is tried with a file beside the log, because whoever asks may send nothing until it can be.
        """
        try:
            disk = os.statvfs(self._folder)
            if disk.f_bavail * disk.f_frsize < _PROBE_BYTES:
                return "the disk of the write-ahead log is full"
            if self._trouble is not None:
                self._probe()
                self._trouble = None
        except OSError as error:
            self._trouble = _not_written(error)
        return self._trouble

    def _probe(self) -> None:
        path = self._folder / "probe"
        try:
            with path.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
                _sync(file.fileno())
        finally:
            path.unlink(missing_ok=True)

    def append(self, body: Body, payload: Payload) -> Future[int]:
        """A future of the body's sequence: done when the body is durable, OSError when it cannot be."""
        future: Future[int] = Future()
        with self._changed:
            if self._stopping:
                future.set_exception(OSError("the write-ahead log is closed"))
                return future
            self._pending.append((body, payload, future))
            self._changed.notify()
        return future

    def release(self, sequence: int) -> None:
        """Nobody needs anything up to `sequence`: segments that hold nothing later are deleted."""
        with self._changed:
            self._released = max(self._released, sequence)
            done = [segment for segment in self._closed if segment.last_sequence <= sequence]
            self._closed = [segment for segment in self._closed if segment.last_sequence > sequence]
        for segment in done:
            segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what is pending and stop. Segments that hold what is needed longer go with `release()`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._stopping:
                    self._changed.wait()
                group, self._pending = self._pending, []
                if not group:
                    break
            self._write(group)
        self._roll()

    def _write(self, group: list[tuple[Body, Payload, Future[int]]]) -> None:
        durable: list[tuple[Durable, Future[int]]] = []
        parts: list[bytes] = []
        for body, payload, future in group:
            entry = Durable(self._next_sequence, body, payload)
            # A sequence is never given twice, not even after a failure: its bytes may be on disk all the same.
            self._next_sequence += 1
            durable.append((entry, future))
            parts += encode(entry.sequence, body)
        try:
            self._write_durably(b"".join(parts), durable[0][0].sequence, durable[-1][0].sequence)
        except (MemoryError, OSError) as error:
            log.error("%s", _not_written(error))
            self._trouble = _not_written(error)
            self._abandon_tail()
            for _, future in durable:
                future.set_exception(OSError(*error.args))
            return
        self._trouble = None
        for entry, future in durable:
            self._on_durable(entry)
            future.set_result(entry.sequence)
        segment = self._segment
        if segment is not None and (
            segment.size >= self._segment_bytes or time.monotonic() - segment.opened_at >= self._segment_s
        ):
            self._roll()

    def _write_durably(self, content: bytes, first_sequence: int, last_sequence: int) -> None:
        segment = self._segment or self._open_segment(first_sequence)
        view = memoryview(content)
        while view:
            view = view[os.write(segment.descriptor, view) :]
        _sync(segment.descriptor)
        with self._changed:
            segment.size += len(content)
            segment.last_sequence = last_sequence

    def _open_segment(self, first_sequence: int) -> _Segment:
        path = self._folder / f"{first_sequence:020d}.segment"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        segment = _Segment(path, descriptor, time.monotonic(), len(_MAGIC), 0)
        with self._changed:
            self._segment = segment
        os.write(descriptor, _MAGIC)
        sync_folder(self._folder)
        return segment

    def _abandon_tail(self) -> None:
        """After a failed write the file's end is unknown: cut it, and go on in a new segment."""
        segment = self._segment
        if segment is None:
            return
        try:
            os.ftruncate(segment.descriptor, segment.size)
        except OSError as error:
            log.warning("%s may end in a torn record: %s", segment.path, error)
        self._roll()

    def _roll(self) -> None:
        with self._changed:
            segment, self._segment = self._segment, None
            if segment is None:
                return
            self._closed.append(ClosedSegment(segment.path, segment.size, segment.last_sequence))
            released = self._released
        os.close(segment.descriptor)
        if segment.last_sequence <= released:
            self.release(released)


def encode(sequence: int, body: Body) -> list[bytes]:
    """A record of the log: header and body."""
    header = _HEADER.pack(
        len(body.content),
        0,
        sequence,
        _SIGNALS.index(body.signal),
        _KINDS.index(body.kind),
        _ENCODINGS.index(body.encoding),
    )
    crc = zlib.crc32(body.content, zlib.crc32(header))
    return [header[:4], crc.to_bytes(4, "little"), header[8:], body.content]


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """What a segment file holds."""

    bodies: tuple[tuple[int, Body], ...]
    """In sequence."""
    damaged: bool
    """A record that is wholly there does not match its CRC; what follows it is out of reach. A record cut short by the
    end of the file is no damage."""


def segment_paths(folder: Path) -> list[Path]:
    """The segments in `folder`, oldest first."""
    return sorted(folder.glob("*.segment"))


def read_segment(path: Path) -> SegmentContent:
    """The records of one segment."""
    bodies: list[tuple[int, Body]] = []
    with path.open("rb") as file:
        try:
            begin_segment(file)
            while (header := read_header(file)) is not None:
                bodies.append((header.sequence, read_body(file, header)))
        except DamagedSegment:
            return SegmentContent(tuple(bodies), damaged=True)
    return SegmentContent(tuple(bodies), damaged=False)


class DamagedSegment(TierwiseError):
    """What a segment holds from here on is not what was written."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a body in a segment."""

    sequence: int
    size: int
    """Bytes of the record, this header included."""
    end: int
    """Where in the file the record ends."""
    content: bytes


def begin_segment(file: BinaryIO) -> None:
    """Go to the first record. Raises DamagedSegment when the file is no segment."""
    magic = file.read(len(_MAGIC))
    if not _MAGIC.startswith(magic):
        raise DamagedSegment("this is no write-ahead segment")


def read_header(file: BinaryIO) -> Header | None:
    """The header of the record that `file` is at; None, and the file where it was, without a whole record."""
    start = file.tell()
    content = file.read(_HEADER.size)
    if len(content) == _HEADER.size:
        size = _HEADER.size + int.from_bytes(content[:4], "little")
        if start + size <= os.fstat(file.fileno()).st_size:
            return Header(int.from_bytes(content[8:16], "little"), size, start + size, content)
    file.seek(start)
    return None


def read_body(file: BinaryIO, header: Header) -> Body:
    """The body after a header. Raises DamagedSegment when it does not match its CRC."""
    content = file.read(header.size - _HEADER.size)
    _, crc, _, signal, kind, encoding = _HEADER.unpack(header.content)
    bare_header = header.content[:4] + bytes(4) + header.content[8:]
    if zlib.crc32(content, zlib.crc32(bare_header)) != crc:
        raise DamagedSegment(f"record {header.sequence} does not match its checksum")
    return Body(_SIGNALS[signal], _KINDS[kind], _ENCODINGS[encoding], content)


def _not_written(error: Exception) -> str:
    return f"the write-ahead log cannot be written: {(isinstance(error, OSError) and error.strerror) or error}"


def _sync(descriptor: int) -> None:
    # Not every system has fdatasync, which leaves out what does not matter here, such as the time of change.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as its files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
