"""The collector as a process: what it acknowledged survives whatever ends it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tierwise.store import open_store

MAIN = Path(__file__).parents[2] / "collector" / "main.py"
SPANS_IN_A_BATCH = 20


class Process:
    """A collector that was started, on a port of its own."""

    def __init__(self, path: Path, *arguments: str, **environment: str) -> None:
        self.note = Path(f"{path}.collector.json")
        self.note.unlink(missing_ok=True)
        self.popen = subprocess.Popen(
            [sys.executable, str(MAIN), "--port", "0", *arguments],
            env={**os.environ, "TIERWISE_DB": f"duckdb:{path}", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.popen.poll() is None, self.popen.stderr and self.popen.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return json.loads(self.note.read_text())["url"]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
                return response.status == 200
        except (OSError, ValueError):
            return False

    def end(self, number: signal.Signals) -> int:
        self.popen.send_signal(number)
        self.popen.communicate(timeout=60)
        return self.popen.returncode


@contextmanager
def collector(path: Path, *arguments: str, **environment: str) -> Generator[Process]:
    process = Process(path, *arguments, **environment)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


def batch(first: int) -> bytes:
    """A request with calls numbered from `first` on."""
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    scope_spans.scope.name = "tierwise"
    for number in range(first, first + SPANS_IN_A_BATCH):
        span = scope_spans.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            start_time_unix_nano=1_790_000_000_000_000_000 + number,
            end_time_unix_nano=1_790_000_001_000_000_000 + number,
        )
        for key, text in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m")):
            attribute = span.attributes.add()
            attribute.key, attribute.value.string_value = key, text
    return request.SerializeToString()


def send(url: str, content: bytes) -> bool:
    """Whether the collector acknowledged; False when it did not, or died meanwhile."""
    headers = {"Content-Type": "application/x-protobuf"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/v1/traces", content, headers), timeout=10
        ) as response:
            return response.status == 200
    except OSError:
        return False


def test_killed_collector_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Over rounds of kill -9 under load, every acknowledged batch is stored whole, and no call twice."""
    path = tmp_path / "calls.duckdb"
    rng = random.Random(7)
    acknowledged: list[int] = []
    unanswered: list[int] = []
    numbers = iter(range(1, 10**9, SPANS_IN_A_BATCH))
    lock = threading.Lock()

    def client(url: str, dead: threading.Event) -> None:
        while not dead.is_set():
            with lock:
                # What got no answer is sent again, as exporters do: it may have been stored all the same.
                first = unanswered.pop() if unanswered else next(numbers)
            answered = send(url, batch(first))
            with lock:
                (acknowledged if answered else unanswered).append(first)

    for _ in range(3):
        with collector(path) as process:
            dead = threading.Event()
            clients = [threading.Thread(target=client, args=(process.url, dead)) for _ in range(3)]
            for thread in clients:
                thread.start()
            time.sleep(rng.uniform(0.1, 0.8))
            process.end(signal.SIGKILL)
            dead.set()
            for thread in clients:
                thread.join()
    with collector(path) as process:
        assert process.end(signal.SIGTERM) == 0

    store = open_store(f"duckdb:{path}")
    stored = [int(span_id, 16) for span_id in store.query("calls")["span_id"].to_pylist()]
    store.close()
    promised = {number for first in acknowledged for number in range(first, first + SPANS_IN_A_BATCH)}
    assert len(acknowledged) > 20
    assert promised <= set(stored)
    assert len(stored) == len(set(stored))


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
