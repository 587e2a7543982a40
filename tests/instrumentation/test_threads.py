from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from tierwise.instrumentation import threads

WAIT_S = 10.0
NAME: ContextVar[str] = ContextVar("NAME")


def test_work_sees_the_callers_context_variables() -> None:
    """A thread begins with a copy of the caller's context variables, and changes none of theirs."""
    token = NAME.set("caller")
    seen: list[str] = []

    def work() -> None:
        seen.append(NAME.get())
        NAME.set("thread")

    slot = threads.take()
    assert slot is not None
    slot.run("a test", work).join(WAIT_S)

    assert seen == ["caller"]
    assert NAME.get() == "caller"
    NAME.reset(token)


def test_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot is taken until its work is done, whether that raised or not."""
    monkeypatch.setattr(threads, "_free", threading.BoundedSemaphore(1))
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    first = threads.take()
    assert first is not None

    def fail() -> None:
        raise RuntimeError

    assert threads.take() is None
    first.run("a test", fail).join(WAIT_S)

    assert threads.take() is not None


def test_a_child_begins_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a forked child the parent's threads take no room."""
    taken = threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(threads, "_free", taken)

    threads._begin_in_child()

    assert threads.take() is not None
