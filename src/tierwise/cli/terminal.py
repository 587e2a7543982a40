"""What a command prints: tables and progress for a person at a terminal, plain text in a pipe, JSON when asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TextIO

from tierwise.reports.table_files import jsonable


def is_rich(stream: TextIO) -> bool:
    """Whether `stream` is a person's terminal and rich is installed to draw on it."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    from importlib.util import find_spec

    return find_spec("rich") is not None


def print_json(value: Any) -> None:
    """One JSON document on standard output. Decimals become numbers, times ISO 8601, infinities and NaN null."""
    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """A table. A column whose name begins with ">" is aligned to the right."""
    names = [column.lstrip(">") for column in columns]
    right = [column.startswith(">") for column in columns]
    if is_rich(sys.stdout):
        _rich_table(names, right, rows, title)
        return
    if title:
        print(title)
    widths = [max(len(name), *(len(row[place]) for row in rows), 0) for place, name in enumerate(names)]
    for line in (names, *rows):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _rich_table(names: Sequence[str], right: Sequence[bool], rows: Sequence[Sequence[str]], title: str | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name, to_right in zip(names, right, strict=True):
        table.add_column(name, justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        # Text, not str: cells hold names that users chose, and square brackets in them are no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def warn(message: str) -> None:
    """One line on standard error."""
    print(f"tierwise: {message}", file=sys.stderr)


@contextmanager
def progress(doing: str) -> Generator[None]:
    """Say on a person's terminal what is going on while the block runs."""
    if not is_rich(sys.stderr):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(doing):
        yield


def usd(amount: Decimal | float | None) -> str:
    """$1,234.56; four significant digits below a cent; "unknown" for None."""
    if amount is None:
        return "unknown"
    number = float(amount)
    sign, size = ("-" if number < 0 else ""), abs(number)
    if size and size < 0.01:
        return f"{sign}${size:.4g}"
    return f"{sign}${size:,.0f}" if size >= 10_000 else f"{sign}${size:,.2f}"
