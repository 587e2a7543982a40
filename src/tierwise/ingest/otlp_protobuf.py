"""OTLP in protobuf: checked at once, decoded when it is landed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tierwise.errors import MalformedPayload
from tierwise.ingest.limits import MAX_SPAN_BYTES, require_few_attributes, require_small
from tierwise.ingest.spans import (
    SPAN_KINDS,
    SPAN_STATUSES,
    LogEvent,
    Span,
    SpanRefused,
    checked_times,
    split_resource,
)


def parse_traces(body: bytes) -> ExportTraceServiceRequest:
    """The request in `body`.

    Raises:
        MalformedPayload: it is something else.
    """
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedPayload(f"not an OTLP trace request in protobuf: {error}") from error


def parse_logs(body: bytes) -> ExportLogsServiceRequest:
    """The request in `body`.

    Raises:
        MalformedPayload: it is something else.
    """
    try:
        return ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedPayload(f"not an OTLP logs request in protobuf: {error}") from error


def check_spans(request: ExportTraceServiceRequest, *, size: int) -> Iterator[str]:
    """Why each span that cannot be stored cannot.

    Args:
        size: bytes of the request, as it was parsed.
    """
    may_be_large = size > MAX_SPAN_BYTES
    for resource_spans in request.resource_spans:
        resource_attributes = len(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                try:
                    _check(span, resource_attributes=resource_attributes, may_be_large=may_be_large)
                except SpanRefused as refusal:
                    yield str(refusal)


def count_spans(request: ExportTraceServiceRequest) -> int:
    """How many spans the request holds."""
    return sum(
        len(scope_spans.spans)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
    )


def spans(request: ExportTraceServiceRequest, *, size: int) -> Iterator[Span]:
    """The spans that can be stored, which are those that `check_spans()` has nothing to say about."""
    may_be_large = size > MAX_SPAN_BYTES
    for resource_spans in request.resource_spans:
        resource_attributes = len(resource_spans.resource.attributes)
        service_name, resource = split_resource(attributes_of(resource_spans.resource.attributes))
        for scope_spans in resource_spans.scope_spans:
            scope_name = scope_spans.scope.name
            for span in scope_spans.spans:
                try:
                    start_ns, end_ns = _check(span, resource_attributes=resource_attributes, may_be_large=may_be_large)
                except SpanRefused:
                    continue
                parent = span.parent_span_id
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    parent.hex() if len(parent) == 8 else None,
                    span.name,
                    SPAN_KINDS[span.kind] if 0 <= span.kind < len(SPAN_KINDS) else "internal",
                    start_ns,
                    end_ns,
                    SPAN_STATUSES[span.status.code] if 0 <= span.status.code < len(SPAN_STATUSES) else "unset",
                    scope_name,
                    service_name,
                    attributes_of(span.attributes),
                    resource,
                )


def events(request: ExportLogsServiceRequest) -> Iterator[LogEvent]:
    """The log records that carry an event name."""
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                attributes = attributes_of(record.attributes)
                name = record.event_name or attributes.get("event.name")
                if isinstance(name, str) and name:
                    yield LogEvent(
                        name,
                        record.time_unix_nano or record.observed_time_unix_nano,
                        record.trace_id.hex() if len(record.trace_id) == 16 else "",
                        record.span_id.hex() if len(record.span_id) == 8 else "",
                        attributes,
                    )


def _check(span: Any, *, resource_attributes: int, may_be_large: bool) -> tuple[int, int]:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != 16 or not any(trace_id):
        raise SpanRefused(f"trace id {trace_id.hex()!r} is not 16 bytes, one of them not zero")
    if len(span_id) != 8 or not any(span_id):
        raise SpanRefused(f"span id {span_id.hex()!r} is not 8 bytes, one of them not zero")
    require_few_attributes(f"the resource of span {span_id.hex()}", resource_attributes)
    require_few_attributes(f"span {span_id.hex()}", len(span.attributes))
    # Only then, because measuring a message costs as much as writing it.
    if may_be_large:
        require_small(f"span {span_id.hex()}", span.ByteSize())
    return checked_times(span.start_time_unix_nano, span.end_time_unix_nano)


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as Python values; bytes are base64 texts."""
    # Reading a field that is not set costs less than asking which one is, and most values are texts and numbers. What
    # is empty, zero, false or nested comes out false and is asked.
    return {
        pair.key: (value := pair.value).string_value or value.int_value or value.double_value or _value(value)
        for pair in pairs
    }


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    return getattr(value, kind)
