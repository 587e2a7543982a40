from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.cli.up import answers

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_it_says_where_it_is_and_stops_cleanly(tmp_path: Path) -> None:
    """The collector prints its URL once it answers, and ends with 0 on SIGTERM."""
    command = [
        sys.executable,
        "-m",
        "tierwise.cli",
        "collect",
        "--port",
        "0",
        "--db",
        f"duckdb:{tmp_path / 'c.duckdb'}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        healthy = answers(url)
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)

    assert healthy
    assert code == 0
    assert not answers(url)


def test_it_needs_a_file_and_a_token_off_loopback(run: RunCommand, tmp_path: Path) -> None:
    """A store that is no DuckDB file, and an address open to the network without a token, are wrong settings."""
    url = f"duckdb:{tmp_path / 'c.duckdb'}"

    assert run("collect", "--db", "http://127.0.0.1:1").code == 2
    assert run("collect", "--host", "0.0.0.0", "--port", "0", "--db", url).code == 2
