"""OTLP/HTTP requests and responses: bytes in, spans and log events out, and the bodies to answer with.

A payload is checked whole before it is acknowledged: what decodes here lands later.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tierwise.errors import MalformedPayload, TierwiseError
from tierwise.ingest import otlp_json, otlp_protobuf
from tierwise.ingest.spans import LogEvent, Span, SpanRefused

Signal = Literal["traces", "logs"]
MediaType = Literal["application/x-protobuf", "application/json"]
PROTOBUF: Final[MediaType] = "application/x-protobuf"
JSON: Final[MediaType] = "application/json"

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_DECOMPRESSED_BYTES: Final = 64 * 1024 * 1024


class UnsupportedPayload(TierwiseError):
    """A content type or encoding that OTLP/HTTP does not have."""


class PayloadTooLarge(TierwiseError):
    """More bytes than one request may bring."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One request that was checked and can be decoded."""

    signal: Signal
    size: int
    """Bytes, decompressed."""
    spans_offered: int
    """Spans in the request, refused ones among them; 0 for logs."""
    refusals: tuple[str, ...]
    """Why each span that cannot be stored cannot."""
    spans: Callable[[], Iterable[Span]]
    """The spans that can be stored."""
    events: Callable[[], Iterable[LogEvent]]
    """The log records that carry an event name."""


def media_type(content_type: str) -> MediaType:
    """The media type that a Content-Type header names.

    Raises:
        UnsupportedPayload: it is neither of OTLP's.
    """
    name = content_type.partition(";")[0].strip().lower()
    if name == PROTOBUF:
        return PROTOBUF
    if name == JSON:
        return JSON
    raise UnsupportedPayload(f"content type {content_type!r} is neither {PROTOBUF} nor {JSON}")


def known_encoding(content_encoding: str) -> str:
    """The encoding that a Content-Encoding header names: gzip, deflate, or empty for none.

    Raises:
        UnsupportedPayload: it is one we cannot undo.
    """
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return ""
    if name in ("gzip", "deflate"):
        return name
    raise UnsupportedPayload(f"content encoding {content_encoding!r} is none of gzip, deflate, identity")


def read(signal: Signal, body: bytes, *, kind: MediaType, encoding: str) -> Payload:
    """The payload in the body of a request.

    Args:
        encoding: gzip, deflate or empty.

    Raises:
        MalformedPayload: the bytes are not what they claim to be.
        PayloadTooLarge: the body decompresses to more than MAX_DECOMPRESSED_BYTES.
    """
    content = decompress(body, encoding)
    return _read_traces(content, kind) if signal == "traces" else _read_logs(content, kind)


def _read_traces(content: bytes, kind: MediaType) -> Payload:
    if kind == PROTOBUF:
        request = otlp_protobuf.parse_traces(content)
        refusals = tuple(otlp_protobuf.check_spans(request))
        offered = otlp_protobuf.count_spans(request)
        return Payload("traces", len(content), offered, refusals, partial(otlp_protobuf.spans, request), _nothing)
    items: list[Span | SpanRefused] = _all(otlp_json.spans, content)
    spans = [item for item in items if isinstance(item, Span)]
    refusals = tuple(str(item) for item in items if isinstance(item, SpanRefused))
    return Payload("traces", len(content), len(items), refusals, lambda: spans, _nothing)


def _read_logs(content: bytes, kind: MediaType) -> Payload:
    if kind == PROTOBUF:
        events = partial(otlp_protobuf.events, otlp_protobuf.parse_logs(content))
        return Payload("logs", len(content), 0, (), _nothing, events)
    found: list[LogEvent] = _all(otlp_json.events, content)
    return Payload("logs", len(content), 0, (), _nothing, lambda: found)


def _nothing() -> tuple[()]:
    return ()


def _all(decode: Callable[[dict[str, Any]], Iterable[Any]], content: bytes) -> list[Any]:
    try:
        return list(decode(otlp_json.parse(content)))
    except RecursionError as error:
        raise MalformedPayload("not an OTLP request in JSON: nested too deeply") from error


def decompress(body: bytes, encoding: str) -> bytes:
    """`body` without its content encoding. Raises as `read()`."""
    if encoding == "gzip":
        return _inflate(body, encoding, zlib.MAX_WBITS | 16)
    if encoding == "deflate":
        # The name means zlib's wrapper, but some clients send the bare stream.
        wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, encoding, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    return body


def _inflate(body: bytes, encoding: str, window: int) -> bytes:
    parts: list[bytes] = []
    room = MAX_DECOMPRESSED_BYTES
    rest = body
    try:
        # A gzip file may have several members, one after the other.
        while rest or not parts:
            decompressor = zlib.decompressobj(window)
            part = decompressor.decompress(rest, room + 1)
            room -= len(part)
            if room < 0:
                raise PayloadTooLarge(f"the body decompresses to more than {MAX_DECOMPRESSED_BYTES >> 20} MiB")
            if not decompressor.eof:
                raise MalformedPayload(f"the {encoding} stream ends too early")
            parts.append(part)
            rest = decompressor.unused_data
    except zlib.error as error:
        raise MalformedPayload(f"not {encoding}: {error}") from error
    return b"".join(parts)


def success(signal: Signal, kind: MediaType, *, refusals: tuple[str, ...] = ()) -> bytes:
    """The body that says that a request was taken, but for the spans refused."""
    message = f"{refusals[0]} (and {len(refusals) - 1} more)" if len(refusals) > 1 else "".join(refusals)
    if kind == JSON:
        partial = {"rejectedSpans": str(len(refusals)), "errorMessage": message} if refusals else {}
        return json.dumps({"partialSuccess": partial} if partial else {}).encode()
    if signal == "logs":
        return ExportLogsServiceResponse().SerializeToString()
    response = ExportTraceServiceResponse()
    if refusals:
        response.partial_success.rejected_spans = len(refusals)
        response.partial_success.error_message = message
    return response.SerializeToString()


_INVALID_ARGUMENT, _RESOURCE_EXHAUSTED, _UNAVAILABLE = 3, 8, 14
_RPC_CODES: Final = {400: _INVALID_ARGUMENT, 413: _RESOURCE_EXHAUSTED, 415: _INVALID_ARGUMENT, 503: _UNAVAILABLE}


def failure(status: int, message: str, kind: MediaType) -> bytes:
    """The body (a google.rpc.Status) that says why a request was not taken.

    Args:
        status: the HTTP status it goes with: 400, 413, 415 or 503.
    """
    code = _RPC_CODES[status]
    if kind == JSON:
        return json.dumps({"code": code, "message": message}).encode()
    return Status(code=code, message=message).SerializeToString()
