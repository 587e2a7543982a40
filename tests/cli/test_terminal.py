from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tierwise.cli.terminal import print_json, print_table, progress, usd


@dataclass(frozen=True)
class Point:
    x: float
    when: datetime


def test_json_has_only_jsons_own_types(capsys: pytest.CaptureFixture[str]) -> None:
    """Decimals become numbers, times ISO 8601, dataclasses objects; what is no number becomes null."""
    print_json([Decimal("1.5"), float("inf"), float("nan"), Point(1.0, datetime(2026, 1, 2, tzinfo=UTC)), ("a", None)])

    assert json.loads(capsys.readouterr().out) == [
        1.5,
        None,
        None,
        {"x": 1.0, "when": "2026-01-02T00:00:00+00:00"},
        ["a", None],
    ]


def test_tables_in_a_pipe_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, columns are lined up with blanks: numbers to the right, no colours, no boxes."""
    print_table(["name", ">calls"], [["a", "1"], ["long name", "1,000"]], title="Calls")

    assert capsys.readouterr().out == "Calls\nname       calls\na              1\nlong name  1,000\n"


def test_tables_on_a_terminal_keep_square_brackets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person sees a drawn table, in which names with brackets are text and no markup; NO_COLOR is respected."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    print_table(["use case"], [["[red]alert[/red]"]])

    out = capsys.readouterr().out
    assert "[red]alert[/red]" in out
    assert "─" in out
    assert "\x1b[3" not in out


def test_an_empty_table_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows still say what would be there."""
    print_table(["a", "b"], [])

    assert capsys.readouterr().out == "a  b\n"


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe nothing is said; on a terminal it goes to standard error."""
    with progress("Counting…"):
        pass
    silent = capsys.readouterr()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress("Counting…"):
        pass

    assert (silent.out, silent.err) == ("", "")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (Decimal("1234.567"), "$1,234.57"),
        (12345.6, "$12,346"),
        (-3.5, "-$3.50"),
        (0.00012345, "$0.0001234"),
    ],
)
def test_money(amount: Any, text: str) -> None:
    """Cents for ordinary amounts, significant digits for small ones, never a 0 for what is not known."""
    assert usd(amount) == text
