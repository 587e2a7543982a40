"""OTLP in JSON, as its specification bends protobuf's mapping: hex ids, numbered enums, 64-bit integers as texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from tierwise.errors import MalformedPayload
from tierwise.ingest.limits import MAX_DEPTH, require_few_attributes, require_small
from tierwise.ingest.spans import (
    SPAN_KINDS,
    SPAN_STATUSES,
    LogEvent,
    Span,
    SpanRefused,
    checked_times,
    split_resource,
)

_HEX = frozenset("0123456789abcdefABCDEF")
_INT64 = range(-(2**63), 2**63)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises:
        MalformedPayload: it is something else.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedPayload("not an OTLP request in JSON: the document is no object")
    return document


def spans(document: dict[str, Any]) -> Iterator[Span | SpanRefused]:
    """The spans of a trace request; a span that cannot be stored is there as its refusal.

    Raises:
        MalformedPayload: a part is not of the shape OTLP gives it.
    """
    for resource_spans in _objects(document, "resourceSpans"):
        resource_attributes = _attributes(_object(resource_spans, "resource"))
        service_name, resource = split_resource(resource_attributes)
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            scope_name = _text(_object(scope_spans, "scope"), "name")
            for span in _objects(scope_spans, "spans"):
                try:
                    require_few_attributes("the resource of a span", len(resource_attributes))
                    yield _span(span, scope_name, service_name, resource)
                except SpanRefused as refusal:
                    yield refusal


def events(document: dict[str, Any]) -> Iterator[LogEvent]:
    """The log records of a logs request that carry an event name.

    Raises:
        MalformedPayload: a part is not of the shape OTLP gives it.
    """
    for resource_logs in _objects(document, "resourceLogs"):
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            for record in _objects(scope_logs, "logRecords"):
                attributes = _attributes(record)
                name = _text(record, "eventName") or attributes.get("event.name")
                if isinstance(name, str) and name:
                    yield LogEvent(
                        name,
                        _integer(record, "timeUnixNano") or _integer(record, "observedTimeUnixNano"),
                        _hex_id(record, "traceId", 32),
                        _hex_id(record, "spanId", 16),
                        attributes,
                    )


def _span(span: dict[str, Any], scope_name: str, service_name: str, resource: dict[str, Any]) -> Span:
    trace_id, span_id = _hex_id(span, "traceId", 32), _hex_id(span, "spanId", 16)
    if not trace_id:
        raise SpanRefused(f"trace id {span.get('traceId')!r} is not 32 hex digits, one of them not zero")
    if not span_id:
        raise SpanRefused(f"span id {span.get('spanId')!r} is not 16 hex digits, one of them not zero")
    start_ns, end_ns = checked_times(_integer(span, "startTimeUnixNano"), _integer(span, "endTimeUnixNano"))
    require_few_attributes(f"span {span_id}", len(_objects(span, "attributes")))
    attributes = _attributes(span)
    require_small(f"span {span_id}", _text_size(attributes))
    return Span(
        trace_id,
        span_id,
        _hex_id(span, "parentSpanId", 16) or None,
        _text(span, "name"),
        _enum(span, "kind", SPAN_KINDS, "SPAN_KIND_"),
        start_ns,
        end_ns,
        _enum(_object(span, "status"), "code", SPAN_STATUSES, "STATUS_CODE_"),
        scope_name,
        service_name,
        attributes,
        resource,
    )


def _text_size(value: Any) -> int:
    """Characters of all texts in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _text_size(item) for key, item in cast("dict[str, Any]", value).items())
    return sum(map(_text_size, cast("list[Any]", value))) if isinstance(value, list) else 0


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[Any]", value)):
        raise MalformedPayload(f"not an OTLP request in JSON: {key} is no list of objects")
    return cast("list[dict[str, Any]]", value)


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedPayload(f"not an OTLP request in JSON: {key} is no object")
    return cast("dict[str, Any]", value)


def _text(parent: dict[str, Any], key: str) -> str:
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedPayload(f"not an OTLP request in JSON: {key} is no text")
    return _encodable(value)


def _encodable(text: str) -> str:
    """JSON can spell half a surrogate pair, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _integer(parent: dict[str, Any], key: str) -> int:
    value = parent.get(key)
    if value is None:
        return 0
    if isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise MalformedPayload(f"not an OTLP request in JSON: {key} is {value!r}, no integer")


def _hex_id(parent: dict[str, Any], key: str, digits: int) -> str:
    """The id in lower case; empty when it is missing, all zero or no id."""
    value = parent.get(key)
    if not isinstance(value, str) or len(value) != digits or not _HEX.issuperset(value) or not value.strip("0"):
        return ""
    return value.lower()


def _enum(parent: dict[str, Any], key: str, names: tuple[str, ...], prefix: str) -> str:
    value = parent.get(key, 0)
    if isinstance(value, str):
        name = value.removeprefix(prefix).lower()
        return name if name in names else names[0]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else names[0]


def _attributes(parent: dict[str, Any], key: str = "attributes", depth: int = 0) -> dict[str, Any]:
    return {_text(pair, "key"): _value(_object(pair, "value"), depth) for pair in _objects(parent, key)}


def _value(value: dict[str, Any], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedPayload(f"not an OTLP request in JSON: more than {MAX_DEPTH} lists or maps within one another")
    for kind, content in value.items():
        if kind == "stringValue":
            return _text(value, kind)
        if kind == "intValue":
            number = _integer(value, kind)
            if number not in _INT64:
                raise MalformedPayload(f"not an OTLP request in JSON: intValue {number} does not fit 64 bits")
            return number
        if kind == "doubleValue":
            return _double(content)
        if kind == "boolValue":
            return bool(content)
        if kind == "arrayValue":
            return [_value(item, depth + 1) for item in _objects(_object(value, kind), "values")]
        if kind == "kvlistValue":
            return _attributes(_object(value, kind), "values", depth + 1)
        if kind == "bytesValue":
            return _text(value, kind)
    return None


def _double(content: Any) -> float:
    # Protobuf's JSON writes NaN and infinities as texts.
    if not isinstance(content, int | float | str) or isinstance(content, bool):
        raise MalformedPayload(f"not an OTLP request in JSON: doubleValue is {content!r}")
    try:
        return float(content)
    except (ValueError, OverflowError) as error:
        raise MalformedPayload(f"not an OTLP request in JSON: doubleValue is {content!r}") from error
