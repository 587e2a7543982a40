"""Calling a function of the user's for a limited time, on a thread that is left to itself when that is up."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_THREADS = 16
"""Functions that may be under way at a time, those included that nobody waits for any more."""


class Outcome(NamedTuple):
    """What came of a call."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False
    """Or not begun, because too many are under way."""


_free = threading.BoundedSemaphore(MAX_THREADS)


def _begin_in_child() -> None:
    global _free
    # The threads that held it are the parent's.
    _free = threading.BoundedSemaphore(MAX_THREADS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def call_within(function: Callable[[], Any], timeout_s: float) -> Outcome:
    """Call `function` in a copy of the context, and wait no longer than `timeout_s` for it. Never raises."""
    free = _free
    if not free.acquire(blocking=False):
        return Outcome(timed_out=True)
    outcomes: list[Outcome] = []
    context = contextvars.copy_context()

    def call() -> None:
        try:
            outcomes.append(Outcome(context.run(function)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is handed to whoever waits
            outcomes.append(Outcome(error=error))
        finally:
            free.release()

    thread = threading.Thread(target=call, name="tierwise-check", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        # No thread to be had: the limit of the machine, or an interpreter that is shutting down.
        free.release()
        return Outcome(error=error)
    thread.join(max(0.0, timeout_s))
    return outcomes[0] if outcomes else Outcome(timed_out=True)
