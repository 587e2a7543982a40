"""OTLP/HTTP requests and responses: bytes in, spans and log events out, and the bodies to answer with.

A payload is checked whole before it is acknowledged: what decodes here lands later.
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tierwise.errors import MalformedPayload, TierwiseError
from tierwise.ingest import limits, otlp_json, otlp_protobuf
from tierwise.ingest.limits import MAX_DECOMPRESSED_BYTES, MAX_SPANS, PayloadTooLarge
from tierwise.ingest.spans import LogEvent, Span, SpanRefused

Signal = Literal["traces", "logs"]
"""What is kept."""
OfferedSignal = Literal["traces", "logs", "metrics"]
"""What is answered."""
MediaType = Literal["application/x-protobuf", "application/json"]
PROTOBUF: Final[MediaType] = "application/x-protobuf"
JSON: Final[MediaType] = "application/json"

_ZSTD_STEP_BYTES: Final = 1024
"""Decompressed at once; a block of zstd's grows at most some ten thousand times."""
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""The most that RFC 9659 lets a sender ask for."""


class UnsupportedPayload(TierwiseError):
    """A content type or encoding that OTLP/HTTP does not have, or this installation cannot undo."""


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
    """The encoding that a Content-Encoding header names: gzip, deflate, zstd, or empty for none.

    Raises:
        UnsupportedPayload: it is one we cannot undo, as zstd is without the package `zstandard`.
    """
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return ""
    if name in ("gzip", "deflate"):
        return name
    if name == "zstd":
        _zstandard()
        return name
    raise UnsupportedPayload(f"content encoding {content_encoding!r} is none of gzip, deflate, zstd, identity")


def _zstandard() -> Any:
    try:
        # Optional, and without type hints; few senders use zstd.
        return importlib.import_module("zstandard")
    except ModuleNotFoundError as error:
        raise UnsupportedPayload(
            "content encoding 'zstd' needs a package this collector lacks (pip install 'tierwise[zstd]'): send gzip"
        ) from error


def read(
    signal: Signal, body: bytes, *, kind: MediaType, encoding: str, bounds: limits.Bounds = limits.WHOLE
) -> Payload:
    """The payload in the body of a request.

    Args:
        encoding: gzip, deflate, zstd or empty.
        bounds: what is decompressed and decoded at most.

    Raises:
        MalformedPayload: the bytes are not what they claim to be.
        PayloadTooLarge: the body decompresses, or would decode, to more than the bounds and `limits` allow.
        UnsupportedPayload: the encoding is zstd, and `zstandard` is not installed.
    """
    content = decompress(body, encoding, max_bytes=bounds.decompressed_bytes)
    if kind == PROTOBUF:
        limits.check_protobuf(content, bounds)
    else:
        limits.check_json(content, bounds)
    return _read_traces(content, kind) if signal == "traces" else _read_logs(content, kind)


def _read_traces(content: bytes, kind: MediaType) -> Payload:
    if kind == PROTOBUF:
        request = otlp_protobuf.parse_traces(content)
        offered = otlp_protobuf.count_spans(request)
        _require_few(offered)
        size = len(content)
        refusals = tuple(otlp_protobuf.check_spans(request, size=size))
        spans_of_request = partial(otlp_protobuf.spans, request, size=size)
        return Payload("traces", size, offered, refusals, spans_of_request, _nothing)
    items: list[Span | SpanRefused] = _all(otlp_json.spans, content)
    _require_few(len(items))
    spans = [item for item in items if isinstance(item, Span)]
    refusals = tuple(str(item) for item in items if isinstance(item, SpanRefused))
    return Payload("traces", len(content), len(items), refusals, lambda: spans, _nothing)


def _read_logs(content: bytes, kind: MediaType) -> Payload:
    if kind == PROTOBUF:
        events = partial(otlp_protobuf.events, otlp_protobuf.parse_logs(content))
        return Payload("logs", len(content), 0, (), _nothing, events)
    found: list[LogEvent] = _all(otlp_json.events, content)
    return Payload("logs", len(content), 0, (), _nothing, lambda: found)


def _require_few(spans: int) -> None:
    if spans > MAX_SPANS:
        raise PayloadTooLarge(f"the request holds {spans:,} spans; at most {MAX_SPANS:,} may come in one")


def _nothing() -> tuple[()]:
    return ()


def _all(decode: Callable[[dict[str, Any]], Iterable[Any]], content: bytes) -> list[Any]:
    try:
        return list(decode(otlp_json.parse(content)))
    except RecursionError as error:
        raise MalformedPayload("not an OTLP request in JSON: nested too deeply") from error


def decompress(body: bytes, encoding: str, *, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """`body` without its content encoding. Raises as `read()`."""
    if encoding == "gzip":
        return _inflate(body, encoding, zlib.MAX_WBITS | 16, max_bytes)
    if encoding == "deflate":
        # The name means zlib's wrapper, but some clients send the bare stream.
        wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, encoding, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, max_bytes)
    if encoding == "zstd":
        return _unzstd(body, max_bytes)
    if len(body) > max_bytes:
        raise _too_much(max_bytes)
    return body


def _inflate(body: bytes, encoding: str, window: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = max_bytes
    rest = body
    try:
        # A gzip file may have several members, one after the other.
        while rest or not parts:
            decompressor = zlib.decompressobj(window)
            part = decompressor.decompress(rest, room + 1)
            room -= len(part)
            if room < 0:
                raise _too_much(max_bytes)
            if not decompressor.eof:
                raise MalformedPayload(f"the {encoding} stream ends too early")
            parts.append(part)
            rest = decompressor.unused_data
    except zlib.error as error:
        raise MalformedPayload(f"not {encoding}: {error}") from error
    return b"".join(parts)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    zstandard = _zstandard()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    parts: list[bytes] = []
    room = max_bytes
    try:
        for start in range(0, len(body), _ZSTD_STEP_BYTES):
            step = body[start : start + _ZSTD_STEP_BYTES]
            parts.append(decompressor.decompress(step))
            room -= len(parts[-1])
            if room < 0:
                raise _too_much(max_bytes)
            if decompressor.eof and start + len(step) - len(decompressor.unused_data) < len(body):
                raise MalformedPayload("the zstd frame has something behind it")
    except zstandard.ZstdError as error:
        raise MalformedPayload(f"not zstd: {error}") from error
    if not decompressor.eof:
        raise MalformedPayload("the zstd stream ends too early")
    return b"".join(parts)


def _too_much(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body decompresses to more than {max_bytes >> 20} MiB")


def success(signal: OfferedSignal, kind: MediaType, *, refusals: tuple[str, ...] = ()) -> bytes:
    """The body that says that a request was taken, but for the spans refused."""
    message = f"{refusals[0]} (and {len(refusals) - 1} more)" if len(refusals) > 1 else "".join(refusals)
    if kind == JSON:
        partial = {"rejectedSpans": str(len(refusals)), "errorMessage": message} if refusals else {}
        return json.dumps({"partialSuccess": partial} if partial else {}).encode()
    response = ExportTraceServiceResponse()
    if refusals:
        response.partial_success.rejected_spans = len(refusals)
        response.partial_success.error_message = message
    # Without refusals every signal's response is the same: empty.
    return response.SerializeToString()


_INVALID_ARGUMENT, _DEADLINE_EXCEEDED, _RESOURCE_EXHAUSTED, _UNAVAILABLE = 3, 4, 8, 14
_RPC_CODES: Final = {
    400: _INVALID_ARGUMENT,
    408: _DEADLINE_EXCEEDED,
    413: _RESOURCE_EXHAUSTED,
    415: _INVALID_ARGUMENT,
    503: _UNAVAILABLE,
}


def failure(status: int, message: str, kind: MediaType) -> bytes:
    """The body (a google.rpc.Status) that says why a request was not taken.

    Args:
        status: the HTTP status it goes with: 400, 408, 413, 415 or 503.
    """
    code = _RPC_CODES[status]
    if kind == JSON:
        return json.dumps({"code": code, "message": message}).encode()
    return Status(code=code, message=message).SerializeToString()
