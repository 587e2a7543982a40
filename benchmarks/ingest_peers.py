"""How fast the collector stores spans, beside Phoenix and MLflow, and beside what decoding and storing cost alone.

    python benchmarks/ingest_peers.py --venvs /var/cache/apm

The same OTLP/HTTP requests go to each server, one after the other: batches of 512 spans, each a call with some 25 GenAI
attributes, and once more with 2 KB of prompt and answer. Four connections send as fast as they are answered. A span is
stored when it can be queried: in tierwise's store, in the SQLite file that Phoenix and MLflow keep by default. Phoenix
and MLflow are installed from PyPI, each into an environment of its own. The limits are of one core, in this process:
protobuf decoding alone, and DuckDB appending a ready Arrow table.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from apm_backends import mlflow, phoenix
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import CLIENTS, SPANS_IN_A_BATCH, in_threads, make_batches, server
from tierwise.ingest import otlp
from tierwise.ingest.arrivals import read_arrivals
from tierwise.store import open_store, rows
from tierwise.store.duckdb import DuckDBStore

GIVE_UP_S = 120.0
CONTENT = (
    '[{"role": "user", "parts": [{"type": "text", "content": "%s"}]}]',
    '[{"role": "assistant", "parts": [{"type": "text", "content": "%s"}], "finish_reason": "stop"}]',
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a server did with the batches it got."""

    name: str
    content: bool
    spans: int
    acknowledged_per_s: float
    stored_per_s: float
    bytes_a_span: float
    """What its files grew by, logs of its own included."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and how many spans have come through."""

    url: str
    headers: dict[str, str]
    stored: Callable[[], int]
    size: Callable[[], int]


def with_content(batches: list[bytes]) -> list[bytes]:
    """The same batches, with two kilobytes of prompt and answer on each span."""
    text = "The customer writes that parcel 4711 came open and asks for a refund. " * 14
    changed: list[bytes] = []
    for batch in batches:
        request = ExportTraceServiceRequest.FromString(batch)
        for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
            for key, shape in zip(("gen_ai.input.messages", "gen_ai.output.messages"), CONTENT, strict=True):
                attribute = span.attributes.add()
                attribute.key, attribute.value.string_value = key, shape % f"{number} {text}"
        changed.append(request.SerializeToString())
    return changed


def send_all(target: Target, batches: list[bytes]) -> None:
    """Send them over as many connections as the other benchmark uses, until each was taken."""
    import httpx

    waiting = iter(batches)
    headers = {"content-type": "application/x-protobuf", **target.headers}

    def client() -> None:
        with httpx.Client(timeout=GIVE_UP_S) as connection:
            # A list's iterator hands each batch out once, whichever thread asks.
            for batch in waiting:
                while (answer := connection.post(target.url, content=batch, headers=headers)).status_code in (429, 503):
                    time.sleep(0.2)
                answer.raise_for_status()

    in_threads(client, CLIENTS)


def measured(name: str, target: Target, batches: list[bytes], *, content: bool) -> Result:
    before, size = target.stored(), target.size()
    spans = len(batches) * SPANS_IN_A_BATCH
    began = time.perf_counter()
    send_all(target, batches)
    acknowledged_s = time.perf_counter() - began
    while target.stored() < before + spans:
        if time.perf_counter() - began > GIVE_UP_S:
            raise RuntimeError(f"{name} stored {target.stored() - before} of {spans} spans in {GIVE_UP_S:.0f} s")
        time.sleep(0.02)
    stored_s = time.perf_counter() - began
    return Result(name, content, spans, spans / acknowledged_s, spans / stored_s, (target.size() - size) / spans)


@contextmanager
def tierwise_target() -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.duckdb"
        with server("collector", path, "http") as opened:
            store = open_store(opened.url)

            def stored() -> int:
                return int(store.sql("SELECT count(*) AS n FROM llm_calls")["n"][0].as_py())

            def size() -> int:
                return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())

            yield Target(f"{opened.url}/v1/traces", {}, stored, size)


