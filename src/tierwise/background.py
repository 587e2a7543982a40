"""A bounded queue served by one daemon thread, for work that must never hold up the user's call."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tierwise.firewall import firewall


class Job(NamedTuple):
    """A piece of work and what to call it in a log."""

    name: str
    run: Callable[[], None]


class BackgroundWorker:
    """Runs jobs one after another, in order; a job that finds the queue full is dropped and counted.

    The thread starts with the first job. In a forked child the queue begins empty, with a thread of its own.
    """

    def __init__(self, name: str, *, max_queued: int) -> None:
        self._name = name
        self._max_queued = max_queued
        self._begin()

    def _begin(self) -> None:
        self._process_id = os.getpid()
        self._changed = threading.Condition()
        self._queued: deque[Job] = deque()
        self._running: Job | None = None
        self._running_since_s = 0.0
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Jobs that found the queue full."""

    def submit(self, job: Job) -> bool:
        """Queue `job`; False when it is dropped because too many wait."""
        self._begin_after_fork()
        with self._changed:
            if len(self._queued) >= self._max_queued:
                self.dropped += 1
                return False
            self._queued.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def _begin_after_fork(self) -> None:
        if self._process_id != os.getpid():
            self._begin()

    def running(self) -> tuple[str, float] | None:
        """Name of the job that runs now and the seconds it has run; None when none does."""
        job = self._running
        return None if job is None else (job.name, time.monotonic() - self._running_since_s)

    def drain(self, timeout_s: float) -> bool:
        """Wait until every job submitted so far has run; False when `timeout_s` went by before."""
        self._begin_after_fork()
        with self._changed:
            return self._changed.wait_for(lambda: not self._queued and self._running is None, timeout_s)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queued))
                self._running_since_s = time.monotonic()
                self._running = self._queued.popleft()
            try:
                with firewall(f"running {self._running.name}"):
                    self._running.run()
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()
