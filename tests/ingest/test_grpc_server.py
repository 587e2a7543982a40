from __future__ import annotations

import contextlib
import gzip
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.errors import CollectorUnavailable
from tierwise.ingest import grpc_server
from tierwise.ingest.intake import Unavailable
from tierwise.ingest.limits import MAX_BODY_BYTES, MAX_DECOMPRESSED_BYTES
from tierwise.ingest.serve import Collector, running_collector
from tierwise.ingest.wal import segment_paths
from tierwise.settings import Settings

Make = Callable[..., Any]
FILES = Path(__file__).parent / "certificates"
SERVICES = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


def free_port() -> int:
    """A free port below those that systems give to outgoing connections, so that none takes it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(path: Path, **settings: Any) -> Generator[Collector]:
    with running_collector(path, grpc_port=free_port(), settings=Settings(**settings)) as collector:
        yield collector


@pytest.fixture
def collector(tmp_path: Path) -> Generator[Collector]:
    """A collector that takes gRPC."""
    with running(tmp_path / "calls.duckdb") as opened:
        yield opened


@contextmanager
def channel(collector: Collector, **options: Any) -> Generator[grpc.Channel]:
    assert collector.grpc_address is not None
    with grpc.insecure_channel(collector.grpc_address, list(options.items())) as opened:
        yield opened


def send(collector: Collector, content: bytes, signal: str = "traces", **options: Any) -> bytes:
    """The response to a call. Raises grpc.RpcError."""
    with channel(collector) as opened:
        return opened.unary_unary(SERVICES[signal])(content, timeout=20, **options)


def refusal(collector: Collector, content: bytes, signal: str = "traces", **options: Any) -> Any:
    """The error that a call is answered with."""
    with pytest.raises(grpc.RpcError) as caught:
        send(collector, content, signal, **options)
    return caught.value


def stored(collector: Collector) -> list[int]:
    assert collector.flush()
    return sorted(int(span_id, 16) for span_id in collector.store.query("calls")["span_id"].to_pylist())


class TestTaken:
    @pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
    def test_spans_are_stored(self, collector: Collector, protobuf_request: Make, compression: Any) -> None:
        """A call is answered with an empty response, compressed or not, and its spans are stored."""
        content = protobuf_request(1, 2, text="x" * 5000).SerializeToString()

        assert send(collector, content, compression=compression) == b""

        assert stored(collector) == [1, 2]

    def test_bytes_stay_as_they_came(self, collector: Collector, protobuf_request: Make, tmp_path: Path) -> None:
        """A compressed message is kept compressed, so that the log grows no faster than the network."""
        content = protobuf_request(1, text="x" * 500_000).SerializeToString()

        send(collector, content, compression=grpc.Compression.Gzip)

        (segment,) = segment_paths(tmp_path / "calls.duckdb.ingest")
        assert segment.stat().st_size < 10_000

    def test_evaluations_are_stored(self, collector: Collector) -> None:
        """Log events that are evaluations arrive as over HTTP."""
        request = ExportLogsServiceRequest()
        record = request.resource_logs.add().scope_logs.add().log_records.add(event_name="gen_ai.evaluation.result")
        record.trace_id, record.span_id, record.time_unix_nano = (
            bytes(15) + b"\1",
            bytes(7) + b"\1",
            1_790_000_000 * 10**9,
        )
        name, score = record.attributes.add(), record.attributes.add()
        name.key, name.value.string_value = "gen_ai.evaluation.name", "exact"
        score.key, score.value.double_value = "gen_ai.evaluation.score.value", 1.0

        assert send(collector, request.SerializeToString(), "logs") == b""
        assert collector.flush()

        assert collector.store.sql("SELECT name, score FROM evaluations").to_pylist() == [
            {"name": "exact", "score": 1.0}
        ]

    def test_metrics_are_taken_and_dropped(self, collector: Collector, tmp_path: Path) -> None:
        """Metrics are acknowledged, so that their sender is content, and not kept."""
        request = ExportMetricsServiceRequest()
        request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")

        assert send(collector, request.SerializeToString(), "metrics") == b""

        assert segment_paths(tmp_path / "calls.duckdb.ingest") == []

    def test_refused_spans_are_counted_in_the_answer(self, collector: Collector, protobuf_request: Make) -> None:
        """Spans that cannot be stored are a partial success, and the others are stored."""
        request = protobuf_request(1, 2)
        request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""

        response = ExportTraceServiceResponse.FromString(send(collector, request.SerializeToString()))

        assert response.partial_success.rejected_spans == 1
        assert "trace id" in response.partial_success.error_message
        assert stored(collector) == [2]

    def test_same_bytes_over_both_protocols_are_stored_once(self, collector: Collector, protobuf_request: Make) -> None:
        """Whichever way a request comes again, it is the same request."""
        import urllib.request

        content = protobuf_request(1).SerializeToString()
        send(collector, content)
        headers = {"Content-Type": "application/x-protobuf"}
        with urllib.request.urlopen(urllib.request.Request(f"{collector.url}/v1/traces", content, headers)) as response:
            assert response.status == 200

        assert stored(collector) == [1]
        assert collector.intake.metrics.value("tierwise_requests_repeated_total") == 1

    def test_many_clients_at_once(self, collector: Collector, protobuf_request: Make) -> None:
        """Clients with connections of their own do not get in each other's way."""
        requests = [protobuf_request(number).SerializeToString() for number in range(1, 65)]

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda content: send(collector, content), requests))

        assert answers == [b""] * 64
        assert stored(collector) == list(range(1, 65))

    def test_opentelemetry_exporter_delivers(self, tmp_path: Path) -> None:
        """What OpenTelemetry's own gRPC exporter sends over TLS with a token is in the store."""
        exporters = pytest.importorskip(
            "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", reason="OpenTelemetry's gRPC exporter is missing"
        )
        call = Call("chat", "openai", "gpt-4o-mini", usage=Usage(input_tokens=1000, output_tokens=100))
        files = {"tls_cert": str(FILES / "valid.pem"), "tls_key": str(FILES / "key.pem")}
        with running(tmp_path / "calls.duckdb", token="s3cret", **files) as collector:
            credentials = grpc.ssl_channel_credentials((FILES / "valid.pem").read_bytes())
            for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                exporter = exporters.OTLPSpanExporter(
                    endpoint=f"https://{collector.grpc_address}",
                    credentials=credentials,
                    headers={"authorization": "Bearer s3cret"},
                    compression=compression,
                )
                provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
                provider.add_span_processor(BatchSpanProcessor(exporter))
                with provider.get_tracer("app").start_as_current_span("POST /order"):
                    provider.get_tracer("tierwise").start_span("chat", attributes=to_attributes(call)).end()
                provider.shutdown()
            assert collector.flush()

            assert collector.store.query("calls").num_rows == 2
            assert (
                collector.store.sql("SELECT name, service_name FROM spans").to_pylist()
                == [{"name": "POST /order", "service_name": "shop"}] * 2
            )


