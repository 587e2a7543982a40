"""Requests between a socket and the intake, whichever protocol brought them: bounded in memory and in time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import anyio
from anyio import to_thread

from tierwise.errors import TierwiseError
from tierwise.ingest.intake import Intake, Receipt, Unavailable
from tierwise.ingest.wal import Body

MAX_HELD_BYTES: Final = 128 * 1024 * 1024
"""Bytes of requests that are being received or wait for a thread; past it the answer is to come back."""
RECEIVE_S: Final = 30.0
"""How long one request may take to come in whole, so that senders who dawdle do not pile up."""
_ACCEPTING_THREADS: Final = 16


class Reception:
    """Hands requests to the intake. Belongs to one event loop."""

    def __init__(self, intake: Intake, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.intake = intake
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        # Accepting has threads of its own, so that a slow query never delays an acknowledgement.
        self._threads = anyio.CapacityLimiter(_ACCEPTING_THREADS)
        intake.metrics.gauge("tierwise_held_bytes", lambda: self._held_bytes)

    @contextmanager
    def holding(self) -> Generator[Hold]:
        """What one request holds, for as long as the block lasts."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self._held_bytes -= hold.size

    def hold(self, size: int) -> None:
        """Count bytes that came. Raises Unavailable when they are too many."""
        if self._held_bytes + size > self._max_held_bytes:
            raise Unavailable("too many requests are being received")
        self._held_bytes += size

    async def accept(self, body: Body) -> Receipt:
        """Take a request. Raises as `Intake.accept()`."""
        outcome = await to_thread.run_sync(self._outcome, body, limiter=self._threads)
        if isinstance(outcome, TierwiseError):
            raise outcome
        return outcome

    def _outcome(self, body: Body) -> Receipt | TierwiseError:
        try:
            return self.intake.accept(body)
        except TierwiseError as error:
            # What it was raised from would keep the decoded request, which may be large, until cycles are looked for.
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)


class Hold:
    """The bytes that one request holds."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self.size = 0

    def add(self, size: int) -> None:
        """Count bytes that came. Raises Unavailable when all requests together hold too many."""
        self._reception.hold(size)
        self.size += size
