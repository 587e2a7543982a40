from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tierwise.cli.up import answers

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def test_both_come_up_and_go_down_together(tmp_path: Path) -> None:
    """Both URLs are printed once both run, and Ctrl-C ends both and exits with 130."""
    pytest.importorskip("streamlit", reason="the dashboard is not installed")
    port, page_port = free_port(), free_port()
    command = [sys.executable, "-m", "tierwise.cli", "up", "--port", str(port), "--dashboard-port", str(page_port)]
    command += ["--db", f"duckdb:{tmp_path / 'c.duckdb'}"]
    collector, page = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{page_port}"

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        deadline = time.monotonic() + 60
        while not serves(f"{page}/_stcore/health") and time.monotonic() < deadline:
            time.sleep(0.1)
        both = answers(collector), serves(f"{page}/_stcore/health")
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)

    assert collector in said[0]
    assert page in said[1]
    assert both == (True, True)
    assert code == 130
    assert (answers(collector), serves(f"{page}/_stcore/health")) == (False, False)
    assert not (tmp_path / "c.duckdb.collector.json").exists()


def test_taken_ports_are_said_before_anything_starts(run: RunCommand, tmp_path: Path) -> None:
    """A port in use for either part is an error that names the option to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        db = ("--db", f"duckdb:{tmp_path / 'c.duckdb'}")

        first = run("up", "--port", port, *db)
        second = run("up", "--port", str(free_port()), "--dashboard-port", port, *db)

    assert (first.code, second.code) == (1, 1)
    assert "with --port" in first.err
    assert "with --dashboard-port" in second.err
    assert not (tmp_path / "c.duckdb").exists()


def test_it_needs_a_store_of_its_own(run: RunCommand) -> None:
    """A store behind another collector cannot be brought up here."""
    found = run("up", "--db", "http://127.0.0.1:4318")

    assert found.code == 2
    assert "needs duckdb:PATH" in found.err


def test_a_collector_that_cannot_start_ends_it(run: RunCommand, tmp_path: Path) -> None:
    """When the collector ends at once, its own message stands and the command fails."""
    path = tmp_path / "not-a-database.duckdb"
    path.write_text("this is no DuckDB file, and long enough to be looked at" * 100)

    found = run("up", "--port", str(free_port()), "--dashboard-port", str(free_port()), "--db", f"duckdb:{path}")

    assert found.code == 1
    assert "the collector did not start" in found.err
