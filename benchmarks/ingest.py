"""How many spans a second the collector stores, and how long an acknowledgement takes, on this machine.

Sends OTLP batches of 512 spans over loopback HTTP to two servers, one after the other, each a process of its own:
the collector, and the same server without its write-ahead log, which commits each request to DuckDB before it answers.
With `--protocol grpc` both are the collector, once over gRPC and once over HTTP.
Every span counted is looked for in the store afterwards. The client runs on the same machine and takes its share.

    python benchmarks/ingest.py                       # 1 call in 4 spans, as in a trace with tools and HTTP around it
    python benchmarks/ingest.py --calls 1 --json      # every span a call
    python benchmarks/ingest.py --protocol grpc       # gRPC beside HTTP
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import duckdb
import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tierwise.attributes import to_attributes
from tierwise.call import Call, Cost, Decision, Usage
from tierwise.store import open_store

SPANS_IN_A_BATCH = 512
"""What OpenTelemetry's BatchSpanProcessor sends at most."""
CLIENTS = 4
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
COLLECTOR = Path(__file__).parents[1] / "collector" / "main.py"
BASELINE = """
import sys
from tierwise.ingest import otlp, serve
from tierwise.ingest.arrivals import read_arrivals
from tierwise.ingest.intake import Intake, Receipt

class CommitPerRequest(Intake):
    def accept(self, body):
        payload = otlp.read(body.signal, body.content, kind=body.kind, encoding=body.encoding)
        arrivals = read_arrivals(payload)
        self._store.land(calls=arrivals.calls, spans=arrivals.spans)
        return Receipt(payload.refusals)

    def __init__(self, store, folder):
        super().__init__(store, folder)
        self._store = store

serve.Intake = CommitPerRequest
sys.argv[0] = sys.argv.pop(1)
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one server did."""

    server: str
    flood_acknowledged_per_s: float
    """Spans, clients sending as fast as they are answered."""
    flood_stored_per_s: float
    """Spans, until the last could be queried."""
    steady_rate_per_s: float
    """Spans offered while the latencies below were taken."""
    steady_ack_p50_ms: float
    steady_ack_p99_ms: float
    steady_ack_max_ms: float
    steady_query_p50_ms: float
    """The dashboard's overview, asked all the while."""
    steady_query_p99_ms: float
    spans_per_cpu_s: float
    """Over the server's whole life, start, queries and stop included; hardly moved by what else the machine does."""
    bytes_a_span: float
    """Size of the DuckDB file."""


def make_batches(count: int, *, calls_share: float, seed: int) -> list[bytes]:
    """OTLP requests of a support app's traces: calls by tierwise, and spans of a web framework around them."""
    rng = random.Random(seed)
    return [_batch(rng, calls_share) for _ in range(count)]


def _batch(rng: random.Random, calls_share: float) -> bytes:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, text in (("service.name", "support"), ("service.version", "2.4.1"), ("host.name", "web-1")):
        _set(resource_spans.resource.attributes, key, text)
    calls, others = resource_spans.scope_spans.add(), resource_spans.scope_spans.add()
    calls.scope.name, others.scope.name = "tierwise", "opentelemetry.instrumentation.fastapi"
    now_ns = time.time_ns()
    for _ in range(SPANS_IN_A_BATCH):
        is_call = rng.random() < calls_share
        start_ns = now_ns - rng.randrange(5_000_000_000)
        span = (calls if is_call else others).spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="chat gpt-5.4-mini" if is_call else "GET /tickets/{id}",
            kind=3 if is_call else 2,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + rng.randrange(2_000_000_000),
        )
        attributes = to_attributes(_call(rng)) if is_call else _http_attributes(rng)
        for key, value in attributes.items():
            _set(span.attributes, key, value)
    return request.SerializeToString()


