"""Completing calls in batches, on a thread of ours, where nobody can tell.

What is left to do for a call once its answer is read (its price, its attributes, the end of its span) takes several
times longer between two pieces of the app's own work than right after the same work for another call. So it waits a
moment for company, out of the way of the caller, but only while every span processor of the app's provider works in
batches itself: a span that a processor would show or send at once is completed at once.

A flush, a shutdown and the end of the process complete what waits before they go on.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tierwise.firewall import firewall
from tierwise.instrumentation import pricing

MAX_WAITING = 1024
"""Calls that may wait; with as many, the next one is completed at once."""
PAUSE_S = 0.25
"""How long the first of them waits for others."""

WAIT_FOR_PRICES_S = 1.0
"""How long a flush waits for a price list that is still loading."""

_work: deque[Callable[[], None]] = deque()
_arrived = threading.Event()
_completing = threading.RLock()
"""Reentrant: ending a span may flush, and a signal's handler may end the process."""
_thread: threading.Thread | None = None


def complete(work: Callable[[], None], provider: Any) -> None:
    """Have `work`, which ends a span of `provider`, done soon or, where that would show, at once."""
    if len(_work) >= MAX_WAITING or not _batches(provider):
        work()
        return
    _work.append(work)
    if not _arrived.is_set():
        _arrived.set()
        if _thread is None:
            _start()


def complete_waiting() -> None:
    """Do what waits, now and in this thread."""
    with _completing:
        while _work:
            with firewall("completing a call"):
                _work.popleft()()


def forget_parent() -> None:
    """In a forked child: the calls that wait are the parent's to complete."""
    global _arrived, _completing, _thread
    _work.clear()
    _arrived, _completing, _thread = threading.Event(), threading.RLock(), None


def _start() -> None:
    global _thread
    with _completing:
        if _thread is None:
            if not _registered:
                _registered.append(True)
                # Handlers run in the reverse order: this one before that of a provider that exists already.
                atexit.register(complete_waiting)
            _thread = threading.Thread(target=_run, name="tierwise-complete", daemon=True)
            _thread.start()


_registered: list[bool] = []


def _run() -> None:
    arrived = _arrived
    while True:
        arrived.wait()
        time.sleep(PAUSE_S)
        arrived.clear()
        complete_waiting()


# --- whether anybody could tell ---------------------------------------------------------------------------------------

_judged: tuple[Any, bool] = (None, False)
"""The processors that were looked at last, and whether all of them work in batches."""


def _batches(provider: Any) -> bool:
    """Whether every processor of `provider` works in batches. A provider built in another way is taken not to."""
    global _judged
    several = getattr(provider, "_active_span_processor", None)
    processors = getattr(several, "_span_processors", None)
    if processors is not _judged[0]:
        all_batch = _completes_first(several, processors)
        # With ours among them they are another tuple.
        _judged = (getattr(several, "_span_processors", None), all_batch)
    return _judged[1]


def _completes_first(several: Any, processors: Any) -> bool:
    """Whether all of `processors` work in batches. One of ours goes before them, to complete what waits first."""
    # The concurrent kind would flush the others while ours is still at work.
    if type(several).__name__ != "SynchronousMultiSpanProcessor" or not isinstance(processors, tuple):
        return False
    ours = _completer()
    others = tuple(processor for processor in processors if processor is not ours)
    if others and processors[0] is not ours:
        # There is no public way to the front, and behind the others it would complete what they have sent already.
        several._span_processors = (ours, *others)
    sdk = sys.modules.get("opentelemetry.sdk.trace.export")
    return sdk is not None and bool(others) and all(isinstance(one, sdk.BatchSpanProcessor) for one in others)


_completers: list[Any] = []


def _completer() -> Any:
    """A span processor that only completes what waits, when spans are flushed or shut down."""
    if not _completers:
        from opentelemetry.sdk.trace import SpanProcessor

        class Completer(SpanProcessor):
            """Before the processors that send."""

            def shutdown(self) -> None:
                self.force_flush()
                pricing.give_up_waiting()

            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                complete_waiting()
                # In the first moments of a process, calls wait for the price list.
                return pricing.wait_until_settled(min(WAIT_FOR_PRICES_S, timeout_millis / 1000))

        _completers.append(Completer())
    return _completers[0]
