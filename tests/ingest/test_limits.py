from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tierwise.errors import MalformedPayload
from tierwise.ingest import limits, otlp
from tierwise.ingest.limits import PayloadTooLarge
from tierwise.ingest.otlp import JSON, PROTOBUF

Make = Callable[..., Any]


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes, a text or a message."""
    length = len(content)
    encoded = b""
    while length >= 0x80:
        encoded += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([length]) + content


def request_of_spans(content: bytes) -> bytes:
    return field(1, field(2, content))


class TestNodes:
    @pytest.mark.parametrize(
        "body",
        [
            request_of_spans(field(2, b"") * 5_000_000),
            request_of_spans(field(2, field(9, b"") * 5_000_000)),
            request_of_spans(field(2, field(11, b"") * 5_000_000)),
            request_of_spans(field(2, field(9, field(2, field(5, field(1, b"") * 5_000_000))))),
            field(1, b"") * 5_000_000,
        ],
        ids=["spans", "attributes", "events", "values", "resources"],
    )
    def test_request_that_would_swell_is_refused(self, body: bytes) -> None:
        """Ten megabytes that would decode to gigabytes are refused before they are decoded."""
        compressed = gzip.compress(body, 1)

        with pytest.raises(PayloadTooLarge, match="3,000,000 messages"):
            otlp.read("traces", compressed, kind=PROTOBUF, encoding="gzip")

        assert len(compressed) < len(body) / 100

    def test_log_records_are_counted_too(self) -> None:
        """A request of logs has the same bound."""
        with pytest.raises(PayloadTooLarge):
            otlp.read("logs", request_of_spans(field(2, b"") * 4_000_000), kind=PROTOBUF, encoding="")

    @pytest.mark.parametrize("item", [b"{}", b"[]"])
    def test_json_that_would_swell_is_refused(self, item: bytes) -> None:
        """Lists and objects in JSON are counted before they are made."""
        body = b'{"resourceSpans":[' + b",".join([item] * 3_100_000) + b"]}"

        with pytest.raises(PayloadTooLarge, match="lists and objects"):
            otlp.read("traces", body, kind=JSON, encoding="")

    def test_large_texts_are_no_reason(self, protobuf_request: Make) -> None:
        """A large request of few messages is taken, braces, line ends and all."""
        request = protobuf_request(1, **{"gen_ai.prompt": "{[\n" * 400_000})
        body = request.SerializeToString() + protobuf_request(2, text="x" * 2_000_000).SerializeToString()

        assert len(list(otlp.read("traces", body, kind=PROTOBUF, encoding="").spans())) == 2


class TestSpans:
    def test_too_many_spans_are_refused_whole(
        self, protobuf_request: Make, monkeypatch: pytest.MonkeyPatch, make_request: Make, make_span: Make
    ) -> None:
        """A request of more spans than one may bring is refused in either encoding."""
        monkeypatch.setattr(otlp, "MAX_SPANS", 2)
        in_json = json.dumps(make_request([make_span(number) for number in (1, 2, 3)])).encode()

        with pytest.raises(PayloadTooLarge, match="3 spans"):
            otlp.read("traces", protobuf_request(1, 2, 3).SerializeToString(), kind=PROTOBUF, encoding="")
        with pytest.raises(PayloadTooLarge, match="3 spans"):
            otlp.read("traces", in_json, kind=JSON, encoding="")

    @pytest.mark.parametrize("kind", [PROTOBUF, JSON])
    def test_span_of_too_many_attributes_is_refused_alone(
        self, protobuf_request: Make, make_request: Make, make_span: Make, kind: otlp.MediaType
    ) -> None:
        """A span that has more attributes than instrumentations ask for is refused; the one beside it is taken."""
        attributes = {f"a{number}": "x" for number in range(limits.MAX_ATTRIBUTES + 1)}
        if kind == PROTOBUF:
            request = protobuf_request(1, **attributes)
            request.MergeFrom(protobuf_request(2))
            body = request.SerializeToString()
        else:
            body = json.dumps(make_request([make_span(1, attributes), make_span(2)])).encode()

        payload = otlp.read("traces", body, kind=kind, encoding="")

        assert [int(span.span_id, 16) for span in payload.spans()] == [2]
        assert "attributes, more than 10,000" in payload.refusals[0]

    @pytest.mark.parametrize("kind", [PROTOBUF, JSON])
    def test_resource_of_too_many_attributes_takes_its_spans_along(
        self, protobuf_request: Make, make_request: Make, make_span: Make, kind: otlp.MediaType
    ) -> None:
        """What a resource says is kept with each of its spans, so it is bounded as they are."""
        attributes = {f"a{number}": "x" for number in range(limits.MAX_ATTRIBUTES + 1)}
        if kind == PROTOBUF:
            request = protobuf_request(1)
            for name in attributes:
                request.resource_spans[0].resource.attributes.add().key = name
            body = request.SerializeToString()
        else:
            body = json.dumps(make_request([make_span(1)], **attributes)).encode()

        payload = otlp.read("traces", body, kind=kind, encoding="")

        assert list(payload.spans()) == []
        assert "resource" in payload.refusals[0]

    @pytest.mark.parametrize("kind", [PROTOBUF, JSON])
    @pytest.mark.parametrize("nested", [False, True])
    def test_span_of_huge_texts_is_refused_alone(
        self, protobuf_request: Make, make_request: Make, make_span: Make, kind: otlp.MediaType, nested: bool
    ) -> None:
        """A span of more bytes than one may have is refused, wherever they hide; the one beside it is taken."""
        text = "x" * (limits.MAX_SPAN_BYTES + 1)
        if kind == PROTOBUF:
            request = protobuf_request(1)
            value = request.resource_spans[0].scope_spans[0].spans[0].attributes.add().value
            target = value.array_value.values.add() if nested else value
            target.string_value = text
            request.MergeFrom(protobuf_request(2))
            body = request.SerializeToString()
        else:
            attributes = {"a": [{"b": text}] if nested else text}
            body = json.dumps(make_request([make_span(1, attributes), make_span(2)])).encode()

        payload = otlp.read("traces", body, kind=kind, encoding="")

        assert [int(span.span_id, 16) for span in payload.spans()] == [2]
        assert "8 MiB" in payload.refusals[0]

    @pytest.mark.parametrize("container", ["list", "map"])
    def test_depth_has_a_bound(self, make_request: Make, make_span: Make, container: str) -> None:
        """Lists and maps may stand within one another, but not without end."""

        def document(depth: int) -> bytes:
            value: Any = "x"
            for _ in range(depth):
                value = [value] if container == "list" else {"k": value}
            return json.dumps(make_request([make_span(1, {"a": value})])).encode()

        deepest = otlp.read("traces", document(limits.MAX_DEPTH), kind=JSON, encoding="")

        assert len(list(deepest.spans())) == 1
        with pytest.raises(MalformedPayload, match="32 lists or maps"):
            otlp.read("traces", document(limits.MAX_DEPTH + 1), kind=JSON, encoding="")

    def test_protobuf_has_its_own_bound_of_depth(self) -> None:
        """Protobuf nested a thousand deep is malformed, not a crash."""
        value = b""
        for _ in range(1000):
            value = field(5, field(1, value))

        with pytest.raises(MalformedPayload):
            otlp.read("traces", request_of_spans(field(2, field(9, field(2, value)))), kind=PROTOBUF, encoding="")

    @pytest.mark.parametrize("name", [b"\xff\xfe", b"\xc3\x28", b"\xf8\x88\x80\x80\x80"])
    def test_invalid_utf_8_is_malformed(self, name: bytes) -> None:
        """A text that is no UTF-8 makes a request malformed, in either encoding."""
        with pytest.raises(MalformedPayload):
            otlp.read("traces", request_of_spans(field(2, field(5, name))), kind=PROTOBUF, encoding="")
        with pytest.raises(MalformedPayload):
            otlp.read("traces", b'{"resourceSpans":[{"x":"' + name + b'"}]}', kind=JSON, encoding="")

    @pytest.mark.parametrize(
        "fields",
        [
            {"traceId": -1},
            {"traceId": "-" + "1" * 31},
            {"spanId": -(2**63)},
            {"spanId": "-00000000000000f"},
            {"startTimeUnixNano": "-5"},
            {"endTimeUnixNano": -5},
        ],
    )
    def test_negative_ids_and_times_are_refused(
        self, make_request: Make, make_span: Make, fields: dict[str, Any]
    ) -> None:
        """JSON can spell what protobuf cannot: such a span is refused alone."""
        body = json.dumps(make_request([make_span(1, **fields), make_span(2)])).encode()

        payload = otlp.read("traces", body, kind=JSON, encoding="")

        assert [int(span.span_id, 16) for span in payload.spans()] == [2]
        assert len(payload.refusals) == 1
