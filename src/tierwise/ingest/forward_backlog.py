"""What one destination has still to get: its own cursor over the write-ahead segments, and what lies beyond it."""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tierwise.ingest.wal import (
    Body,
    DamagedSegment,
    Durable,
    Header,
    begin_segment,
    read_body,
    read_header,
    segment_paths,
)

log = logging.getLogger(__name__)

_NEARLY_FULL_BYTES: Final = 128 * 1024 * 1024
"""With less room on the disk nothing is kept for a destination: the room belongs to what comes in."""
_DISK_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """Records that the caps took from a destination."""

    requests: int
    size: int


class Cursor:
    """The last sequence a destination is done with, in a file of its own.

    It is written in place after each record and not synced, so it survives a kill; a power failure may set it back, and
    then some records go out again.
    """

    def __init__(self, path: Path, *, start: int) -> None:
        """Open the cursor at `path`; one that is not there, or cannot be read, begins at `start`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        found = _parse_cursor(os.pread(self._descriptor, 64, 0))
        self.sequence = start if found is None else found
        self._writable = True
        self.move(self.sequence)

    def move(self, sequence: int) -> None:
        """Everything up to `sequence` is done with."""
        self.sequence = sequence
        number = f"{sequence:020d}".encode()
        try:
            os.pwrite(self._descriptor, b"%s %08x\n" % (number, zlib.crc32(number)), 0)
        except OSError as error:
            if self._writable:
                log.warning("%s cannot be written (%s): after a crash some requests go out again", self._path, error)
            self._writable = False
        else:
            self._writable = True

    def close(self) -> None:
        os.close(self._descriptor)


def _parse_cursor(content: bytes) -> int | None:
    number, _, crc = content.strip().partition(b" ")
    if len(number) == 20 and number.isdigit() and crc == b"%08x" % zlib.crc32(number):
        return int(number)
    return None


class Backlog:
    """The records beyond a destination's cursor, oldest first.

    `extend()` may be called from any thread; all else belongs to the destination's own.
    """

    def __init__(self, folder: Path, cursor: Cursor, *, max_bytes: int, max_age_s: float) -> None:
        """Look through the segments in `folder` for what lies beyond the cursor."""
        self._folder = folder
        self._cursor = cursor
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._segment: tuple[Path, BinaryIO] | None = None
        self._disk_looked_at = 0.0
        self._disk_is_nearly_full = False
        self.changed = threading.Condition()
        self._durable = cursor.sequence
        self._size = 0
        for path in segment_paths(folder):
            for header in _headers(path):
                if header.sequence > cursor.sequence:
                    self._durable = max(self._durable, header.sequence)
                    self._size += header.size

    @property
    def cursor(self) -> int:
        """The last sequence that is done with."""
        return self._cursor.sequence

    @property
    def size_bytes(self) -> int:
        """Bytes of the records beyond the cursor."""
        return self._size

    @property
    def is_too_large(self) -> bool:
        """Whether `drop_past_caps()` would drop something for its size."""
        return self._size > self._max_bytes

    def extend(self, entry: Durable) -> None:
        """A record was made durable; they come in sequence."""
        with self.changed:
            self._durable = entry.sequence
            self._size += entry.record_bytes
            self.changed.notify_all()

    def next_header(self) -> Header | None:
        """The oldest record beyond the cursor, the same until `finish()`; None when there is none."""
        while True:
            durable = self._durable
            if self._cursor.sequence >= durable:
                self._settle(durable)
                return None
            header = None if self._segment is None else read_header(self._segment[1])
            if header is None or header.sequence > durable:
                # What is durable is not here: it stands in a later segment, or a fault of the disk has taken it.
                if not self._open_next():
                    log.error("%s: request %d is durable and not to be found", self._folder, durable)
                    self._settle(durable)
                continue
            assert self._segment is not None
            if header.sequence > self._cursor.sequence:
                self._segment[1].seek(header.end - header.size)
                return header
            self._segment[1].seek(header.end)

    def read(self, header: Header) -> Body | None:
        """The body of the record that `next_header()` gave; None when the disk has damaged its segment from here on."""
        assert self._segment is not None
        path, file = self._segment
        start = header.end - header.size
        file.seek(start + len(header.content))
        try:
            return read_body(file, header)
        except DamagedSegment as damage:
            log.error("%s: %s; what follows it there is not forwarded", path, damage)
            return None
        finally:
            file.seek(start)

    def finish(self, header: Header) -> None:
        """The record that `next_header()` gave is done with."""
        assert self._segment is not None
        self._segment[1].seek(header.end)
        with self.changed:
            self._cursor.move(header.sequence)
            self._size = max(0, self._size - header.size)

    def skip_segment(self) -> None:
        """Go on in the next segment."""
        assert self._segment is not None
        self._segment[1].seek(0, os.SEEK_END)

    def drop_past_caps(self) -> Dropped:
        """Drop the oldest records until what is left is within the caps."""
        requests = size = 0
        while (header := self.next_header()) is not None and self._is_past_caps():
            self.finish(header)
            requests += 1
            size += header.size
        return Dropped(requests, size)

    def _is_past_caps(self) -> bool:
        if self._size > self._max_bytes:
            return True
        assert self._segment is not None
        path, file = self._segment
        if time.time() - os.fstat(file.fileno()).st_mtime > self._max_age_s:
            return True
        return self._disk_has_no_room() and path != segment_paths(self._folder)[-1]

    def _disk_has_no_room(self) -> bool:
        if time.monotonic() - self._disk_looked_at > _DISK_LOOK_S:
            disk = os.statvfs(self._folder)
            self._disk_is_nearly_full = disk.f_bavail * disk.f_frsize < _NEARLY_FULL_BYTES
            self._disk_looked_at = time.monotonic()
        return self._disk_is_nearly_full

    def _open_next(self) -> bool:
        """Open the segment after the one that is open, or the first; False, and nothing changed, when there is none."""
        after = "" if self._segment is None else self._segment[0].name
        paths = [path for path in segment_paths(self._folder) if path.name > after]
        # One whose successor begins at the cursor holds nothing beyond it, and may be deleted under our hands.
        while len(paths) > 1 and int(paths[1].stem) <= self._cursor.sequence + 1:
            del paths[0]
        if not paths:
            return False
        file = paths[0].open("rb")
        try:
            begin_segment(file)
        except DamagedSegment as damage:
            log.error("%s: %s; it is not forwarded", paths[0], damage)
            file.seek(0, os.SEEK_END)
        self.close()
        self._segment = (paths[0], file)
        return True

    def _settle(self, durable: int) -> None:
        """Nothing up to `durable` is left: unless there is more by now, nothing is left at all."""
        with self.changed:
            if self._durable == durable:
                if self._cursor.sequence < durable:
                    self._cursor.move(durable)
                self._size = 0

    def close(self) -> None:
        """Let go of the segment being read."""
        if self._segment is not None:
            self._segment[1].close()
            self._segment = None


def _headers(path: Path) -> list[Header]:
    headers: list[Header] = []
    with path.open("rb") as file:
        try:
            begin_segment(file)
        except DamagedSegment:
            return []
        while (header := read_header(file)) is not None:
            headers.append(header)
            file.seek(header.end)
    return headers
