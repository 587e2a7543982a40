from __future__ import annotations

import os
import threading
import time

import pytest

from tierwise.background import BackgroundWorker, Job


def _gate() -> tuple[threading.Event, Job]:
    opened = threading.Event()

    def wait() -> None:
        opened.wait(10)

    return opened, Job("gate", wait)


def test_jobs_run_in_order_on_another_thread():
    """Work is done one job after another, away from the thread that submitted it."""
    worker = BackgroundWorker("test-worker", max_queued=10)
    ran: list[tuple[int, str]] = []

    for number in range(5):
        assert worker.submit(Job("note", lambda number=number: ran.append((number, threading.current_thread().name))))

    assert worker.drain(5)
    assert ran == [(number, "test-worker") for number in range(5)]


def test_a_full_queue_drops_and_counts():
    """What does not fit is given up at once; the queue goes on with what it took."""
    worker = BackgroundWorker("test-worker", max_queued=2)
    ran: list[int] = []
    opened, gate = _gate()
    worker.submit(gate)
    while worker.running() is None:
        time.sleep(0.001)

    taken = [worker.submit(Job("note", lambda number=number: ran.append(number))) for number in range(4)]
    busy = worker.running()
    opened.set()

    assert taken == [True, True, False, False]
    assert worker.dropped == 2
    assert busy is not None
    assert busy[0] == "gate"
    assert busy[1] >= 0
    assert worker.drain(5)
    assert ran == [0, 1]


def test_drain_gives_up_in_time():
    """A job that hangs does not hold up whoever waits for the queue."""
    worker = BackgroundWorker("test-worker", max_queued=2)
    opened, gate = _gate()
    worker.submit(gate)

    began = time.monotonic()
    drained = worker.drain(0.05)
    took = time.monotonic() - began
    opened.set()

    assert not drained
    assert took < 2
    assert worker.drain(5)


def test_a_failing_job_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """An error in one job is logged, and the queue goes on."""
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    worker = BackgroundWorker("test-worker", max_queued=10)
    ran: list[bool] = []

    def fails() -> None:
        raise ValueError("no")

    worker.submit(Job("failing in test_background", fails))
    worker.submit(Job("note", lambda: ran.append(True)))

    assert worker.drain(5)
    assert ran == [True]
    assert "failing in test_background" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced():
    """A job that ends its thread (SystemExit) costs only itself."""
    worker = BackgroundWorker("test-worker", max_queued=10)
    ran: list[bool] = []

    def leaves() -> None:
        raise SystemExit

    worker.submit(Job("leaving", leaves))
    assert worker.drain(5)
    time.sleep(0.05)

    worker.submit(Job("note", lambda: ran.append(True)))

    assert worker.drain(5)
    assert ran == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_with_an_empty_queue():
    """The child does not wait for the parent's jobs and runs its own."""
    worker = BackgroundWorker("test-worker", max_queued=2)
    opened, gate = _gate()
    worker.submit(gate)
    readable, writable = os.pipe()

    child = os.fork()
    if child == 0:
        empty = worker.drain(1)

        def write() -> None:
            os.write(writable, b"y" if empty else b"n")

        worker.submit(Job("write", write))
        os._exit(0 if worker.drain(5) else 1)
    answer = os.read(readable, 1)
    opened.set()
    _, status = os.waitpid(child, 0)

    assert (answer, os.waitstatus_to_exitcode(status)) == (b"y", 0)
