"""Calls whose stream was garbage-collected, finished on a thread of their own.

The collector may run anywhere, also where the interrupted thread holds a lock that ending a span would need. So a
finalizer only puts its work on a queue that is safe to use from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from tierwise.firewall import firewall

_work: SimpleQueue[Callable[[], None]] = SimpleQueue()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def expect_drops() -> None:
    """Make sure the thread runs. Not for finalizers: call it when something is created that may be dropped."""
    global _thread
    if _thread is not None:
        return
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_run, name="tierwise-dropped-streams", daemon=True)
            _thread.start()


def finish_later(finish: Callable[[], None]) -> None:
    """Have `finish` called soon. Safe in a finalizer."""
    _work.put(finish)


def wait_until_finished(timeout_s: float) -> bool:
    """Wait for everything dropped so far; False when that takes longer than `timeout_s`."""
    if _work.empty() and _thread is None:
        return True
    expect_drops()
    reached = threading.Event()
    _work.put(reached.set)
    return reached.wait(timeout_s)


def forget_parent() -> None:
    """In a forked child: what the parent dropped is the parent's to finish."""
    global _work, _lock, _thread
    _work, _lock, _thread = SimpleQueue(), threading.Lock(), None


def _run() -> None:
    work = _work
    while True:
        finish = work.get()
        with firewall("finishing a dropped stream"):
            finish()
        del finish
