"""The landing thread: takes what is durable, in sequence, and puts it into the store in a few large transactions."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import duckdb

from tierwise.errors import StoreError
from tierwise.ingest.arrivals import Arrivals, read_arrivals
from tierwise.ingest.metrics import Metrics
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.wal import Durable, sync_folder
from tierwise.store.duckdb import DuckDBStore

log = logging.getLogger(__name__)

_LINGER_S: Final = 0.1
"""How long the first body of a transaction waits for others; part of the time until it can be queried."""
_MAX_TRANSACTION_BYTES: Final = 16 * 1024 * 1024
_IDLE_BEFORE_CHECKPOINT_S: Final = 5.0
_MOST_BETWEEN_ROLL_UPS_S: Final = 600.0
"""After which days are added up without an idle moment."""
_RETRY_S: Final = (0.2, 1.0, 5.0)

_NOT_THE_PAYLOADS_FAULT: Final = (
    duckdb.ConnectionException,
    duckdb.FatalException,
    duckdb.InterruptException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
)
"""The disk or the engine is at its end: trying again may help, setting a payload aside would lose it."""


class Lander:
    """Lands bodies on a thread of its own; nothing it does is waited for by an acknowledgement."""

    def __init__(
        self,
        store: DuckDBStore,
        *,
        dead_letters: Path,
        metrics: Metrics,
        on_landed: Callable[[int, int], None],
    ) -> None:
        """Call `start()` to begin.

        Args:
            dead_letters: folder for bodies that cannot be landed, each with the reason beside it.
            on_landed: called with the last sequence in the store and the bytes (decompressed) it took.
        """
        self._store = store
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._on_landed = on_landed
        self._waiting: deque[Durable] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._uncheckpointed_bytes = 0
        self._may_roll_up = True
        self._roll_up_at = time.monotonic() + _MOST_BETWEEN_ROLL_UPS_S
        self._landed_sequence = self._submitted_sequence = store.landed_sequence()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="tierwise-lander", daemon=True)

    @property
    def trouble(self) -> str | None:
        """Why nothing lands at present; None while all is well."""
        return self._trouble

    def start(self) -> None:
        """Begin landing."""
        self._thread.start()

    def submit(self, entry: Durable) -> None:
        """Land a body; entries come in sequence."""
        with self._changed:
            self._waiting.append(entry)
            self._waiting_bytes += entry.payload.size
            self._submitted_sequence = entry.sequence
            self._changed.notify_all()

    def wait_until_landed(self, timeout_s: float) -> bool:
        """Wait until everything submitted so far is in the store; False when that takes longer."""
        with self._changed:
            submitted = self._submitted_sequence
            return self._changed.wait_for(lambda: self._landed_sequence >= submitted, timeout_s)

    def stop(self) -> None:
        """Land what was submitted, as far as the store allows, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def land(self, entries: Sequence[Durable]) -> None:
        """Land entries in this thread, once; for replay, before `start()`.

        Raises:
            StoreError: the disk or the engine is at its end.
        """
        entries = [entry for entry in entries if entry.sequence > self._landed_sequence]
        if not entries:
            return
        arrivals = Arrivals()
        for entry in entries:
            # After a crash that a body provoked, its letter is all there is of it: it must not provoke another.
            if self._letter(entry).exists():
                continue
            try:
                arrivals.extend(read_arrivals(entry.payload))
            except Exception as error:  # noqa: BLE001 - whatever one body provokes must not stop the others
                self._set_aside(entry, error)
        started = time.perf_counter()
        try:
            landed = self._store.land(
                calls=arrivals.calls,
                spans=arrivals.spans,
                evaluations=arrivals.evaluations,
                sequence=entries[-1].sequence,
            )
        except (MemoryError, OSError):
            raise
        except Exception as error:
            if isinstance(error, StoreError) and isinstance(error.__cause__, _NOT_THE_PAYLOADS_FAULT):
                raise
            self._land_one_by_one(entries, error)
            return
        for name, amount in (
            ("tierwise_landings_total", 1),
            ("tierwise_landing_seconds_total", time.perf_counter() - started),
            ("tierwise_calls_landed_total", landed.calls),
            ("tierwise_calls_repeated_total", landed.repeated_calls),
            ("tierwise_calls_merged_total", landed.merged_calls),
            ("tierwise_spans_landed_total", landed.spans),
            ("tierwise_evaluations_landed_total", landed.evaluations),
            ("tierwise_spans_unreadable_total", arrivals.unreadable_spans),
        ):
            self._metrics.add(name, amount)
        size = sum(entry.payload.size for entry in entries)
        self._uncheckpointed_bytes += size
        self._may_roll_up = True
        self._finish(entries[-1].sequence, size)

    def _finish(self, sequence: int, size: int) -> None:
        self._landed_sequence = sequence
        self._on_landed(sequence, size)

    def _land_one_by_one(self, entries: Sequence[Durable], error: Exception) -> None:
        """One of the entries cannot be landed: find it, set it aside, land the rest."""
        if len(entries) > 1:
            for entry in entries:
                self.land([entry])
            return
        (entry,) = entries
        self._set_aside(entry, error)
        self._store.land(sequence=entry.sequence)
        self._finish(entry.sequence, entry.payload.size)

    def _set_aside(self, entry: Durable, error: Exception) -> None:
        log.error(
            "request %d cannot be landed and is set aside in %s", entry.sequence, self._dead_letters, exc_info=error
        )
        self._dead_letters.mkdir(parents=True, exist_ok=True)
        letter = self._letter(entry)
        with letter.open("wb") as file:
            file.write(entry.body.content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._dead_letters)
        reason = letter.with_name(f"{letter.name}.reason.txt")
        reason.write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")
        self._metrics.add("tierwise_dead_letters_total")

    def last_letter(self) -> int:
        """The highest sequence that was ever set aside; 0 when none was."""
        return max((int(path.name[:20]) for path in self._dead_letters.glob("[0-9]*")), default=0)

    def _letter(self, entry: Durable) -> Path:
        body = entry.body
        suffix = f"{body.signal}.{'pb' if body.kind == PROTOBUF else 'json'}"
        return self._dead_letters / f"{entry.sequence:020d}.{suffix}{f'.{body.encoding}' if body.encoding else ''}"

    def _run(self) -> None:
        while True:
            entries = self._next_entries()
            if entries is None:
                break
            if not entries:
                self._checkpoint()
            elif not self._land_with_patience(entries):
                break
            if (self._may_roll_up and not entries) or time.monotonic() >= self._roll_up_at:
                self._roll_up()

    def _next_entries(self) -> list[Durable] | None:
        """The entries of the next transaction; empty after an idle while, None when stopping and nothing is left."""
        with self._changed:
            # Whoever waits for what has landed meanwhile.
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._waiting or self._stopping, _IDLE_BEFORE_CHECKPOINT_S):
                return []
            if not self._waiting:
                return None
            self._changed.wait_for(lambda: self._stopping or self._waiting_bytes >= _MAX_TRANSACTION_BYTES, _LINGER_S)
            entries: list[Durable] = []
            size = 0
            while self._waiting and size < _MAX_TRANSACTION_BYTES:
                entries.append(self._waiting.popleft())
                size += entries[-1].payload.size
            self._waiting_bytes -= size
            return entries

    def _land_with_patience(self, entries: Sequence[Durable]) -> bool:
        """Land entries, however long the store is unable to; False when stopping before it is able again."""
        attempt = 0
        while True:
            try:
                self.land(entries)
            except Exception as error:  # noqa: BLE001 - without this thread nothing would land any more
                self._metrics.add("tierwise_landing_failures_total")
                log.error("landing failed, nothing is lost and it is tried again: %s", error)
                self._trouble = str(error) or type(error).__name__
            else:
                self._trouble = None
                return True
            with self._changed:
                if self._stopping:
                    return False
                self._changed.wait_for(lambda: self._stopping, _RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1

    def _roll_up(self) -> None:
        """Add up the days that have ended, until something waits to be landed."""
        try:
            self._may_roll_up = True
            while self._may_roll_up and not self._waiting and not self._stopping:
                self._may_roll_up = self._store.roll_up() > 0
        except StoreError as error:
            log.warning("days could not be added up, queries read the calls instead: %s", error)
        self._roll_up_at = time.monotonic() + _MOST_BETWEEN_ROLL_UPS_S

    def _checkpoint(self) -> None:
        if not self._uncheckpointed_bytes:
            return
        try:
            self._store.checkpoint()
        except StoreError as error:
            # A reader is in the way; the next idle moment will do.
            log.debug("no checkpoint now: %s", error)
        else:
            self._uncheckpointed_bytes = 0
