from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.errors import MalformedPayload
from tierwise.ingest import otlp_json
from tierwise.ingest.spans import Span, SpanRefused

START_NS = 1_790_000_000_000_000_000

Make = Callable[..., dict[str, Any]]


def only_span(document: dict[str, Any]) -> Span:
    (span,) = otlp_json.spans(document)
    assert isinstance(span, Span)
    return span


def test_span_is_read_whole(make_span: Make, make_request: Make) -> None:
    """Ids, times, kind, status, scope and resource come out as they went in."""
    document = make_request(
        [make_span(7, parentSpanId="00000000000000AB", status={"code": 2})],
        scope="my.scope",
        **{"service.version": "2", "telemetry.sdk.name": "x"},
    )

    assert only_span(document) == Span(
        trace_id=f"{7:032x}",
        span_id=f"{7:016x}",
        parent_span_id="00000000000000ab",
        name="chat gpt-5.4",
        kind="client",
        start_ns=START_NS + 7,
        end_ns=START_NS + 7 + 1_000_000_000,
        status="error",
        scope_name="my.scope",
        service_name="checkout",
        attributes={},
        resource={"service.version": "2"},
    )


def test_values_of_every_kind(make_span: Make, make_request: Make) -> None:
    """Attributes of every kind come out as Python's, nested ones too."""
    values = {"t": "x", "b": True, "z": 0, "i": -(2**63), "d": 0.5, "l": ["a", 1], "m": {"k": [False]}, "e": ""}
    span = make_span(1, values)
    span["attributes"] += [
        {"key": "bytes", "value": {"bytesValue": "AAE="}},
        {"key": "nan", "value": {"doubleValue": "Infinity"}},
        {"key": "number", "value": {"intValue": 5}},
        {"key": "none", "value": {}},
    ]

    read = only_span(make_request([span])).attributes

    assert read == {**values, "bytes": "AAE=", "nan": float("inf"), "number": 5, "none": None}


def test_half_a_surrogate_pair_is_replaced(make_span: Make, make_request: Make) -> None:
    """A text that UTF-8 cannot hold is stored with a replacement, not refused."""
    assert only_span(make_request([make_span(1, name="a\ud800b")])).name == "a?b"


@pytest.mark.parametrize(
    ("fields", "kind", "status"),
    [
        ({"kind": "SPAN_KIND_SERVER", "status": {"code": "STATUS_CODE_OK"}}, "server", "ok"),
        ({"kind": 99, "status": {}}, "internal", "unset"),
        ({"kind": "nonsense", "status": None}, "internal", "unset"),
    ],
)
def test_enums_are_read_leniently(
    make_span: Make, make_request: Make, fields: dict[str, Any], kind: str, status: str
) -> None:
    """Enums may be numbers or names; what is unknown counts as unspecified."""
    span = only_span(make_request([make_span(1, **fields)]))

    assert (span.kind, span.status) == (kind, status)


@pytest.mark.parametrize(
    "fields",
    [
        {"traceId": ""},
        {"traceId": "0" * 32},
        {"traceId": "g" * 32},
        {"traceId": None},
        {"spanId": "1"},
        {"spanId": 5},
        {"startTimeUnixNano": "0"},
        {"startTimeUnixNano": str(2**64 - 1)},
        {"endTimeUnixNano": str(2**63)},
    ],
)
def test_span_without_valid_ids_or_times_is_refused(
    make_span: Make, make_request: Make, fields: dict[str, Any]
) -> None:
    """A span that cannot be stored is its refusal."""
    (item,) = otlp_json.spans(make_request([make_span(1, **fields)]))

    assert isinstance(item, SpanRefused)


def test_end_before_start_is_no_length(make_span: Make, make_request: Make) -> None:
    """Two clocks may disagree: such a span has no length rather than a negative one."""
    span = only_span(make_request([make_span(1, endTimeUnixNano="5")]))

    assert span.end_ns == span.start_ns


@pytest.mark.parametrize(
    "damage",
    [
        {"name": 5},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": True},
        {"attributes": {}},
        {"attributes": ["x"]},
        {"attributes": [{"key": "a", "value": "bare"}]},
        {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
        {"attributes": [{"key": "a", "value": {"intValue": str(2**63)}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": []}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": "x"}}]},
        {"status": []},
    ],
)
def test_wrong_shape_is_malformed(make_span: Make, make_request: Make, damage: dict[str, Any]) -> None:
    """A field of another shape than OTLP's makes the request malformed."""
    with pytest.raises(MalformedPayload, match="OTLP"):
        list(otlp_json.spans(make_request([{**make_span(1), **damage}])))


def test_events_have_a_name(make_logs: Make) -> None:
    """Log records with an event name come out, by either way of naming; others do not."""
    document = make_logs({"a": 1}, {"event.name": "old.style"}, {"event.name": ""})
    records = document["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    del records[1]["eventName"], records[2]["eventName"]

    events = list(otlp_json.events(document))

    assert [event.name for event in events] == ["gen_ai.evaluation.result", "old.style"]
    assert (events[0].span_id, events[0].time_ns, events[0].attributes) == (f"{1:016x}", START_NS, {"a": 1})
