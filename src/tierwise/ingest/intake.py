"""Accepts OTLP requests: checks them, makes them durable, acknowledges them, and has them landed in the store."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tierwise.destinations import Destination
from tierwise.errors import TierwiseError
from tierwise.ingest import limits, otlp
from tierwise.ingest.forward import Forwards
from tierwise.ingest.lander import Lander
from tierwise.ingest.metrics import Metrics
from tierwise.ingest.wal import Body, ClosedSegment, Durable, WriteAheadLog, read_segment, segment_paths
from tierwise.store.duckdb import DuckDBStore

log = logging.getLogger(__name__)

MAX_BACKLOG_BYTES: Final = 64 * 1024 * 1024
"""Decompressed bytes that may wait to be landed; past it the answer is 503 until some are."""
_REMEMBERED_BODIES: Final = 65_536
_LARGE_REQUESTS: Final = 8
"""How many of the large may wait to be decoded, which happens to one after the other."""
_REPLAY_BYTES: Final = 16 * 1024 * 1024


class Unavailable(TierwiseError):
    """The request cannot be taken now; sending it again in a second may work."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender of an acknowledged request is told."""

    refusals: tuple[str, ...]
    """Why each span that was left out was."""


class Intake:
    """The way from request bodies to the store. Methods may be called from any thread."""

    def __init__(
        self,
        store: DuckDBStore,
        folder: Path,
        *,
        metrics: Metrics | None = None,
        max_backlog_bytes: int = MAX_BACKLOG_BYTES,
        destinations: Sequence[Destination] = (),
    ) -> None:
        """Replay what a crash left in `folder`, and begin to land and to forward.

        Args:
            folder: write-ahead segments and, below it, `dead-letters`, `damaged` and `forward`.
            destinations: where everything that is acknowledged goes as well.
        """
        self.metrics = metrics or Metrics()
        self._folder = folder
        self._max_backlog_bytes = max_backlog_bytes
        self._backlog_bytes = 0
        self._landed = 0
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, Future[int]] = OrderedDict()
        self._stopping = False
        self._draining = False
        self._large_places = threading.BoundedSemaphore(_LARGE_REQUESTS)
        self._decoding_large = threading.Lock()
        self._wal: WriteAheadLog | None = None
        self._lander = Lander(
            store, dead_letters=folder / "dead-letters", metrics=self.metrics, on_landed=self._on_landed
        )
        landed = store.landed_sequence()
        self._forwards = Forwards(
            destinations, folder, start=landed, metrics=self.metrics, on_done=self._release_segments
        )
        last_sequence, kept = self._replay(landed)
        self._landed = last_sequence
        self._wal = WriteAheadLog(folder, next_sequence=last_sequence + 1, on_durable=self._on_durable, kept=kept)
        self._lander.start()
        self._forwards.start()
        self.metrics.gauge("tierwise_backlog_bytes", lambda: self._backlog_bytes)
        self.metrics.gauge("tierwise_wal_bytes", lambda: self._log.size_bytes)
        self.metrics.gauge("tierwise_ready", lambda: self.trouble is None)

    @property
    def trouble(self) -> str | None:
        """Why requests are not taken, or not landed, at present; None while all is well."""
        if self._stopping or self._draining:
            return "stopping"
        return self._log.trouble() or self._lander.trouble

    @property
    def _log(self) -> WriteAheadLog:
        assert self._wal is not None
        return self._wal

    def accept(self, body: Body) -> Receipt:
        """Take a request: returns once it is durable.

        The same bytes taken twice are stored once.

        Raises:
            MalformedPayload, UnsupportedPayload, PayloadTooLarge: the sender's fault; sending it again is no use.
            Unavailable: the backlog or the disk is full, too many large requests wait, or the collector is stopping.
        """
        started = time.perf_counter()
        # Before the work of reading it: a collector that is behind has none to spare.
        self._require_room(0)
        payload = self._read(body)
        digest = hashlib.blake2b(body.content, digest_size=16, person=body.signal.encode()).digest()
        with self._lock:
            durable = self._seen.get(digest)
            if durable is None:
                self._require_room(payload.size)
                self._backlog_bytes += payload.size
                durable = self._seen[digest] = self._log.append(body, payload)
                while len(self._seen) > _REMEMBERED_BODIES:
                    self._seen.popitem(last=False)
                repeated = False
            else:
                self._seen.move_to_end(digest)
                repeated = True
        try:
            durable.result()
        except OSError as error:
            with self._lock:
                if not repeated:
                    self._backlog_bytes -= payload.size
                    self._seen.pop(digest, None)
            raise Unavailable(f"the write-ahead log cannot be written: {error.strerror or error}") from error
        self._count(payload, repeated=repeated, seconds=time.perf_counter() - started)
        return Receipt(payload.refusals)

    def _read(self, body: Body) -> otlp.Payload:
        """The payload; large ones are decoded one at a time, so that many at once take no more memory than one."""
        read = partial(otlp.read, body.signal, body.content, kind=body.kind, encoding=body.encoding)
        try:
            return read(bounds=limits.SMALL)
        except limits.PayloadTooLarge:
            pass
        if not self._large_places.acquire(blocking=False):
            raise Unavailable("too many large requests wait to be read")
        try:
            with self._decoding_large:
                return read(bounds=limits.WHOLE)
        finally:
            self._large_places.release()

    def _require_room(self, size: int) -> None:
        if self._stopping:
            raise Unavailable("the collector is stopping")
        if self._backlog_bytes and self._backlog_bytes + size > self._max_backlog_bytes:
            raise Unavailable("too much waits to be landed")

    def _count(self, payload: otlp.Payload, *, repeated: bool, seconds: float) -> None:
        if repeated:
            self.metrics.add("tierwise_requests_repeated_total")
        else:
            self.metrics.add("tierwise_spans_received_total", payload.spans_offered)
            self.metrics.add("tierwise_spans_refused_total", len(payload.refusals))
        self.metrics.acknowledged(seconds)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything acknowledged so far can be queried; False when that takes longer."""
        return self._lander.wait_until_landed(timeout_s)

    def drain(self) -> None:
        """Be in trouble from now on, so that nobody new is sent here; what still comes is taken until `stop()`."""
        self._draining = True

    def stop(self) -> None:
        """Take nothing more, land what was acknowledged, and leave the folder tidy. Stopping twice is fine."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        self._log.close()
        self._lander.stop()
        self._forwards.stop()

    def _on_durable(self, entry: Durable) -> None:
        self._lander.submit(entry)
        self._forwards.submit(entry)

    def _on_landed(self, sequence: int, size: int) -> None:
        with self._lock:
            self._backlog_bytes = max(0, self._backlog_bytes - size)
            self._landed = sequence
        self._release_segments()

    def _release_segments(self) -> None:
        if self._wal is not None:
            self._wal.release(self._forwards.cursor(self._landed))

    def _replay(self, landed: int) -> tuple[int, list[ClosedSegment]]:
        """Land what segments hold beyond `landed`, and remove those that no destination needs.

        Returns: the last sequence ever given out, and the segments that are left.
        """
        # A sequence that a letter or a cursor has must not be given out again, even where the file it was meant for is
        # another by now.
        last_sequence = max(landed, self._lander.last_letter(), self._forwards.last_sequence())
        kept: list[ClosedSegment] = []
        replayed = 0
        for path in segment_paths(self._folder):
            segment = read_segment(path)
            last_sequence = max([last_sequence, *(sequence for sequence, _ in segment.bodies)])
            # A destination may have kept segments that landed long ago: reading them again would be in vain.
            waiting = [(sequence, body) for sequence, body in segment.bodies if sequence > landed]
            readable = [entry for sequence, body in waiting if (entry := _read_again(sequence, body)) is not None]
            for entries in _transactions(readable):
                self._lander.land(entries)
            replayed += len(readable)
            if segment.damaged or len(readable) < len(waiting):
                self._keep_damaged(path)
            last_of_segment = max((sequence for sequence, _ in segment.bodies), default=0)
            if last_of_segment > self._forwards.cursor(last_of_segment):
                kept.append(ClosedSegment(path, path.stat().st_size, last_of_segment))
            else:
                path.unlink()
        if replayed:
            log.info("looked through %d requests that were acknowledged before the last stop", replayed)
        return last_sequence, kept

    def _keep_damaged(self, path: Path) -> None:
        copy = self._folder / "damaged" / path.name
        copy.parent.mkdir(exist_ok=True)
        # It is there already where a destination has needed the segment since an earlier start.
        if not copy.exists():
            os.link(path, copy)
            log.error("a write-ahead segment is damaged; what could be read is stored, the rest is in %s", copy)


def _read_again(sequence: int, body: Body) -> Durable | None:
    try:
        payload = otlp.read(body.signal, body.content, kind=body.kind, encoding=body.encoding)
    except TierwiseError as error:
        log.error("request %d was acknowledged and cannot be read any more: %s", sequence, error)
        return None
    return Durable(sequence, body, payload)


def _transactions(entries: Sequence[Durable]) -> Iterator[list[Durable]]:
    group: list[Durable] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += entry.payload.size
        if size >= _REPLAY_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
