"""The review queue in a terminal: one pair at a time, one key an answer."""

from __future__ import annotations

import os
import select
import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from tierwise.errors import StoreError
from tierwise.review.queue import QueueItem, Shared, read_queue, read_shared
from tierwise.review.verdicts import Choice, record, undo_last

if TYPE_CHECKING:
    from tierwise.store import Store

_CHOICES: Mapping[str, Choice] = {"a": "a", "b": "b", "t": "tie", "n": "bad", "s": "skip"}
_KEYS = "a A is better   b B is better   t both good   n neither   s skip   u undo   q quit"
_END = ("", "\x03", "\x04", "q")
"""Nothing more to read, Ctrl-C, Ctrl-D, and q."""
MOST_CHARS = 6_000
"""Of each text; a longer one is cut and says so."""


def review(
    store: Store,
    filters: Mapping[str, Any],
    *,
    reviewer: str,
    limit: int | None,
    trace_url: str | None,
    out: TextIO,
) -> int:
    """Ask about the waiting pairs, oldest first; how many verdicts stand when the reviewer stops.

    Every verdict is stored at once, so that stopping, with q or Ctrl-C, loses nothing.
    """
    waiting = read_queue(store, filters).waiting[:limit]
    if not waiting:
        print("No pair waits for review.", file=out)
        return 0
    done = place = 0
    with _keys() as read_key:
        while place < len(waiting):
            item = waiting[place]
            shared = read_shared(store, item, trace_url=trace_url)
            _show(item, shared, f"{place + 1} of {len(waiting)}", out)
            try:
                key = _asked(read_key, out)
            except KeyboardInterrupt:
                key = "q"
            if key in _END:
                break
            if key == "u":
                if done:
                    undo_last(store, reviewer)
                    done, place = done - 1, place - 1
                    print("Taken back.", file=out)
                else:
                    _undo_earlier(store, reviewer, out)
                continue
            record(store, item, _CHOICES[key], reviewer=reviewer, shown=shared.shown)
            done, place = done + 1, place + 1
    print(f"{done:,} recorded.", file=out)
    return done


def _undo_earlier(store: Store, reviewer: str, out: TextIO) -> None:
    """Take back a verdict of an earlier sitting; its pair waits again, in the next one."""
    try:
        row = undo_last(store, reviewer)
    except StoreError as error:
        print(error, file=out)
    else:
        print(f"Taken back: the verdict of {row['reviewed_at']:%Y-%m-%d %H:%M} UTC.", file=out)


def _asked(read_key: _ReadKey, out: TextIO) -> str:
    """The next key that means something."""
    while True:
        print(_KEYS, end="\n> ", flush=True, file=out)
        key = read_key().lower()
        print(key if key.isprintable() else "", file=out)
        if key in _CHOICES or key in _END or key == "u":
            return key


def _show(item: QueueItem, shared: Shared, place: str, out: TextIO) -> None:
    width = min(shutil.get_terminal_size().columns, 100)
    print(f"\n{'─' * width}\n{place}   {item.use_case}   {item.made_at:%Y-%m-%d %H:%M} UTC", file=out)
    if shared.asked is not None:
        print(f"\n{_cut(shared.asked)}", file=out)
    for letter, text, link in (("A", shared.a, shared.link_a), ("B", shared.b, shared.link_b)):
        print(f"\n── {letter} {'─' * (width - 5)}", file=out)
        if text is not None:
            print(_cut(text), file=out)
        elif link is not None:
            print(f"The text is not stored; look at {link}", file=out)
        else:
            print(
                "The text is not stored. TIERWISE_CAPTURE_CONTENT keeps it, TIERWISE_TRACE_URL links to where you do.",
                file=out,
            )
    print(file=out)


def _cut(text: str) -> str:
    # Answers come from a model: an escape sequence in one must not reach the terminal.
    plain = "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
    if len(plain) <= MOST_CHARS:
        return plain
    return f"{plain[:MOST_CHARS]}\n[{len(plain) - MOST_CHARS:,} more characters]"


class _ReadKey:
    """Reads one key; from a pipe, one line's first character. Nothing more to read gives an empty text."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def __call__(self) -> str:
        if not self._is_terminal:
            line = sys.stdin.readline()
            return line.strip()[:1] or ("" if not line else " ")
        select.select([sys.stdin], [], [])
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace")


@contextmanager
def _keys() -> Generator[_ReadKey]:
    """A terminal that hands over each key as it is pressed, for as long as the block lasts."""
    if not sys.stdin.isatty():
        yield _ReadKey(is_terminal=False)
        return
    try:
        import termios
        import tty
    except ModuleNotFoundError:
        # Windows has other ways; there a key is a line.
        yield _ReadKey(is_terminal=False)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _ReadKey(is_terminal=True)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
