from __future__ import annotations

import sys

import pytest

from tierwise.cli import progress_bar as bars
from tierwise.cli.progress_bar import progress_bar


def test_a_pipe_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches nothing is drawn."""
    with progress_bar("Importing", 100, "calls") as tell:
        tell(50, 7)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [100, None], ids=["known", "unknown"])
def test_a_terminal_gets_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None
) -> None:
    """On a terminal the bar says what is done and how many have been counted, also when the size is not known."""
    monkeypatch.setattr(bars, "is_rich", lambda stream: stream is sys.stderr)
    monkeypatch.setattr(bars, "_STEP", 0.0)
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "120")):
        monkeypatch.setenv(name, value)

    with progress_bar("Importing", total, "calls") as tell:
        tell(50, 1234)

    written = capsys.readouterr()
    assert written.out == ""
    assert "Importing" in written.err
    assert "1,234 calls" in written.err
