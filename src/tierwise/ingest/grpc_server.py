"""OTLP over gRPC: the same requests, the same way to disk, acknowledged when they are there."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tierwise.errors import CollectorUnavailable, MalformedPayload
from tierwise.ingest import otlp
from tierwise.ingest.intake import Unavailable
from tierwise.ingest.limits import MAX_BODY_BYTES, PayloadTooLarge
from tierwise.ingest.reception import RECEIVE_S, Reception
from tierwise.ingest.tls import Identity
from tierwise.ingest.wal import Body

_SIGNALS: Final[dict[str, otlp.OfferedSignal]] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_BODY_BYTES),
    # Messages come as they were sent, so that they are kept that small and inflated under our own limit.
    ("grpc.per_message_decompression", 0),
    # Otherwise the system would share the port with whatever else asks for it, and each would get some connections.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 128),
    # A client that vanished is noticed; one that asks whether we live, as often as every ten seconds, is answered.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
_MAX_CALLS: Final = 512
"""Calls under way at a time, over all connections."""

_Handler = Callable[[Any, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]


class GrpcServer:
    """OTLP's three services on one port. Belongs to the event loop that started it."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Use `start()`."""
        self._server = server

    @classmethod
    async def start(
        cls, reception: Reception, address: str, *, token: str | None = None, identity: Identity | None = None
    ) -> GrpcServer:
        """Begin to accept calls at `address` (`host:port`).

        Args:
            token: what the metadata `authorization` of every call must bear; None: whoever reaches the address may
                call. A web page cannot, as browsers speak no gRPC, so no host name is looked at.
            identity: what to encrypt with; None: calls come in the clear.

        Raises:
            CollectorUnavailable: the address is taken.
        """
        server = grpc.aio.server(options=_OPTIONS, handlers=(_Services(reception, token),))
        try:
            if identity is None:
                server.add_insecure_port(address)
            else:
                pair = (identity.key, identity.certificate)
                server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise CollectorUnavailable(f"the collector cannot listen on {address} for gRPC: {error}") from error
        await server.start()
        return cls(server)

    async def stop(self, grace_s: float) -> None:
        """Take no new call, and end those under way after `grace_s`."""
        await self._server.stop(grace_s)


class _Services(grpc.GenericRpcHandler):
    """Finds the service that a call is for. Generic, for generated stubs want the very grpcio they were made with."""

    def __init__(self, reception: Reception, token: str | None) -> None:
        self._reception = reception
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._calls = 0

    def service(self, handler_call_details: Any) -> Any:
        signal = _SIGNALS.get(handler_call_details.method)
        # A stream on our side, which on the wire is the same: so a call can be refused before its message is read.
        return None if signal is None else grpc.stream_unary_rpc_method_handler(self._export(signal))

    def _export(self, signal: otlp.OfferedSignal) -> _Handler:
        async def export(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            size = 0
            refusals: tuple[str, ...] = ()
            code, message = grpc.StatusCode.OK, ""
            self._calls += 1
            with self._reception.holding() as hold:
                try:
                    self._admit(context)
                    content = await _message(context)
                    size = len(content)
                    hold.add(size)
                    if signal != "metrics":
                        body = Body(signal, otlp.PROTOBUF, _encoding(content), content)
                        refusals = (await self._reception.accept(body)).refusals
                except _Unauthenticated:
                    code, message = grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed: the collector's own"
                except TimeoutError:
                    code = grpc.StatusCode.DEADLINE_EXCEEDED
                    message = f"the message did not come within {RECEIVE_S:.0f} s"
                except (MalformedPayload, PayloadTooLarge) as error:
                    # Not RESOURCE_EXHAUSTED for what is too large: exporters would send it again.
                    code, message = grpc.StatusCode.INVALID_ARGUMENT, str(error)
                except Unavailable as error:
                    code, message = grpc.StatusCode.UNAVAILABLE, str(error)
                finally:
                    self._calls -= 1
            self._reception.intake.metrics.answered(
                "grpc", signal, code.name, size, retry=code is grpc.StatusCode.UNAVAILABLE
            )
            if code is not grpc.StatusCode.OK:
                await _abort(context, code, message)
            return otlp.success(signal, otlp.PROTOBUF, refusals=refusals)

        return export

    def _admit(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if self._expected is not None:
            given = dict(context.invocation_metadata() or ()).get("authorization", "")
            if not hmac.compare_digest(given if isinstance(given, bytes) else given.encode(), self._expected):
                raise _Unauthenticated
        if self._calls > _MAX_CALLS:
            raise Unavailable("too many calls are under way")


class _Unauthenticated(Exception):
    """A call without the token."""


async def _message(context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """The message of a call. Raises TimeoutError and MalformedPayload."""
    message: Any = await asyncio.wait_for(context.read(), RECEIVE_S)
    if isinstance(message, bytes):
        return message
    raise MalformedPayload("the call brings no message")


async def _abort(context: grpc.aio.ServicerContext[bytes, bytes], code: grpc.StatusCode, message: str) -> None:
    try:
        await context.abort(code, message, _details(code, message))
    except grpc.aio.InternalError:
        # gRPC itself has refused the call meanwhile, as it does with a message that is too large.
        raise asyncio.CancelledError from None


def _encoding(content: bytes) -> str:
    """How a message is compressed. No OTLP request begins with these bytes: they are no field of one."""
    if content.startswith(b"\x1f\x8b"):
        return "gzip"
    return "deflate" if content[:1] == b"\x78" and int.from_bytes(content[:2], "big") % 31 == 0 else ""


def _details(code: grpc.StatusCode, message: str) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata with google.rpc.Status, and when to come back where that is of use."""
    number: int = code.value[0]
    status = Status(code=number, message=message)
    if code is grpc.StatusCode.UNAVAILABLE:
        # As with Retry-After: exporters drop a batch that they may not send again soon.
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=1)))
    return (("grpc-status-details-bin", status.SerializeToString()),)