@contextmanager
def peer_target(name: str, venvs: Path) -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        start, file = {"phoenix": (phoenix, "phoenix.db"), "mlflow": (mlflow, "mlflow.db")}[name]
        with start(venvs, Path(folder)) as backend:
            url, headers, _ = backend.destination("ingest")

            def stored() -> int:
                with sqlite3.connect(f"file:{Path(folder) / file}?mode=ro", uri=True, timeout=30) as database:
                    return int(database.execute("SELECT count(*) FROM spans").fetchone()[0])

            def size() -> int:
                return sum(path.stat().st_size for path in Path(folder).glob(f"{file}*"))

            yield Target(url, headers, stored, size)


def limits(batches: list[bytes]) -> tuple[float, float]:
    """Spans a second of decoding protobuf alone, and of appending a ready Arrow table to DuckDB."""
    spans = len(batches) * SPANS_IN_A_BATCH
    began = time.perf_counter()
    for batch in batches:
        ExportTraceServiceRequest.FromString(batch)
    decoded_s = time.perf_counter() - began
    payloads = [otlp.read("traces", batch, kind=otlp.PROTOBUF, encoding="") for batch in batches]
    tables = [rows.call_table(read_arrivals(payload).calls) for payload in payloads]
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDBStore.open(Path(folder) / "calls.duckdb")
        with store.cursor() as cursor:
            began = time.perf_counter()
            for table in tables:
                cursor.register("ready", table)
                cursor.execute(
                    "INSERT INTO llm_calls BY NAME "
                    "SELECT * REPLACE (attributes::JSON::VARIANT AS attributes) FROM ready"
                )
            appended_s = time.perf_counter() - began
        store.close()
    return spans / decoded_s, spans / appended_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "tierwise-apm-venvs")
    parser.add_argument("--batches", type=int, default=200, help="for tierwise (default: 200)")
    parser.add_argument(
        "--peer-batches", type=int, default=4, help="for each peer, which takes them slowly (default: 4)"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results: list[Result] = []
    bounds: dict[bool, tuple[float, float]] = {}
    for content in (False, True):

        def made(count: int, seed: int, content: bool = content) -> list[bytes]:
            plain = make_batches(count, calls_share=1.0, seed=seed)
            return with_content(plain) if content else plain

        bounds[content] = limits(made(40, 9))
        with tierwise_target() as target:
            send_all(target, made(4, 1))
            results.append(measured("tierwise", target, made(given.batches, 2), content=content))
        for name in ("phoenix", "mlflow"):
            with peer_target(name, given.venvs) as target:
                results.append(measured(name, target, made(given.peer_batches, 3), content=content))
    if given.json:
        print(json.dumps({"results": [asdict(result) for result in results], "limits": bounds}, indent=2))
        return
    for content in (False, True):
        ours, *others = [result for result in results if result.content == content]
        decoded, appended = bounds[content]
        print(f"\n{'with 2 KB of content' if content else 'without content'}")
        print(f"{'':12}{'spans':>9}{'acknowledged/s':>16}{'stored/s':>11}{'bytes a span':>14}{'tierwise is':>13}")
        for result in (ours, *others):
            print(
                f"{result.name:12}{result.spans:9,}{result.acknowledged_per_s:16,.0f}{result.stored_per_s:11,.0f}"
                f"{result.bytes_a_span:14,.0f}{ours.stored_per_s / result.stored_per_s:12.1f}x"
            )
        native = 1 / (1 / decoded + 1 / appended)
        print(
            f"one core: decodes {decoded:,.0f}/s, appends {appended:,.0f}/s, both {native:,.0f}/s: "
            f"tierwise stores {ours.stored_per_s / native:.0%} of that"
        )


if __name__ == "__main__":
    sys.exit(main())
