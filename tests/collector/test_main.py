"""The collector as a process: how it starts, what it refuses, and what it leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import CERTIFICATES, MAIN, SPANS_IN_A_BATCH, TLS, batch, collector, send

from tierwise.store import open_store


def test_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """On a full disk both protocols say come back and readiness says why; with room again all goes on, nothing lost."""
    path = tmp_path / "calls.duckdb"
    ingest = Path(f"{path}.ingest")
    ingest.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(ingest)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of 1 MB can be mounted by root only")
    try:
        with collector(path) as process, process.sender("http") as http, process.sender("grpc") as grpc:
            before = http(batch(1)), grpc(batch(1001))
            (ingest / "filler").write_bytes(bytes(os.statvfs(ingest).f_bavail * os.statvfs(ingest).f_frsize))
            # More than what is left of the last page.
            full = http(batch(2001, "x" * 5000)), grpc(batch(3001, "x" * 5000))
            unready = process.readiness()
            (ingest / "filler").unlink()
            ready = process.readiness()
            after = http(batch(2001, "x" * 5000)), grpc(batch(3001, "x" * 5000))
            assert process.end(signal.SIGTERM) == 0
    finally:
        subprocess.run(["umount", str(ingest)], check=True)

    store = open_store(f"duckdb:{path}")
    stored = [int(span_id, 16) for span_id in store.query("calls")["span_id"].to_pylist()]
    store.close()
    assert (before, full, after) == ((True, True), (False, False), (True, True))
    assert unready == (503, "the disk of the write-ahead log is full")
    assert ready == (200, None)
    assert sorted(stored) == [first + n for first in (1, 1001, 2001, 3001) for n in range(SPANS_IN_A_BATCH)]


def test_hostile_connections_hold_nobody_up(tmp_path: Path) -> None:
    """Beside a thousand connections that say nothing, and some that never finish, others are served at once."""
    path = tmp_path / "calls.duckdb"
    with collector(path) as process, contextlib.ExitStack() as connections:
        address = ("127.0.0.1", int(process.url.rpartition(":")[2]))
        for number in range(500):
            for target in (address, ("127.0.0.1", process.grpc_port)):
                connection = connections.enter_context(socket.create_connection(target, 10))
                if number < 50 and target == address:
                    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n")
                    connection.sendall(b"Content-Type: application/x-protobuf\r\n\r\nx" if number < 25 else b"X-A")
        started = time.monotonic()
        with process.sender("http") as http, process.sender("grpc") as grpc:
            answered = http(batch(1)), grpc(batch(1001))

        assert answered == (True, True)
        assert time.monotonic() - started < 5


def test_sigterm_lands_what_was_acknowledged(tmp_path: Path) -> None:
    """SIGTERM at once after an acknowledgement: the call is in the file, and the note and the segments are gone."""
    path = tmp_path / "calls.duckdb"
    with collector(path) as process:
        assert send(process.url, batch(1))

        assert process.end(signal.SIGTERM) == 0

    store = open_store(f"duckdb:{path}", read_only=True)
    assert store.query("calls").num_rows == SPANS_IN_A_BATCH
    store.close()
    assert not process.note.exists()
    assert list(Path(f"{path}.ingest").iterdir()) == []


def test_file_url_leads_to_the_collector(tmp_path: Path) -> None:
    """While the collector holds the file, opening it by its path goes through the collector, with its token."""
    path = tmp_path / "calls.duckdb"
    with collector(path, TIERWISE_TOKEN="s3cret") as process:
        store = open_store(f"duckdb:{path}", token="s3cret")

        assert store.url == process.url
        assert store.query("overview_totals").num_rows == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--host", "0.0.0.0"], {}, "TIERWISE_TOKEN"),
        ([], {"TIERWISE_DB": "postgres://x"}, "duckdb:PATH"),
        ([], {"TIERWISE_MODE": "sometimes"}, "TIERWISE_MODE"),
        ([], {"TIERWISE_TLS_CERT": TLS["TIERWISE_TLS_CERT"]}, "TIERWISE_TLS_KEY"),
        ([], {**TLS, "TIERWISE_TLS_CERT": str(CERTIFICATES / "expired.pem")}, "expired"),
    ],
)
def test_wrong_settings_end_with_one_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    """A collector that cannot start says why in one line and ends with 2."""
    defaults = {"TIERWISE_DB": f"duckdb:{tmp_path / 'x.duckdb'}"}
    ended = subprocess.run(
        [sys.executable, str(MAIN), "--port", "0", *arguments],
        env={**os.environ, **defaults, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