class TestRefused:
    @pytest.mark.parametrize("signal", ["traces", "logs"])
    @pytest.mark.parametrize(
        "content",
        [
            b"\xff\xff",
            gzip.compress(b"x")[:-3],
            gzip.compress(bytes(MAX_DECOMPRESSED_BYTES + 1)),
            zlib.compress(bytes(MAX_DECOMPRESSED_BYTES + 1)),
        ],
        ids=["garbage", "cut gzip", "gzip bomb", "deflate bomb"],
    )
    def test_bad_message_is_final(self, collector: Collector, content: bytes, signal: str) -> None:
        """A message that is no use is refused with a code that exporters do not retry, and says why."""
        error = refusal(collector, content, signal)

        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        assert (status.code, status.message, list(status.details)) == (3, error.details(), [])

    def test_message_above_the_limit_is_refused(self, collector: Collector, protobuf_request: Make) -> None:
        """gRPC refuses what is too large before it is here, without asking for more of it; the next is taken."""
        error = refusal(collector, bytes(MAX_BODY_BYTES + 1))

        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ())
        assert send(collector, protobuf_request(1).SerializeToString()) == b""

    def test_call_without_a_message_is_refused(self, collector: Collector) -> None:
        """A call must bring one message."""
        with channel(collector) as opened, pytest.raises(grpc.RpcError) as caught:
            opened.stream_unary(SERVICES["traces"])(iter(()), timeout=20)

        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_other_services_are_not_there(self, collector: Collector) -> None:
        """A method that OTLP does not have is unimplemented."""
        with channel(collector) as opened, pytest.raises(grpc.RpcError) as caught:
            opened.unary_unary("/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export")(b"", timeout=20)

        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    def test_unavailable_says_when_to_come_back(
        self, collector: Collector, protobuf_request: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A collector that cannot take more answers UNAVAILABLE, with RetryInfo of one second."""

        def accept(body: object) -> None:
            raise Unavailable("too much waits to be landed")

        with monkeypatch.context() as patched:
            patched.setattr(type(collector.intake), "accept", lambda self, body: accept(body))
            error = refusal(collector, protobuf_request(1).SerializeToString())

        status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        retry = RetryInfo()
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "too much waits to be landed")
        assert status.code == 14
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.seconds == 1
        assert collector.intake.metrics.value("tierwise_retries_asked_total", protocol="grpc") == 1

    def test_too_many_calls_are_told_to_come_back(
        self, collector: Collector, protobuf_request: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Calls past the bound are refused before their messages are read."""
        monkeypatch.setattr(grpc_server, "_MAX_CALLS", 0)

        assert refusal(collector, protobuf_request(1).SerializeToString()).code() is grpc.StatusCode.UNAVAILABLE

    def test_dawdling_calls_end_and_hold_nobody_up(
        self, collector: Collector, protobuf_request: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many calls send nothing, others are answered at once; theirs end after a while."""
        monkeypatch.setattr(grpc_server, "RECEIVE_S", 0.5)
        over = threading.Event()

        def nothing() -> Generator[bytes]:
            over.wait(20)
            yield from ()

        with channel(collector) as opened:
            dawdling = [opened.stream_unary(SERVICES["traces"]).future(nothing(), timeout=20) for _ in range(40)]
            started = time.monotonic()
            assert send(collector, protobuf_request(1).SerializeToString()) == b""
            waited_s = time.monotonic() - started
            codes = {call.code() for call in dawdling}
            over.set()

        assert waited_s < 5
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}

    def test_calls_are_counted_by_their_status(self, collector: Collector, protobuf_request: Make) -> None:
        """/metrics tells protocols apart."""
        content = protobuf_request(1).SerializeToString()
        send(collector, content)
        refusal(collector, b"\xff")

        metrics = collector.intake.metrics
        assert metrics.value("tierwise_requests_total", protocol="grpc", signal="traces", status="OK") == 1
        assert (
            metrics.value("tierwise_requests_total", protocol="grpc", signal="traces", status="INVALID_ARGUMENT") == 1
        )
        assert metrics.value("tierwise_request_bytes_total", protocol="grpc", signal="traces") == len(content) + 1


class TestGuarded:
    @pytest.mark.parametrize("signal", SERVICES)
    @pytest.mark.parametrize("header", [None, "", "Bearer wrong", "bearer s3cret", "s3cret"])
    def test_without_the_token_nothing_is_taken(self, tmp_path: Path, signal: str, header: str | None) -> None:
        """A call without the token is refused, whatever it calls."""
        metadata = () if header is None else (("authorization", header),)
        with running(tmp_path / "calls.duckdb", token="s3cret") as collector:
            assert refusal(collector, b"", signal, metadata=metadata).code() is grpc.StatusCode.UNAUTHENTICATED
            assert send(collector, b"", signal, metadata=(("authorization", "Bearer s3cret"),)) == b""

    def test_tls_is_spoken(self, tmp_path: Path, protobuf_request: Make) -> None:
        """With a certificate, clients that trust it are answered, and nothing is taken in the clear."""
        files = {"tls_cert": str(FILES / "valid.pem"), "tls_key": str(FILES / "key.pem")}
        content = protobuf_request(1).SerializeToString()
        with running(tmp_path / "calls.duckdb", **files) as collector:
            assert collector.grpc_address is not None
            credentials = grpc.ssl_channel_credentials((FILES / "valid.pem").read_bytes())
            with grpc.secure_channel(collector.grpc_address, credentials) as opened:
                assert opened.unary_unary(SERVICES["traces"])(content, timeout=20) == b""

            assert refusal(collector, content).code() is grpc.StatusCode.UNAVAILABLE
            assert stored(collector) == [1]


class TestAddress:
    def test_taken_port_is_said(self, tmp_path: Path) -> None:
        """A port that something else listens on is an error that names it and the option, and opens no file."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]

            with (
                pytest.raises(CollectorUnavailable, match=f"{port}.*--grpc-port"),
                running_collector(tmp_path / "x.duckdb", grpc_port=port),
            ):
                pass

        assert list(tmp_path.iterdir()) == []

    def test_call_under_way_is_answered_when_stopping(
        self, tmp_path: Path, protobuf_request: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A collector that stops answers what it has begun, and what it answered is in the file."""
        from tierwise.store.duckdb import DuckDBStore

        path = tmp_path / "calls.duckdb"
        begun = threading.Event()
        with running(path) as collector, ThreadPoolExecutor(1) as pool:
            accept = type(collector.intake).accept

            def slowly(self: Any, body: Any) -> Any:
                begun.set()
                time.sleep(0.5)
                return accept(self, body)

            monkeypatch.setattr(type(collector.intake), "accept", slowly)
            answer = pool.submit(send, collector, protobuf_request(1).SerializeToString())
            assert begun.wait(10)
            collector.end()
            assert answer.result() == b""

        store = DuckDBStore.open(path)
        assert store.query("calls").num_rows == 1
        store.close()
