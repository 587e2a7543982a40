from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.errors import CollectorUnavailable, MissingExtra, SettingsError, StoreLocked
from tierwise.ingest import serve as serve_module
from tierwise.ingest.serve import Collector, running_collector, serve
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

    def ready(collector: Collector) -> None:
        urls.append(collector.url)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    serve(Settings(db=f"duckdb:{path}"), port=0, grpc_port=0, ready=ready)

    assert urls[0].startswith("http://127.0.0.1:")
    assert signal.getsignal(signal.SIGTERM) is before
    DuckDBStore.open(path).close()


FILES = Path(__file__).parent / "certificates"
TLS = Settings(tls_cert=str(FILES / "valid.pem"), tls_key=str(FILES / "key.pem"))


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    """With a certificate the collector's URL is https, for those who trust it, and plain HTTP is not answered."""
    trusting = ssl.create_default_context(cafile=TLS.tls_cert)
    with running_collector(tmp_path / "calls.duckdb", settings=TLS) as collector:
        assert collector.url.startswith("https://127.0.0.1:")
        with urllib.request.urlopen(f"{collector.url}/healthz", context=trusting, timeout=10) as response:
            assert response.status == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{collector.url}/healthz", timeout=10)
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as the system has it
            urllib.request.urlopen(collector.url.replace("https", "http") + "/healthz", timeout=10)


def test_certificate_of_no_use_opens_nothing(tmp_path: Path) -> None:
    """An expired certificate is said before the file is opened."""
    settings = replace(TLS, db=f"duckdb:{tmp_path / 'x.duckdb'}", tls_cert=str(FILES / "expired.pem"))

    with pytest.raises(SettingsError, match="expired"):
        serve(settings, port=0)

    assert list(tmp_path.iterdir()) == []


def test_missing_grpcio_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without grpcio the collector serves HTTP and warns; when gRPC is asked for it does not start."""
    monkeypatch.setattr(serve_module, "find_spec", lambda name: None if name == "grpc" else find_spec(name))
    addresses: list[str | None] = []

    def ready(collector: Collector) -> None:
        addresses.append(collector.grpc_address)
        collector.end()

    serve(Settings(db=f"duckdb:{tmp_path / 'x.duckdb'}"), port=0, ready=ready)
    with pytest.raises(MissingExtra, match=r"tierwise\[collector\]"):
        serve(Settings(db=f"duckdb:{tmp_path / 'y.duckdb'}"), port=0, grpc_port=4317)

    assert addresses == [None]
    assert "--grpc-port 0" in caplog.text


def test_taken_default_port_of_grpc_is_only_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where 4317 is another's and nobody asked for it, HTTP is served all the same."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(serve_module, "DEFAULT_GRPC_PORT", other.getsockname()[1])

        serve(Settings(db=f"duckdb:{tmp_path / 'x.duckdb'}"), port=0, ready=Collector.end)

    assert "no OTLP over gRPC" in caplog.text


def test_default_port_of_grpc_is_used_where_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask for gRPC."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(serve_module, "DEFAULT_GRPC_PORT", port)
    answered: list[bool] = []

    def ready(collector: Collector) -> None:
        with socket.create_connection(("127.0.0.1", port), 10):
            answered.append(collector.grpc_address == f"127.0.0.1:{port}")
        collector.end()

    serve(Settings(db=f"duckdb:{tmp_path / 'x.duckdb'}"), port=0, ready=ready)

    assert answered == [True]
