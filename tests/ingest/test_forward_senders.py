from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent import futures
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tierwise.destinations import Destination
from tierwise.errors import SettingsError
from tierwise.ingest.forward_senders import Answer, GrpcSender, HttpSender, open_sender
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.serve import running_collector
from tierwise.ingest.wal import Body
from tierwise.settings import Settings

BODY = Body("traces", PROTOBUF, "", b"")
FILES = Path(__file__).parent / "certificates"


def sent(destination: Destination) -> Answer:
    with closing(open_sender(destination, {})) as sender:
        return sender.send(BODY)


def partial_success() -> bytes:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "no valid ids"
    return response.SerializeToString()


class TestHttp:
    def test_bytes_arrive_as_they_are(self, fake_destination: Any) -> None:
        """Path, type, encoding and headers are OTLP's, the body is untouched, and the connection is kept."""
        destination = Destination(f"{fake_destination.url}/otlp")
        sender = HttpSender(destination, {"authorization": "Bearer x"})

        answers = [sender.send(Body("traces", PROTOBUF, "gzip", b"a")), sender.send(Body("logs", PROTOBUF, "", b"b"))]

        assert answers == [Answer("taken"), Answer("taken")]
        (path, headers, content), (other_path, other_headers, _) = fake_destination.requests
        assert (path, other_path, content) == ("/otlp/v1/traces", "/otlp/v1/logs", b"a")
        assert headers["authorization"] == "Bearer x"
        assert headers["content-type"] == PROTOBUF
        assert headers["content-encoding"] == "gzip"
        assert "content-encoding" not in other_headers
        sender.close()

    @pytest.mark.parametrize(
        ("status", "verdict"),
        [
            (200, "taken"),
            (307, "retry"),
            (400, "refused"),
            (401, "refused"),
            (413, "refused"),
            (408, "retry"),
            (429, "retry"),
            (500, "failed"),
            (501, "failed"),
            (502, "retry"),
            (503, "retry"),
            (504, "retry"),
        ],
    )
    def test_what_a_status_means(self, fake_destination: Any, status: int, verdict: str) -> None:
        """OTLP's retryable statuses are retried, other 4xx are final, other 5xx may be the request's doing."""
        fake_destination.answer = (status, {}, b"because")

        answer = sent(Destination(fake_destination.url))

        assert answer.verdict == verdict
        assert answer.error == ("" if status == 200 else f"HTTP {status}")

    def test_retry_after(self, fake_destination: Any) -> None:
        """Retry-After is seconds or a date; nonsense is none."""
        sender = HttpSender(Destination(fake_destination.url), {})
        found: list[float | None] = []
        for value in ("7", format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True), "soon"):
            fake_destination.answer = (503, {"Retry-After": value}, b"")
            found.append(sender.send(BODY).retry_after_s)
        sender.close()

        assert found[0] == 7.0
        assert found[1] is not None
        assert 50 < found[1] <= 60
        assert found[2] is None

    def test_partial_success(self, fake_destination: Any) -> None:
        """What the destination left out, and why, is in the answer."""
        fake_destination.answer = (200, {"content-type": PROTOBUF}, partial_success())

        answer = sent(Destination(fake_destination.url))

        assert answer == Answer("taken", detail="no valid ids", rejected=2)

    def test_reason_is_read_from_otlp_status(self, fake_destination: Any) -> None:
        """The message of OTLP's error body is the detail."""
        content = Status(code=3, message="no spans here").SerializeToString()
        fake_destination.answer = (400, {"content-type": PROTOBUF}, content)

        assert sent(Destination(fake_destination.url)).detail == "no spans here"

    def test_connection_that_the_server_closed(self, fake_destination: Any) -> None:
        """A kept connection that is closed meanwhile is opened again without an error."""
        sender = HttpSender(Destination(fake_destination.url), {})
        fake_destination.answer = (200, {"Connection": "close"}, b"")
        first = sender.send(BODY)
        fake_destination.down()
        fake_destination.up()

        assert [first.verdict, sender.send(BODY).verdict] == ["taken", "taken"]
        sender.close()

    def test_nobody_there(self, fake_destination: Any) -> None:
        """A refused connection is tried again later."""
        fake_destination.down()

        answer = sent(Destination(fake_destination.url))

        assert (answer.verdict, answer.error) == ("retry", "ConnectionRefusedError")

    def test_what_hangs_can_be_interrupted(self) -> None:
        """A destination that never answers does not keep the thread that sends when the collector stops."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            sender = HttpSender(Destination(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=30), {})
            threading.Timer(0.2, sender.interrupt).start()
            started = time.monotonic()

            answer = sender.send(BODY)
            sender.close()

        assert answer.verdict == "retry"
        assert time.monotonic() - started < 5

    def test_hanging_times_out(self) -> None:
        """A destination that never answers is given up after the timeout."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            destination = Destination(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)

            assert sent(destination).error == "timeout"


