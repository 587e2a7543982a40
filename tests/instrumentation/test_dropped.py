from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tierwise.instrumentation import dropped
from tierwise.instrumentation.dropped import expect_drops, finish_later, wait_until_finished


@pytest.fixture(autouse=True)
def thread() -> Iterator[None]:
    expect_drops()
    yield
    assert wait_until_finished(5)


def test_finished_elsewhere() -> None:
    """What a finalizer puts on the queue is done soon, and not on its own thread."""
    threads: list[str] = []

    finish_later(lambda: threads.append(threading.current_thread().name))

    assert wait_until_finished(5)
    assert threads == ["tierwise-dropped-streams"]


def test_safe_under_a_lock_that_finishing_needs() -> None:
    """A finalizer may run while its thread holds the very lock that finishing takes."""
    lock = threading.Lock()
    done: list[bool] = []

    with lock:
        finish_later(lambda: done.append(lock.acquire()))
        lock_was_free = bool(done)

    assert wait_until_finished(5)
    assert (lock_was_free, done) == (False, [True])
    lock.release()


def test_errors_are_contained(outside_pytest: None, caplog: pytest.LogCaptureFixture) -> None:
    """An error while finishing one stream does not keep the next from being finished."""
    done: list[int] = []

    def fail() -> None:
        raise RuntimeError("broken")

    finish_later(fail)
    finish_later(lambda: done.append(1))

    assert wait_until_finished(5)
    assert done == [1]
    assert "finishing a dropped stream (RuntimeError)" in caplog.text


def test_limit_of_waiting() -> None:
    """Waiting ends when the time is up."""
    go_on = threading.Event()

    def wait() -> None:
        assert go_on.wait(5)

    finish_later(wait)

    assert not wait_until_finished(0.05)
    go_on.set()


def test_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked child has an empty queue and a thread of its own."""
    monkeypatch.setattr(dropped, "_work", dropped._work)
    monkeypatch.setattr(dropped, "_lock", dropped._lock)
    monkeypatch.setattr(dropped, "_thread", None)
    done: list[int] = []

    dropped.forget_parent()
    expect_drops()
    finish_later(lambda: done.append(1))

    assert wait_until_finished(5)
    assert done == [1]
