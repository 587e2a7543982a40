"""The collector as a process: what it acknowledged survives whatever ends it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tierwise.store import open_store

CERTIFICATES = Path(__file__).parents[1] / "ingest" / "certificates"
TLS = {"TIERWISE_TLS_CERT": str(CERTIFICATES / "valid.pem"), "TIERWISE_TLS_KEY": str(CERTIFICATES / "key.pem")}
TRUSTING = ssl.create_default_context(cafile=TLS["TIERWISE_TLS_CERT"])
MAIN = Path(__file__).parents[2] / "collector" / "main.py"
SPANS_IN_A_BATCH = 20


def free_port() -> int:
    """A free port below those that systems give to outgoing connections, so that none takes it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """A collector that was started, on a port of its own."""

    def __init__(self, path: Path, *arguments: str, **environment: str) -> None:
        self.note = Path(f"{path}.collector.json")
        self.note.unlink(missing_ok=True)
        self.grpc_port = free_port()
        said = Path(f"{path}.log")
        with said.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, str(MAIN), "--port", "0", "--grpc-port", str(self.grpc_port), *arguments],
                env={**os.environ, "TIERWISE_DB": f"duckdb:{path}", **environment},
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.popen.poll() is None, said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return json.loads(self.note.read_text())["url"]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5, context=TRUSTING) as response:
                return response.status == 200
        except (OSError, ValueError):
            return False

    def readiness(self) -> tuple[int, str | None]:
        """The status of /readyz, and why it is not ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as response:
                return response.status, None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["reason"]

    @contextmanager
    def sender(self, protocol: str) -> Generator[Callable[[bytes], bool]]:
        """Sends a batch; whether it was acknowledged. False when it is to be sent again, or the collector died."""
        if protocol == "http":
            url = self.url
            yield lambda content: send(url, content)
            return
        address, certificate = f"127.0.0.1:{self.grpc_port}", (CERTIFICATES / "valid.pem").read_bytes()
        with (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate))
            if "TLS" in protocol
            else grpc.insecure_channel(address)
        ) as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

            def deliver(content: bytes) -> bool:
                try:
                    return export(content, timeout=10) == b""
                except grpc.RpcError:
                    return False

            yield deliver

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


def batch(first: int, user: str = "") -> bytes:
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
        for key, text in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("user.id", user)):
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


@pytest.mark.parametrize("protocol", ["http", "grpc", "grpc over TLS"])
def test_killed_collector_loses_nothing_acknowledged(tmp_path: Path, protocol: str) -> None:
    """Over rounds of kill -9 under load, every acknowledged batch is stored whole, and no call twice."""
    path = tmp_path / "calls.duckdb"
    rng = random.Random(7)
    acknowledged: list[int] = []
    unanswered: list[int] = []
    numbers = iter(range(1, 10**9, SPANS_IN_A_BATCH))
    lock = threading.Lock()

    def client(process: Process, dead: threading.Event) -> None:
        with process.sender(protocol) as deliver:
            while not dead.is_set():
                with lock:
                    # What got no answer is sent again, as exporters do: it may have been stored all the same. So is
                    # some of what was answered, for the answer may have been lost on its way.
                    resent = rng.random() < 0.05 and bool(acknowledged)
                    first = rng.choice(acknowledged) if resent else unanswered.pop() if unanswered else next(numbers)
                answered = deliver(batch(first))
                with lock:
                    if not resent:
                        (acknowledged if answered else unanswered).append(first)

    tls = TLS if "TLS" in protocol else {}
    for _ in range(3):
        with collector(path, **tls) as process:
            dead = threading.Event()
            clients = [threading.Thread(target=client, args=(process, dead)) for _ in range(3)]
            for thread in clients:
                thread.start()
            time.sleep(rng.uniform(0.1, 0.8))
            process.end(signal.SIGKILL)
            dead.set()
            for thread in clients:
                thread.join()
    with collector(path, **tls) as process:
        assert process.end(signal.SIGTERM) == 0

    store = open_store(f"duckdb:{path}")
    stored = [int(span_id, 16) for span_id in store.query("calls")["span_id"].to_pylist()]
    store.close()
    promised = {number for first in acknowledged for number in range(first, first + SPANS_IN_A_BATCH)}
    assert len(acknowledged) > 20
    assert promised <= set(stored)
    assert len(stored) == len(set(stored))


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
