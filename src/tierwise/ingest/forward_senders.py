"""One OTLP request to another endpoint, over HTTP or gRPC, and what its answer means for the next."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tierwise.destinations import Destination, Signal
from tierwise.errors import MissingExtra, SettingsError
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.wal import Body

_MOST_OF_AN_ANSWER_BYTES: Final = 64 * 1024
Verdict = Literal["taken", "retry", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt."""

    verdict: Verdict
    """taken; retry: not now; failed: the destination broke over it, which may be the request's doing; refused: sending
    it again is no use."""
    error: str = ""
    """Why it was not taken, in few words and few kinds of them, such as `HTTP 503`."""
    detail: str = ""
    """What the destination says about it."""
    retry_after_s: float | None = None
    """How long it asks to be left alone."""
    rejected: int = 0
    """Spans or log records left out of a request that was taken."""


class Sender(Protocol):
    """A connection to a destination."""

    encodings: ClassVar[tuple[str, ...]]
    """Content encodings it can send."""

    def send(self, body: Body) -> Answer:
        """Send a request in protobuf; nothing is raised for what a network or a server can do."""
        ...

    def interrupt(self) -> None:
        """Make a `send()` that is under way in another thread return."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def open_sender(destination: Destination, headers: Mapping[str, str]) -> Sender:
    """What sends to `destination`; nothing is connected yet.

    Raises:
        SettingsError: the `ca` file holds no certificates.
        MissingExtra: it is gRPC, and grpcio is not installed.
    """
    sender = GrpcSender if destination.endpoint.startswith("grpc") else HttpSender
    return sender(destination, headers)


class HttpSender:
    """OTLP/HTTP over one connection that is kept."""

    encodings: ClassVar[tuple[str, ...]] = ("", "gzip")

    def __init__(self, destination: Destination, headers: Mapping[str, str]) -> None:
        parts = urlsplit(destination.endpoint)
        self._path = parts.path
        self._headers = {"content-type": PROTOBUF, "user-agent": "tierwise-collector", **headers}
        self._interrupted = False
        self._connection: http.client.HTTPConnection
        host, timeout_s = parts.hostname or "", destination.timeout_s
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=destination.ca)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"forward: {destination.endpoint}: ca {destination.ca!r}: {error}") from error
            self._connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)

    def send(self, body: Body) -> Answer:
        is_reused = self._connection.sock is not None
        try:
            try:
                status, headers, content = self._post(body)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # A server may close a connection that rests just when the next request is on its way.
                self._connection.close()
                if not is_reused or self._interrupted:
                    raise
                status, headers, content = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer("retry", "timeout" if isinstance(error, TimeoutError) else type(error).__name__, str(error))
        return _http_answer(body.signal, status, headers, content)

    def _post(self, body: Body) -> tuple[int, Mapping[str, str], bytes]:
        headers = {**self._headers, "content-encoding": body.encoding} if body.encoding else self._headers
        self._connection.request("POST", f"{self._path}/v1/{body.signal}", body.content, headers)
        response = self._connection.getresponse()
        content = response.read(_MOST_OF_AN_ANSWER_BYTES)
        if not response.isclosed():
            self._connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    def interrupt(self) -> None:
        self._interrupted = True
        sock = self._connection.sock
        if sock is not None:
            # Closing would leave a read in another thread waiting for its timeout.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


def _http_answer(signal: Signal, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    if 200 <= status < 300:
        return _taken(signal, content if headers.get("content-type", PROTOBUF).startswith(PROTOBUF) else b"")
    error = f"HTTP {status}"
    if 300 <= status < 400:
        return Answer("retry", error, f"it redirects to {headers.get('location', 'nowhere')}: name that address")
    detail = _detail(content, headers.get("content-type", ""))
    if status in (408, 429, 502, 503, 504):
        return Answer("retry", error, detail, _retry_after_s(headers.get("retry-after")))
    return Answer("failed" if status >= 500 else "refused", error, detail)


def _detail(content: bytes, content_type: str) -> str:
    if content_type.startswith(PROTOBUF):
        try:
            return Status.FromString(content).message[:300]
        except DecodeError:
            return ""
    return " ".join(content[:300].decode("utf-8", "replace").split())


def _retry_after_s(value: str | None) -> float | None:
    """Seconds in a Retry-After header, which holds them or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _taken(signal: Signal, content: bytes) -> Answer:
    try:
        if signal == "traces":
            partial = ExportTraceServiceResponse.FromString(content).partial_success
            return Answer("taken", detail=partial.error_message, rejected=partial.rejected_spans)
        logs = ExportLogsServiceResponse.FromString(content).partial_success
        return Answer("taken", detail=logs.error_message, rejected=logs.rejected_log_records)
    except DecodeError:
        return Answer("taken")


_METHODS: Final[Mapping[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_GRPC_RETRY: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
_GRPC_FAILED: Final = frozenset({"UNKNOWN", "INTERNAL"})


class GrpcSender:
    """OTLP/gRPC; the request's bytes go out without being decoded."""

    encodings: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, destination: Destination, headers: Mapping[str, str]) -> None:
        try:
            import grpc  # costs a fifth of a second and 20 MB
        except ModuleNotFoundError as error:
            raise MissingExtra(f"forwarding to {destination.endpoint}", "collector") from error
        parts = urlsplit(destination.endpoint)
        options = [("grpc.max_send_message_length", -1), ("grpc.max_reconnect_backoff_ms", 5000)]
        if parts.scheme == "grpcs":
            try:
                # None: the system's certificates are trusted.
                roots = Path(destination.ca).read_bytes() if destination.ca else None
            except OSError as error:
                raise SettingsError(f"forward: {destination.endpoint}: ca {destination.ca!r}: {error}") from error
            self._channel = grpc.secure_channel(parts.netloc, grpc.ssl_channel_credentials(roots), options)
        else:
            self._channel = grpc.insecure_channel(parts.netloc, options)
        self._calls: dict[Signal, Callable[..., Any]] = {
            signal: self._channel.unary_unary(method) for signal, method in _METHODS.items()
        }
        self._metadata = tuple(headers.items())
        self._timeout_s = destination.timeout_s
        self._error: type[Exception] = grpc.RpcError

    def send(self, body: Body) -> Answer:
        try:
            content = self._calls[body.signal](body.content, timeout=self._timeout_s, metadata=self._metadata)
        except self._error as error:
            return _grpc_answer(error)
        except ValueError:
            return Answer("retry", "closed")
        return _taken(body.signal, content)

    def interrupt(self) -> None:
        self._channel.close()

    def close(self) -> None:
        self._channel.close()


def _grpc_answer(error: Any) -> Answer:
    code: str = error.code().name
    wait_s = next(
        (_retry_info_s(value) for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"),
        None,
    )
    # A destination that is full for good says the same without RetryInfo, as it does to a message that is too large.
    if code in _GRPC_RETRY or (code == "RESOURCE_EXHAUSTED" and wait_s is not None):
        return Answer("retry", code, str(error.details() or "")[:300], wait_s)
    return Answer("failed" if code in _GRPC_FAILED else "refused", code, str(error.details() or "")[:300])


def _retry_info_s(value: bytes) -> float | None:
    try:
        for detail in Status.FromString(value).details:
            info = RetryInfo()
            if detail.Unpack(info):
                return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    except DecodeError:
        return None
    return None
