"""Forwards accepted requests to other OTLP endpoints, each on a thread of its own that nothing else waits for."""

from __future__ import annotations

import hashlib
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tierwise.destinations import Destination
from tierwise.errors import SettingsError, TierwiseError
from tierwise.ingest.forward_backlog import Backlog, Cursor
from tierwise.ingest.forward_content import protobuf_content
from tierwise.ingest.forward_senders import Answer, Sender, open_sender
from tierwise.ingest.metrics import Metrics
from tierwise.ingest.wal import Body, Durable, Header
from tierwise.instrumentation import profiles

log = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.5
"""Before the second attempt; it doubles from there."""
_LONGEST_WAIT_S: Final = 30.0
_LONGEST_RETRY_AFTER_S: Final = 300.0
_FAILURES_ALLOWED: Final = 8
"""How often a destination may break over one request, before that is dropped and blocks the rest no longer."""
_LOOK_AT_AGE_S: Final = 60.0
_QUIET_S: Final = 60.0
"""Between two warnings of one kind about one destination."""
_STOP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a destination last did not take a request."""

    error: str
    time_s: float
    """Seconds since 1970."""


class Forwarder:
    """Sends what is durable to one destination, in sequence: at least once, or dropped and counted."""

    def __init__(
        self,
        destination: Destination,
        folder: Path,
        *,
        start: int,
        metrics: Metrics,
        on_done: Callable[[], None],
        seed: int | None = None,
    ) -> None:
        """Call `start()` to begin.

        Args:
            folder: write-ahead segments; the cursor is kept below it, in `forward`.
            start: the sequence after which a destination that is new begins.
            on_done: called after the cursor has moved.

        Raises: as `open_sender()`.
        """
        self.destination = destination
        self._metrics = metrics
        self._on_done = on_done
        self._random = random.Random(seed)
        self._sender: Sender = open_sender(
            destination, {**profiles.headers(destination.profile), **destination.headers}
        )
        self._cursor = Cursor(cursor_path(folder, destination), start=start)
        self._backlog = Backlog(
            folder, self._cursor, max_bytes=destination.backlog_bytes, max_age_s=destination.backlog_age_s
        )
        self._ready: tuple[int, Body] | None = None
        self._failures = 0
        self._wait_s = _FIRST_WAIT_S
        self._said: dict[str, float] = {}
        self._stopping = False
        self.last_error: LastError | None = None
        self._thread = threading.Thread(target=self._run, name=f"tierwise-forward {destination.endpoint}", daemon=True)

    @property
    def cursor(self) -> int:
        """The last sequence that this destination is done with."""
        return self._backlog.cursor

    @property
    def backlog_bytes(self) -> int:
        """Bytes on disk that it has still to get."""
        return self._backlog.size_bytes

    def start(self) -> None:
        """Begin forwarding."""
        self._thread.start()

    def submit(self, entry: Durable) -> None:
        """A record was made durable; they come in sequence."""
        self._backlog.extend(entry)

    def stop(self) -> None:
        """End, whatever is under way: it goes out after the next start."""
        with self._backlog.changed:
            self._stopping = True
            self._backlog.changed.notify_all()
        self._sender.interrupt()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        if not self._thread.is_alive():
            self._sender.close()
            self._backlog.close()
            self._cursor.close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                wait_s = self._step()
            except Exception as error:  # noqa: BLE001 - without this thread nothing would be forwarded any more
                log.error("forwarding to %s failed and is tried again: %s", self.destination.endpoint, error)
                self._fail(Answer("retry", type(error).__name__))
                wait_s = self._backoff_s(None)
            if wait_s is not None:
                self._rest(wait_s)

    def _rest(self, wait_s: float) -> None:
        backlog = self._backlog
        with backlog.changed:
            backlog.changed.wait_for(lambda: self._stopping or backlog.is_too_large, wait_s)

    def _step(self) -> float | None:
        """Deal with the oldest record; how long to rest before the next attempt, None: not at all."""
        backlog = self._backlog
        dropped = backlog.drop_past_caps()
        if dropped.requests:
            self._count("tierwise_forward_dropped_total", dropped.requests, reason="backlog")
            self._say("backlog", f"{dropped.requests} requests ({dropped.size:,} bytes) were dropped: {self._behind()}")
            self._on_done()
        header = backlog.next_header()
        if header is None:
            with backlog.changed:
                backlog.changed.wait_for(lambda: self._stopping or backlog.size_bytes, _LOOK_AT_AGE_S)
            return None
        body = self._body(header)
        if body is None:
            return None
        if body.signal not in self.destination.signals:
            self._done(header)
            return None
        answer = self._sender.send(body)
        if self._stopping and answer.verdict != "taken":
            return None
        return self._judge(header, body, answer)

    def _behind(self) -> str:
        error = f"; last error: {self.last_error.error}" if self.last_error else ""
        return f"it is too far behind, or the disk is nearly full{error}"

    def _body(self, header: Header) -> Body | None:
        """What to send for a record; None when it is dropped."""
        if self._ready is not None and self._ready[0] == header.sequence:
            return self._ready[1]
        stored = self._backlog.read(header)
        if stored is None:
            self._count("tierwise_forward_dropped_total", reason="damaged")
            self._backlog.skip_segment()
            return None
        if stored.signal in self.destination.signals:
            try:
                stored = protobuf_content(stored, self.destination.profile, encodings=self._sender.encodings)
            except TierwiseError as error:
                self._drop(header, "unreadable", str(error))
                return None
        self._ready = (header.sequence, stored)
        return stored

    def _judge(self, header: Header, body: Body, answer: Answer) -> float | None:
        if answer.verdict == "taken":
            self._count("tierwise_forward_requests_total")
            self._count("tierwise_forward_bytes_total", len(body.content))
            if answer.rejected or answer.detail:
                self._count("tierwise_forward_rejected_total", answer.rejected)
                self._say("partial", f"it left out {answer.rejected} items of a request: {answer.detail}")
            self._wait_s = _FIRST_WAIT_S
            self._done(header)
            return None
        self._fail(answer)
        why = f"{answer.error}: {answer.detail}" if answer.detail else answer.error
        if answer.verdict == "refused":
            self._drop(header, "refused", why)
            return None
        self._failures += answer.verdict == "failed"
        if self._failures >= _FAILURES_ALLOWED:
            self._drop(header, "refused", f"{why}, {self._failures} times")
            return None
        self._count("tierwise_forward_retries_total")
        self._say("retry", f"it does not take requests at present ({why}); they are kept and sent again")
        return self._backoff_s(answer.retry_after_s)

    def _backoff_s(self, retry_after_s: float | None) -> float:
        wait_s = self._wait_s * self._random.uniform(0.5, 1.0)
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        return max(wait_s, min(retry_after_s or 0.0, _LONGEST_RETRY_AFTER_S))

    def _drop(self, header: Header, reason: str, why: str) -> None:
        self._count("tierwise_forward_dropped_total", reason=reason)
        self._say(f"{reason} {why[:8]}", f"a request was dropped: {why}", quiet_s=float("inf"))
        self._done(header)

    def _done(self, header: Header) -> None:
        self._failures = 0
        self._ready = None
        self._backlog.finish(header)
        self._on_done()

    def _fail(self, answer: Answer) -> None:
        self.last_error = LastError(answer.error, time.time())

    def _count(self, name: str, amount: float = 1, **labels: str) -> None:
        self._metrics.add(name, amount, destination=self.destination.endpoint, **labels)

    def _say(self, kind: str, message: str, *, quiet_s: float = _QUIET_S) -> None:
        now = time.monotonic()
        if kind not in self._said or now - self._said[kind] > quiet_s:
            self._said[kind] = now
            log.warning("forwarding to %s: %s", self.destination.endpoint, message)


class Forwards:
    """Every destination of a collector."""

    def __init__(
        self,
        destinations: Sequence[Destination],
        folder: Path,
        *,
        start: int,
        metrics: Metrics,
        on_done: Callable[[], None],
    ) -> None:
        """Open the cursors; call `start()` to begin. Arguments and errors as for `Forwarder`."""
        self._forwarders = [
            Forwarder(destination, folder, start=start, metrics=metrics, on_done=on_done)
            for destination in destinations
        ]
        # A destination that was taken out of the settings and comes back begins anew.
        known = {cursor_path(folder, destination) for destination in destinations}
        for path in (folder / "forward").glob("*.cursor"):
            if path not in known:
                path.unlink()
        if destinations:
            metrics.gauge("tierwise_forward_backlog_bytes", self._backlogs)
            metrics.gauge("tierwise_forward_last_error_timestamp_seconds", self._last_errors)

    def cursor(self, landed: int) -> int:
        """The last sequence that nobody needs any more, of those up to `landed`."""
        return min([landed, *(forwarder.cursor for forwarder in self._forwarders)])

    def last_sequence(self) -> int:
        """The highest sequence that a destination is done with; 0 without destinations."""
        return max((forwarder.cursor for forwarder in self._forwarders), default=0)

    def start(self) -> None:
        """Begin forwarding."""
        for forwarder in self._forwarders:
            forwarder.start()

    def submit(self, entry: Durable) -> None:
        """A record was made durable; they come in sequence."""
        for forwarder in self._forwarders:
            forwarder.submit(entry)

    def stop(self) -> None:
        """End, whatever is under way: it goes out after the next start."""
        for forwarder in self._forwarders:
            forwarder.stop()

    def _backlogs(self) -> dict[str, float]:
        return {
            f'destination="{forwarder.destination.endpoint}"': forwarder.backlog_bytes for forwarder in self._forwarders
        }

    def _last_errors(self) -> dict[str, float]:
        return {
            f'destination="{forwarder.destination.endpoint}",error="{last.error}"': last.time_s
            for forwarder in self._forwarders
            if (last := forwarder.last_error) is not None
        }


def cursor_path(folder: Path, destination: Destination) -> Path:
    """The file that says how far a destination is."""
    digest = hashlib.blake2b(destination.endpoint.encode(), digest_size=8).hexdigest()
    return folder / "forward" / f"{digest}.cursor"


def require_not_self(destinations: Sequence[Destination], ports: Collection[int]) -> None:
    """Refuse a destination that is this collector, which would send itself what it gets for ever.

    Args:
        ports: those that the collector listens on.

    Raises:
        SettingsError: a destination has one of the ports at an address of this machine.
    """
    for destination in destinations:
        parts = urlsplit(destination.endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if port in ports and _is_here(parts.hostname or ""):
            raise SettingsError(f"forward: {destination.endpoint} is this collector itself: name another endpoint")


def _is_here(host: str) -> bool:
    """Whether a name leads to this machine: only addresses of its own can be bound."""
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, *_, address in addresses:
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((address[0], 0))
            except OSError:
                continue
            return True
    return False
