"""What of a stored request body goes to a destination: the bytes as they came wherever they can go as they are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tierwise import semconv as sc
from tierwise.call import AttributeValue
from tierwise.errors import MalformedPayload
from tierwise.ingest import otlp, otlp_json, otlp_protobuf
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.wal import Body
from tierwise.instrumentation import profiles

_SENT_AS_IT_IS = ("", "gzip")
"""Encodings that every OTLP server over HTTP takes."""
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def protobuf_content(body: Body, profile: Iterable[str] = (), *, encodings: tuple[str, ...] = _SENT_AS_IT_IS) -> Body:
    """`body` in protobuf, with what the export profiles add, in one of the encodings.

    Bytes that need no change are not touched. JSON becomes protobuf, because not every backend takes JSON.

    Raises:
        MalformedPayload: it cannot be read; PayloadTooLarge, UnsupportedPayload: as `otlp.read()`.
    """
    names = tuple(profile) if body.signal == "traces" else ()
    if body.kind == PROTOBUF and not names and body.encoding in encodings:
        return body
    content = otlp.decompress(body.content, body.encoding)
    if body.kind != PROTOBUF:
        request = _from_json(body, content)
    elif names:
        request = otlp_protobuf.parse_traces(content)
    else:
        return Body(body.signal, PROTOBUF, "", content)
    if isinstance(request, ExportTraceServiceRequest) and names:
        _add_profiles(request, names)
    return Body(body.signal, PROTOBUF, "", request.SerializeToString())


def _from_json(body: Body, content: bytes) -> ExportTraceServiceRequest | ExportLogsServiceRequest:
    document = otlp_json.parse(content)
    try:
        _ids_to_base64(document)
        request = ExportTraceServiceRequest() if body.signal == "traces" else ExportLogsServiceRequest()
        return json_format.ParseDict(document, request, ignore_unknown_fields=True)
    except (json_format.ParseError, DecodeError, RecursionError, binascii.Error) as error:
        raise MalformedPayload(f"not OTLP in JSON: {error}") from error


def _ids_to_base64(value: Any) -> None:
    """OTLP writes ids in hex where protobuf's mapping, and its parser, have base64."""
    if isinstance(value, list):
        for item in value:
            _ids_to_base64(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _IDS and isinstance(item, str):
                value[key] = base64.b64encode(bytes.fromhex(item) if _is_hex(item) else b"").decode()
            else:
                _ids_to_base64(item)


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(character in "0123456789abcdefABCDEF" for character in text)


def _add_profiles(request: ExportTraceServiceRequest, names: tuple[str, ...]) -> None:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if any(pair.key == sc.PRICED for pair in span.attributes):
                    extra = profiles.extra_attributes(otlp_protobuf.attributes_of(span.attributes), names)
                    span.attributes.extend(_key_value(key, value) for key, value in extra.items())


def _key_value(key: str, value: AttributeValue) -> KeyValue:
    pair = KeyValue(key=key)
    _set(pair.value, value)
    return pair


def _set(target: Any, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    else:
        target.array_value.SetInParent()
        for item in value:
            _set(target.array_value.values.add(), item)
