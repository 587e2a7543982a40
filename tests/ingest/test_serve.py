from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.errors import CollectorUnavailable, SettingsError, StoreLocked
from tierwise.ingest.serve import running_collector, serve
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.store.duckdb import DuckDBStore


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_opentelemetry_exporter_delivers(tmp_path: Path, compression: Compression) -> None:
    """What OpenTelemetry's own exporter sends over a socket is in the store, calls and spans around them."""
    call = Call("chat", "openai", "gpt-4o-mini", usage=Usage(input_tokens=1000, output_tokens=100))
    with running_collector(tmp_path / "calls.duckdb") as collector:
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", compression=compression)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        with provider.get_tracer("app").start_as_current_span("POST /order"):
            for _ in range(3):
                provider.get_tracer("tierwise").start_span("chat gpt-4o-mini", attributes=to_attributes(call)).end()
        provider.shutdown()
        assert collector.flush()

        store = open_store(collector.url)
        spans = store.sql("SELECT span_id, name, service_name FROM spans").to_pylist()
        calls = store.query("calls").to_pylist()

    assert [(span["name"], span["service_name"]) for span in spans] == [("POST /order", "shop")]
    assert len(calls) == 3
    assert {call["parent_span_id"] for call in calls} == {spans[0]["span_id"]}


def test_file_is_free_after_the_block(tmp_path: Path) -> None:
    """When the collector has stopped the file can be opened, and nothing of it lies about but the file."""
    path = tmp_path / "calls.duckdb"
    with running_collector(path):
        pass

    DuckDBStore.open(path).close()
    assert {entry.name for entry in tmp_path.iterdir()} == {"calls.duckdb", "calls.duckdb.ingest"}


def test_taken_port_is_said(tmp_path: Path) -> None:
    """A port that something else listens on is an error that names it, and leaves the file alone."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(CollectorUnavailable, match=str(port)), running_collector(tmp_path / "x.duckdb", port=port):
            pass

    assert list(tmp_path.iterdir()) == []


def test_second_collector_on_a_file_is_refused(tmp_path: Path) -> None:
    """Two collectors on one file are one too many, also in one process."""
    path = tmp_path / "calls.duckdb"
    with (
        running_collector(path) as first,
        pytest.raises(StoreLocked, match=first.url),
        running_collector(path),
    ):
        pass


@pytest.mark.parametrize("db", ["memory:", "http://127.0.0.1:4318", "duckdb:"])
def test_only_a_file_can_be_collected_into(db: str) -> None:
    """A collector on anything but a DuckDB file is a setting that cannot be used."""
    with pytest.raises(SettingsError, match="duckdb:PATH"):
        serve(Settings(db=db), port=0)


def test_network_is_not_served_without_a_token(tmp_path: Path) -> None:
    """Off loopback a token is needed before anything is opened."""
    with pytest.raises(SettingsError, match="TIERWISE_TOKEN"):
        serve(Settings(db=f"duckdb:{tmp_path / 'x.duckdb'}"), host="0.0.0.0", port=0)

    assert list(tmp_path.iterdir()) == []


def test_signal_ends_serving_and_lets_go(tmp_path: Path) -> None:
    """SIGTERM makes serve() return, after which the file is free and the old handlers are back."""
    path = tmp_path / "calls.duckdb"
    before = signal.getsignal(signal.SIGTERM)
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    serve(Settings(db=f"duckdb:{path}"), port=0, ready=ready)

    assert urls[0].startswith("http://127.0.0.1:")
    assert signal.getsignal(signal.SIGTERM) is before
    DuckDBStore.open(path).close()
