from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.errors import MalformedPayload
from tierwise.ingest import otlp_protobuf
from tierwise.ingest.forward_content import protobuf_content
from tierwise.ingest.otlp import JSON, PROTOBUF
from tierwise.ingest.wal import Body
from tierwise.instrumentation import profiles

Make = Callable[..., Any]


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_protobuf_is_not_touched(encoding: str) -> None:
    """Bytes that can go as they are are not even looked at."""
    body = Body("traces", PROTOBUF, encoding, b"whatever")

    assert protobuf_content(body) is body


def test_rare_encodings_are_undone(protobuf_request: Make) -> None:
    """What not every server takes goes out plain; gRPC takes plain alone."""
    plain = protobuf_request(1).SerializeToString()

    deflated = protobuf_content(Body("traces", PROTOBUF, "deflate", zlib.compress(plain)))
    for_grpc = protobuf_content(Body("traces", PROTOBUF, "gzip", gzip.compress(plain)), encodings=("",))

    assert deflated == for_grpc == Body("traces", PROTOBUF, "", plain)


def test_json_becomes_the_same_in_protobuf(make_span: Make, make_request: Make, as_bytes: Make) -> None:
    """Ids, times, kinds and attributes of a JSON request are those of the protobuf that goes out."""
    attributes = {"a": "x", "b": 3, "c": 1.5, "d": True, "e": ["x", "y"], "f": {"traceId": "not an id"}}
    span = make_span(7, attributes, parentSpanId="00000000000000ff", unknown="field")

    sent = protobuf_content(Body("traces", JSON, "", as_bytes(make_request([span], team="blue"))))

    request = ExportTraceServiceRequest.FromString(sent.content)
    (found,) = otlp_protobuf.spans(request, size=1)
    assert (sent.kind, sent.encoding) == (PROTOBUF, "")
    assert (found.trace_id, found.span_id, found.parent_span_id) == (f"{7:032x}", f"{7:016x}", f"{255:016x}")
    assert (found.start_ns, found.kind) == (int(span["startTimeUnixNano"]), "client")
    assert {key: found.attributes[key] for key in "abcde"} == {key: attributes[key] for key in "abcde"}


def test_json_logs(make_logs: Make, as_bytes: Make) -> None:
    """Log events in JSON become protobuf too."""
    sent = protobuf_content(Body("logs", JSON, "", as_bytes(make_logs({"gen_ai.evaluation.name": "exact"}))))

    (event,) = otlp_protobuf.events(ExportLogsServiceRequest.FromString(sent.content))
    assert event.name == "gen_ai.evaluation.result"
    assert (event.trace_id, event.attributes) == (f"{1:032x}", {"gen_ai.evaluation.name": "exact"})


def test_profile_is_added(make_span: Make, make_request: Make, as_bytes: Make) -> None:
    """tierwise's spans get what the backend wants beside what they have; others stay as they are."""
    call = to_attributes(Call("chat", "openai", "gpt-4o-mini", usage=Usage(input_tokens=10, output_tokens=2)))
    plain = protobuf_content(
        Body("traces", JSON, "", as_bytes(make_request([make_span(1, call), make_span(2, {"x": "y"})])))
    )

    sent = protobuf_content(plain, ["langfuse", "phoenix"])

    ours, other = otlp_protobuf.spans(ExportTraceServiceRequest.FromString(sent.content), size=1)
    before = next(iter(otlp_protobuf.spans(ExportTraceServiceRequest.FromString(plain.content), size=1)))
    extra = profiles.extra_attributes(before.attributes, ["langfuse", "phoenix"])
    assert extra
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in extra.items()}
    assert ours.attributes == {**before.attributes, **lists}
    assert other.attributes == {"x": "y"}


def test_logs_have_no_profile(make_logs: Make) -> None:
    """A profile is about spans, so logs go out untouched."""
    body = Body("logs", PROTOBUF, "gzip", b"whatever")

    assert protobuf_content(body, ["langfuse"]) is body


@pytest.mark.parametrize("document", [{"resourceSpans": 3}, {"resourceSpans": [{"scopeSpans": [{"spans": [3]}]}]}])
def test_what_is_no_request_is_malformed(document: Any) -> None:
    """JSON that protobuf's parser refuses is the request's fault."""
    with pytest.raises(MalformedPayload):
        protobuf_content(Body("traces", JSON, "", json.dumps(document).encode()))
