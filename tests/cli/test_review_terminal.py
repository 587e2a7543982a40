from __future__ import annotations

import io
import os
import pty
import sys
import threading
from datetime import UTC, datetime

import pytest

from tierwise.cli import review_terminal
from tierwise.cli.review_terminal import MOST_CHARS
from tierwise.review.draw import Drawn
from tierwise.review.queue import QueueItem, Shared

ITEM = QueueItem(
    "1",
    "2",
    "3",
    "4",
    datetime(2026, 11, 24, tzinfo=UTC),
    "replies",
    "uc_1",
    "conversation",
    "weak",
    Drawn("random", 0.03),
)


def shown(shared: Shared) -> str:
    out = io.StringIO()
    review_terminal._show(ITEM, shared, "1 of 9", out)
    return out.getvalue()


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    """What a model wrote cannot move the cursor or set a title; line breaks stay."""
    text = shown(Shared("ask", "one\x1b]0;title\x07\ntwo", "b", None, None))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\ntwo" in text


def test_long_texts_are_cut_and_say_so() -> None:
    """A text beyond the limit says how much of it is left."""
    assert "[5 more characters]" in shown(Shared(None, "x" * (MOST_CHARS + 5), "b", None, None))


def test_without_texts_there_is_a_link_or_a_way_to_have_one() -> None:
    """Where nothing is stored the reviewer is sent to their own tool, or told how to be."""
    assert "https://apm/1" in shown(Shared(None, None, None, "https://apm/1", "https://apm/2"))
    assert "TIERWISE_TRACE_URL" in shown(Shared(None, None, None, None, None))


@pytest.mark.skipif(sys.platform == "win32", reason="termios is a Unix thing")
def test_a_key_needs_no_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a key is read as it is pressed, and the terminal is as before afterwards."""
    import termios

    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "r", buffering=1) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before = termios.tcgetattr(terminal)
        threading.Timer(0.1, os.write, (controller, b"a")).start()

        with review_terminal._keys() as read_key:
            pressed = read_key()

        assert pressed == "a"
        assert termios.tcgetattr(terminal) == before
    os.close(controller)
