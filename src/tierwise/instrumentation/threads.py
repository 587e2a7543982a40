"""A bounded number of short-lived daemon threads, for calls that somebody else may overtake."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import copy_context

from tierwise.firewall import firewall

MAX_THREADS = 64
"""At a time and process, those included that nobody waits for any more."""

_free = threading.BoundedSemaphore(MAX_THREADS)


class Slot:
    """Room for one thread; used once."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Have `work` done on a thread of its own, with this thread's context variables."""
        context = copy_context()

        def run() -> None:
            try:
                with firewall(name):
                    context.run(work)
            finally:
                self._free.release()

        thread = threading.Thread(target=run, name=f"tierwise: {name}", daemon=True)
        try:
            thread.start()
        except BaseException:
            self._free.release()
            raise
        return thread


def take() -> Slot | None:
    """Room for a thread; None when as many as there may be are at work."""
    free = _free
    return Slot(free) if free.acquire(blocking=False) else None


def _begin_in_child() -> None:
    """In a forked child: the threads are the parent's."""
    global _free
    _free = threading.BoundedSemaphore(MAX_THREADS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