def _call(rng: random.Random) -> Call:
    input_tokens = rng.randrange(200, 6000)
    return Call(
        operation="chat",
        provider="openai",
        request_model="gpt-5.4-mini",
        api="chat_completions",
        response_model="gpt-5.4-mini-2026-03-17",
        response_id=f"chatcmpl-{rng.randbytes(12).hex()}",
        finish_reasons=("stop",),
        usage=Usage(input_tokens, rng.randrange(900), cache_read_tokens=input_tokens // 2),
        cost=Cost(Decimal(input_tokens) / 1_000_000, Decimal("0.002"), price_version="genai-prices 0.2.3"),
        service_tier="default",
        conversation_id=f"conversation-{rng.randrange(5000)}",
        server_address="api.openai.com",
        server_port=443,
        task_type="classification",
        task_confidence=0.93,
        task_source="inferred",
        complexity="low",
        use_case_id=f"uc_{rng.randrange(40):06x}",
        decision=Decision("gpt-5.4", "gpt-5.4-mini", 3, "cheap-triage", "treated", "routed", 0.9, "matched"),
        parameters={"gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 500},
    )


def _http_attributes(rng: random.Random) -> dict[str, str | int]:
    return {
        "http.request.method": "GET",
        "http.route": "/tickets/{id}",
        "http.response.status_code": 200,
        "url.scheme": "https",
        "url.path": f"/tickets/{rng.randrange(10**6)}",
        "server.address": "support.example.com",
        "server.port": 443,
        "client.address": "10.0.0.9",
        "user_agent.original": "Mozilla/5.0",
        "network.protocol.version": "1.1",
    }


def _set(attributes: object, key: str, value: object) -> None:
    attribute = attributes.add()  # type: ignore[attr-defined]
    attribute.key = key
    if isinstance(value, bool):
        attribute.value.bool_value = value
    elif isinstance(value, int):
        attribute.value.int_value = value
    elif isinstance(value, float):
        attribute.value.double_value = value
    elif isinstance(value, str):
        attribute.value.string_value = value
    else:
        for text in value:  # type: ignore[attr-defined]
            attribute.value.array_value.values.add().string_value = text


class Client(Protocol):
    """One connection to a collector."""

    def send(self, batch: bytes) -> float:
        """Seconds until the batch was acknowledged, refusals and waiting as told included."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is reached."""

    url: str
    grpc_address: str
    protocol: Literal["http", "grpc"]
    """What batches are sent over."""

    def connect(self) -> Client:
        return HttpClient(self.url) if self.protocol == "http" else GrpcClient(self.grpc_address)


class GrpcClient:
    """A channel with a connection of its own."""

    def __init__(self, address: str) -> None:
        # Otherwise channels to one address share a connection.
        self._channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self._export = self._channel.unary_unary(EXPORT)

    def send(self, batch: bytes) -> float:
        started = time.perf_counter()
        while True:
            try:
                self._export(batch, timeout=120)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(1)
            else:
                return time.perf_counter() - started


class HttpClient:
    """A connection that is kept."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)

    def post(self, path: str, content: bytes, content_type: str) -> int:
        self._connection.request("POST", path, content, {"Content-Type": content_type})
        response = self._connection.getresponse()
        response.read()
        return response.status

    def send(self, batch: bytes) -> float:
        started = time.perf_counter()
        while (status := self.post("/v1/traces", batch, "application/x-protobuf")) == 503:
            time.sleep(1)
        if status != 200:
            raise RuntimeError(f"a batch was answered with {status}")
        return time.perf_counter() - started


@contextmanager
def server(kind: str, path: Path, protocol: Literal["http", "grpc"]) -> Iterator[Server]:
    """A server of a kind, as a process on a file."""
    command = (
        [sys.executable, str(COLLECTOR)] if kind == "collector" else [sys.executable, "-c", BASELINE, str(COLLECTOR)]
    )
    note = Path(f"{path}.collector.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        grpc_port = probe.getsockname()[1] if protocol == "grpc" else 0
    process = subprocess.Popen(
        [*command, "--port", "0", "--grpc-port", str(grpc_port)],
        env={**os.environ, "TIERWISE_DB": f"duckdb:{path}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not note.exists() and process.poll() is None:
            time.sleep(0.05)
        yield Server(json.loads(note.read_text())["url"], f"127.0.0.1:{grpc_port}", protocol)
    finally:
        process.terminate()
        process.wait()


def in_threads(run: Callable[[], None], count: int) -> None:
    """Run the same thing on several threads at once, to the end."""
    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def flood(server: Server, batches: list[bytes]) -> tuple[float, float]:
    """Seconds until all batches were acknowledged, and until all could be queried."""
    waiting, lock = iter(batches), threading.Lock()

    def client() -> None:
        connection = server.connect()
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            connection.send(batch)

    started = time.perf_counter()
    in_threads(client, CLIENTS)
    acknowledged = time.perf_counter()
    connection = HttpClient(server.url)
    store = open_store(server.url)
    while _stored(store) < len(batches) * SPANS_IN_A_BATCH:
        connection.post("/v1/store/flush", b"{}", "application/json")
    return acknowledged - started, time.perf_counter() - started


def _stored(store: object) -> int:
    table = store.sql("SELECT (SELECT count(*) FROM llm_calls) + (SELECT count(*) FROM spans) AS n")  # type: ignore[attr-defined]
    return table["n"].to_pylist()[0]


def steady(server: Server, batches: list[bytes], *, rate_per_s: float) -> tuple[list[float], list[float]]:
    """Seconds of each acknowledgement and of each dashboard query, batches being offered at a rate.

    An acknowledgement counts from when its batch was due, so a stall counts for everything it holds up.
    """
    interval_s = SPANS_IN_A_BATCH / rate_per_s
    waiting, lock = iter(enumerate(batches)), threading.Lock()
    acknowledgements: list[float] = []
    queries: list[float] = []
    over = threading.Event()
    start = time.perf_counter() + 0.2

    def client() -> None:
        connection = server.connect()
        while True:
            with lock:
                position, batch = next(waiting, (0, None))
            if batch is None:
                return
            due = start + position * interval_s
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.send(batch)
            acknowledgements.append(time.perf_counter() - due)

    def dashboard() -> None:
        store = open_store(server.url)
        while not over.wait(0.25):
            began = time.perf_counter()
            store.query("overview_totals")
            queries.append(time.perf_counter() - began)

    reader = threading.Thread(target=dashboard)
    reader.start()
    in_threads(client, CLIENTS * 2)
    over.set()
    reader.join()
    return acknowledgements, queries


def quantile(values: list[float], share: float) -> float:
    """The value below which a share of `values` lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(
    kind: str,
    protocol: Literal["http", "grpc"],
    *,
    calls_share: float,
    batches: int,
    rate_per_s: float,
    seconds: float,
) -> Result:
    """What a server does with a flood, then with a steady stream."""
    with tempfile.TemporaryDirectory(prefix="tierwise-benchmark-") as folder:
        path = Path(folder) / "calls.duckdb"
        flooding = make_batches(batches, calls_share=calls_share, seed=1)
        streaming = make_batches(int(rate_per_s * seconds / SPANS_IN_A_BATCH), calls_share=calls_share, seed=2)
        cpu_s = _children_cpu_s()
        with server(kind, path, protocol) as opened:
            flood(opened, make_batches(4, calls_share=calls_share, seed=3))
            acknowledged_s, stored_s = flood(opened, [*flooding])
            acknowledgements, queries = steady(opened, streaming, rate_per_s=rate_per_s)
        spans = len(flooding) * SPANS_IN_A_BATCH
        all_spans = (len(flooding) + len(streaming) + 4) * SPANS_IN_A_BATCH
        return Result(
            server=kind if protocol == "http" else f"{kind}, gRPC",
            flood_acknowledged_per_s=spans / acknowledged_s,
            flood_stored_per_s=spans / stored_s,
            steady_rate_per_s=rate_per_s,
            steady_ack_p50_ms=quantile(acknowledgements, 0.5) * 1e3,
            steady_ack_p99_ms=quantile(acknowledgements, 0.99) * 1e3,
            steady_ack_max_ms=max(acknowledgements) * 1e3,
            steady_query_p50_ms=quantile(queries, 0.5) * 1e3,
            steady_query_p99_ms=quantile(queries, 0.99) * 1e3,
            spans_per_cpu_s=all_spans / (_children_cpu_s() - cpu_s),
            bytes_a_span=path.stat().st_size / all_spans,
        )


def _children_cpu_s() -> float:
    """CPU seconds of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure both servers and print what they did, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=float, default=0.25, help="share of spans that are calls to a model")
    parser.add_argument("--batches", type=int, default=300, help="batches of the flood")
    parser.add_argument("--rate", type=float, default=5000, help="spans a second of the steady stream")
    parser.add_argument("--seconds", type=float, default=10, help="length of the steady stream")
    parser.add_argument("--protocol", choices=("http", "grpc"), default="http", help="grpc: the collector over both")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    trials: dict[str, list[tuple[str, Literal["http", "grpc"]]]] = {
        "http": [("collector", "http"), ("commit per request", "http")],
        "grpc": [("collector", "grpc"), ("collector", "http")],
    }
    results = [
        measure(
            kind,
            protocol,
            calls_share=given.calls,
            batches=given.batches,
            rate_per_s=given.rate,
            seconds=given.seconds,
        )
        for kind, protocol in trials[given.protocol]
    ]
    if given.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    print(
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, DuckDB {duckdb.__version__}, "
        f"{given.calls:.0%} of the spans are calls"
    )
    print(f"{'':28}{results[0].server:>16}{results[1].server:>20}{'ratio':>8}")
    for name, value in asdict(results[0]).items():
        if name != "server":
            other: float = getattr(results[1], name)
            print(f"{name:28}{value:>16,.1f}{other:>20,.1f}{value / other:>8.2f}")


if __name__ == "__main__":
    main()
