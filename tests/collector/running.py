"""A collector as a process of its own, and batches of calls to send it."""

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
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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

    def __init__(self, path: Path, *arguments: str, first: str = "", **environment: str) -> None:
        """
        Args:
            path: of the DuckDB file.
            first: Python code that the process runs before it becomes a collector, to spoil something for it.
        """
        self.note = Path(f"{path}.collector.json")
        self.note.unlink(missing_ok=True)
        self.grpc_port = free_port()
        self.said = Path(f"{path}.log")
        code = f"import runpy, sys; del sys.argv[0]\n{first}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
        with self.said.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", code, str(MAIN), "--port", "0", "--grpc-port", str(self.grpc_port), *arguments],
                env={**os.environ, "TIERWISE_DB": f"duckdb:{path}", **environment},
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.popen.poll() is None, self.said.read_text()
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
def collector(path: Path, *arguments: str, first: str = "", **environment: str) -> Generator[Process]:
    process = Process(path, *arguments, first=first, **environment)
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


def json_batch(first: int) -> bytes:
    """The same as OTLP/JSON."""
    request = {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "scope": {"name": "tierwise"},
                        "spans": [
                            {
                                "traceId": f"{number:032x}",
                                "spanId": f"{number:016x}",
                                "startTimeUnixNano": str(1_790_000_000_000_000_000 + number),
                                "endTimeUnixNano": str(1_790_000_001_000_000_000 + number),
                                "attributes": [
                                    {"key": key, "value": {"stringValue": text}}
                                    for key, text in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"))
                                ],
                            }
                            for number in range(first, first + SPANS_IN_A_BATCH)
                        ],
                    }
                ]
            }
        ]
    }
    return json.dumps(request).encode()


def send(url: str, content: bytes) -> bool:
    """Whether the collector acknowledged; False when it did not, or died meanwhile."""
    headers = {"Content-Type": "application/json" if content.startswith(b"{") else "application/x-protobuf"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/v1/traces", content, headers), timeout=10
        ) as response:
            return response.status == 200
    except OSError:
        return False
