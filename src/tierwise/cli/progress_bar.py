"""A bar on a person's terminal for work whose size is known, with what has been counted so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tierwise.cli.terminal import is_rich

_STEP = 0.1
"""Seconds between two drawings of the bar."""


@contextmanager
def progress_bar(doing: str, total: int | None, unit: str) -> Generator[Callable[[int, int], None]]:
    """A function to tell of (bytes done, things counted); it draws a bar on a terminal and does nothing elsewhere.

    Args:
        total: bytes in all; None: not known, and the bar only moves.
        unit: what is counted, in the plural.
    """
    if not is_rich(sys.stderr):
        yield lambda _, __: None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counted]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total, counted="")
        drawn_s = 0.0

        def tell(done: int, counted: int) -> None:
            nonlocal drawn_s
            now_s = time.monotonic()
            if now_s - drawn_s >= _STEP:
                drawn_s = now_s
                bar.update(task, completed=done, counted=f"{counted:,} {unit}")

        yield tell
