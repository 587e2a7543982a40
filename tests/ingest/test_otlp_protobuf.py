from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tierwise.errors import MalformedPayload
from tierwise.ingest import otlp_json, otlp_protobuf

Make = Callable[..., ExportTraceServiceRequest]

texts = st.text(st.characters(codec="utf-8"), max_size=5)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda x: {"stringValue": x}, texts),
    st.builds(lambda x: {"intValue": str(x)}, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda x: {"doubleValue": x}, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(lambda x: {"boolValue": x}, st.booleans()),
    st.just({}),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda items: {"arrayValue": {"values": items}}, st.lists(inner, max_size=3)),
        st.builds(
            lambda pairs: {"kvlistValue": {"values": [{"key": k, "value": v} for k, v in pairs.items()]}},
            st.dictionaries(texts, inner, max_size=3),
        ),
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attributes=st.dictionaries(texts, values, max_size=4))
def test_protobuf_and_json_say_the_same(make_request: Any, make_span: Any, attributes: dict[str, Any]) -> None:
    """A request reads the same in both encodings, attributes of every kind and depth included."""
    span = make_span(1, kind=2, status={"code": 1}, parentSpanId=f"{3:016x}")
    span["attributes"] = [{"key": key, "value": value} for key, value in attributes.items()]
    document = json.loads(json.dumps(make_request([span], **{"host.name": "h"})))

    from_json = list(otlp_json.spans(document))

    # Protobuf's own JSON reader takes ids as base64, where OTLP's JSON has hex.
    request = ExportTraceServiceRequest()
    bare = {key: value for key, value in span.items() if not key.endswith("Id")}
    document["resourceSpans"][0]["scopeSpans"][0]["spans"] = [bare]
    json_format.ParseDict(document, request)
    message = request.resource_spans[0].scope_spans[0].spans[0]
    for field in ("traceId", "spanId", "parentSpanId"):
        name = field.replace("Id", "_id").replace("parentSpan", "parent_span")
        setattr(message, name, bytes.fromhex(span[field]))
    assert list(otlp_protobuf.spans(request, size=0)) == from_json


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("trace_id", b"", "trace id"),
        ("trace_id", bytes(16), "trace id"),
        ("span_id", b"123", "span id"),
        ("span_id", bytes(8), "span id"),
        ("start_time_unix_nano", 0, "start time"),
        ("end_time_unix_nano", 2**63, "end time"),
    ],
)
def test_span_that_cannot_be_stored_is_left_out(protobuf_request: Make, field: str, value: Any, reason: str) -> None:
    """A span without valid ids or times is counted with its reason and left out."""
    request = protobuf_request(1, 2, 3)
    setattr(request.resource_spans[0].scope_spans[0].spans[1], field, value)

    (refusal,) = otlp_protobuf.check_spans(request, size=0)

    assert reason in refusal
    assert [span.span_id for span in otlp_protobuf.spans(request, size=0)] == [f"{1:016x}", f"{3:016x}"]
    assert otlp_protobuf.count_spans(request) == 3


def test_unknown_enums_count_as_unspecified(protobuf_request: Make) -> None:
    """Numbers that this version of OTLP does not have are read as unspecified."""
    request = protobuf_request(1)
    request.MergeFromString(b"")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.MergeFromString(bytes([6 << 3, 99]))

    (read,) = otlp_protobuf.spans(request, size=0)

    assert (read.kind, read.status) == ("internal", "unset")


def test_bytes_become_base64(protobuf_request: Make) -> None:
    """A value of bytes is kept as text."""
    request = protobuf_request(1)
    attribute = request.resource_spans[0].scope_spans[0].spans[0].attributes.add()
    attribute.key = "raw"
    attribute.value.CopyFrom(AnyValue(bytes_value=b"\x00\x01"))

    (read,) = otlp_protobuf.spans(request, size=0)

    assert read.attributes["raw"] == "AAE="


def test_invalid_utf8_is_malformed(protobuf_request: Make) -> None:
    """A text that is no UTF-8 makes the request malformed."""
    content = protobuf_request(1).SerializeToString().replace(b"checkout", b"check\xff\xfet")

    with pytest.raises(MalformedPayload):
        otlp_protobuf.parse_traces(content)


def test_event_without_its_own_time_has_the_observed_one() -> None:
    """A log record's time is when it happened, else when it was seen."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(event_name="a", time_unix_nano=5, observed_time_unix_nano=9)
    records.add(event_name="b", observed_time_unix_nano=9, trace_id=bytes(15) + b"\x01", span_id=bytes(7) + b"\x01")
    records.add(observed_time_unix_nano=9)

    events = list(otlp_protobuf.events(request))

    assert [(event.name, event.time_ns, event.span_id) for event in events] == [("a", 5, ""), ("b", 9, f"{1:016x}")]
