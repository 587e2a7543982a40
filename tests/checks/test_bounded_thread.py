from __future__ import annotations

import contextvars
import threading
import time
from functools import partial

import pytest

from tierwise.checks import bounded_thread
from tierwise.checks.bounded_thread import MAX_THREADS, call_within

NAME = contextvars.ContextVar("NAME", default="none")


def test_a_value_comes_back() -> None:
    """What the function gives is handed to whoever waits."""
    assert call_within(lambda: 7, 10.0).value == 7


def test_an_error_comes_back_as_a_value() -> None:
    """Whatever is raised, SystemExit included, is handed over and not raised."""
    outcome = call_within(partial(exec, "raise SystemExit(3)"), 10.0)

    assert isinstance(outcome.error, SystemExit)


def test_the_caller_s_context_is_seen() -> None:
    """Context variables have the caller's values on the thread."""
    NAME.set("caller")

    assert call_within(NAME.get, 10.0).value == "caller"


def test_a_function_that_hangs_is_left_behind() -> None:
    """After the time limit the caller goes on, and the function's thread is left to itself."""
    release = threading.Event()
    began_s = time.monotonic()

    outcome = call_within(release.wait, 0.05)

    assert outcome.timed_out
    assert time.monotonic() - began_s < 10
    release.set()


def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While as many functions hang as may, a further one is not begun; when they end, it is."""
    monkeypatch.setattr(bounded_thread, "_free", threading.BoundedSemaphore(MAX_THREADS))
    release = threading.Event()
    for _ in range(MAX_THREADS):
        call_within(release.wait, 0.0)

    refused = call_within(lambda: 7, 10.0)
    release.set()
    deadline_s = time.monotonic() + 10
    while (outcome := call_within(lambda: 7, 10.0)).timed_out and time.monotonic() < deadline_s:
        time.sleep(0.01)

    assert refused.timed_out
    assert outcome.value == 7