Handler = Callable[[bytes, Any], bytes]


@pytest.fixture
def grpc_server() -> Generator[tuple[str, list[Handler]]]:
    """A gRPC endpoint for traces; the handler in the list answers."""
    handlers: list[Handler] = []
    method = grpc.unary_unary_rpc_method_handler(lambda request, context: handlers[0](request, context))
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": method}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}", handlers
    server.stop(None).wait()


class TestGrpc:
    def test_bytes_and_metadata_arrive(self, grpc_server: tuple[str, list[Handler]]) -> None:
        """The body is untouched, headers are metadata, and a partial success is read."""
        url, handlers = grpc_server
        seen: list[tuple[bytes, dict[str, str]]] = []

        def handle(request: bytes, context: Any) -> bytes:
            seen.append((request, dict(context.invocation_metadata())))
            return partial_success()

        handlers.append(handle)
        sender = open_sender(Destination(url), {"authorization": "Bearer x"})

        answer = sender.send(Body("traces", PROTOBUF, "", b"spans"))

        assert answer == Answer("taken", detail="no valid ids", rejected=2)
        assert seen[0][0] == b"spans"
        assert seen[0][1]["authorization"] == "Bearer x"
        sender.close()

    @pytest.mark.parametrize(
        ("code", "verdict"),
        [
            (grpc.StatusCode.UNAVAILABLE, "retry"),
            (grpc.StatusCode.DEADLINE_EXCEEDED, "retry"),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "refused"),
            (grpc.StatusCode.INVALID_ARGUMENT, "refused"),
            (grpc.StatusCode.UNAUTHENTICATED, "refused"),
            (grpc.StatusCode.INTERNAL, "failed"),
        ],
    )
    def test_what_a_code_means(self, grpc_server: tuple[str, list[Handler]], code: Any, verdict: str) -> None:
        """OTLP's retryable codes are retried, the rest is final or may be the request's doing."""
        url, handlers = grpc_server
        handlers.append(lambda _, context: context.abort(code, "because"))
        sender = GrpcSender(Destination(url), {})

        answer = sender.send(BODY)

        assert (answer.verdict, answer.error, answer.detail) == (verdict, code.name, "because")
        sender.close()

    def test_retry_info_is_honoured(self, grpc_server: tuple[str, list[Handler]]) -> None:
        """RESOURCE_EXHAUSTED with RetryInfo is full for now, and says for how long."""
        url, handlers = grpc_server
        info = RetryInfo()
        info.retry_delay.seconds = 3
        packed = AnyMessage()
        packed.Pack(info)
        status = Status(code=8, message="full", details=[packed]).SerializeToString()

        def handle(_: bytes, context: Any) -> bytes:
            context.set_trailing_metadata((("grpc-status-details-bin", status),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
            return b""

        handlers.append(handle)
        sender = GrpcSender(Destination(url), {})

        assert sender.send(BODY) == Answer("retry", "RESOURCE_EXHAUSTED", "full", 3.0)
        sender.close()

    def test_nobody_there(self) -> None:
        """A refused connection is tried again later; a closed channel too."""
        sender = GrpcSender(Destination("grpc://127.0.0.1:9", timeout_s=2), {})

        answer = sender.send(BODY)
        sender.close()

        assert (answer.verdict, answer.error) == ("retry", "UNAVAILABLE")
        assert sender.send(BODY).verdict == "retry"


def test_tls_trusts_the_ca_file_alone(tmp_path: Path) -> None:
    """Over https a certificate is taken when the `ca` file vouches for it, and not otherwise."""
    certificate = str(FILES / "valid.pem")
    settings = Settings(tls_cert=certificate, tls_key=str(FILES / "key.pem"))
    with running_collector(tmp_path / "calls.duckdb", settings=settings) as collector:
        trusting = sent(Destination(collector.url, ca=certificate))
        wary = sent(Destination(collector.url))

    assert trusting.verdict == "taken"
    assert (wary.verdict, wary.error) == ("retry", "SSLCertVerificationError")


def test_useless_ca_file_is_refused(tmp_path: Path) -> None:
    """A `ca` file without certificates is said before anything is sent."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing")

    with pytest.raises(SettingsError, match="ca"):
        open_sender(Destination("https://127.0.0.1:1", ca=str(file)), {})
