from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tierwise.errors import MalformedPayload
from tierwise.ingest import otlp
from tierwise.ingest.limits import MAX_DECOMPRESSED_BYTES, PayloadTooLarge
from tierwise.ingest.otlp import JSON, PROTOBUF, UnsupportedPayload

AsBytes = Callable[[Any], bytes]


def raw_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


class TestDecompress:
    @pytest.mark.parametrize(
        ("encoding", "compress"),
        [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
    )
    @pytest.mark.parametrize("content", [b"", b"x", b"hello " * 10_000])
    def test_content_comes_back(self, encoding: str, compress: Callable[[bytes], bytes], content: bytes) -> None:
        """Each encoding is undone, deflate with and without its wrapper."""
        assert otlp.decompress(compress(content), encoding) == content

    def test_members_are_joined(self) -> None:
        """A gzip stream of several members is all of them."""
        assert otlp.decompress(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"

    @pytest.mark.parametrize("body", [b"", b"not gzip", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"x") + b"tail"])
    def test_damaged_stream_is_malformed(self, body: bytes) -> None:
        """What is no gzip, is cut off, or has something behind it is malformed."""
        with pytest.raises(MalformedPayload, match="gzip"):
            otlp.decompress(body, "gzip")

    def test_bomb_is_stopped(self) -> None:
        """A small body that inflates beyond the limit is refused before it is inflated whole."""
        bomb = gzip.compress(bytes(MAX_DECOMPRESSED_BYTES + 1))

        with pytest.raises(PayloadTooLarge, match="64 MiB"):
            otlp.decompress(bomb, "gzip")

    def test_members_share_the_limit(self) -> None:
        """Members that are small alone are counted together."""
        member = gzip.compress(bytes(MAX_DECOMPRESSED_BYTES // 2 + 1))

        with pytest.raises(PayloadTooLarge):
            otlp.decompress(member + member, "gzip")


class TestZstd:
    @pytest.fixture
    def zstandard(self) -> Any:
        """The package that compresses for these tests."""
        return pytest.importorskip("zstandard", reason="the extra zstd is not installed")

    @pytest.mark.parametrize("content", [b"", b"x", b"hello " * 10_000, bytes(range(256)) * 5000])
    @pytest.mark.parametrize("with_size", [True, False])
    def test_content_comes_back(self, zstandard: Any, content: bytes, with_size: bool) -> None:
        """A frame is undone, whether or not it says how large it becomes."""
        compressor = zstandard.ZstdCompressor(write_content_size=with_size)

        assert otlp.decompress(compressor.compress(content), "zstd") == content

    def test_damaged_frame_is_malformed(self, zstandard: Any) -> None:
        """What is no zstd, is cut off, or has something behind it is malformed."""
        frame = zstandard.compress(bytes(range(256)) * 100)

        for body in (b"", b"not zstd", frame[:-3], frame + b"tail", frame + frame, frame + bytes(5000)):
            with pytest.raises(MalformedPayload, match="zstd"):
                otlp.decompress(body, "zstd")

    def test_bomb_is_stopped(self, zstandard: Any) -> None:
        """A small body that becomes larger than the limit is refused before it is there whole."""
        bomb = zstandard.compress(bytes(MAX_DECOMPRESSED_BYTES * 4))

        with pytest.raises(PayloadTooLarge, match="64 MiB"):
            otlp.decompress(bomb, "zstd")

    def test_wide_window_is_malformed(self, zstandard: Any) -> None:
        """A frame cannot ask for more memory than HTTP lets it."""
        parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
        frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        body = frame.compress(bytes(1000)) + frame.flush()

        with pytest.raises(MalformedPayload, match="zstd"):
            otlp.decompress(body, "zstd")


class TestHeaders:
    @pytest.mark.parametrize("text", ["application/json", "Application/JSON; charset=utf-8", " application/json "])
    def test_media_type_is_read_leniently(self, text: str) -> None:
        """Case and parameters of a content type do not matter."""
        assert otlp.media_type(text) == JSON

    @pytest.mark.parametrize("text", ["", "text/plain", "application/grpc"])
    def test_other_media_types_are_unsupported(self, text: str) -> None:
        """Any other content type is refused by name."""
        with pytest.raises(UnsupportedPayload, match="neither"):
            otlp.media_type(text)

    def test_encodings_have_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Known encodings are read leniently; others are refused by name, zstd where its package is missing."""
        assert [otlp.known_encoding(text) for text in ("", "identity", "GZIP", " deflate")] == [
            "",
            "",
            "gzip",
            "deflate",
        ]
        with pytest.raises(UnsupportedPayload, match="'br' is none of"):
            otlp.known_encoding("br")
        monkeypatch.setitem(sys.modules, "zstandard", None)
        with pytest.raises(UnsupportedPayload, match=r"tierwise\[zstd\].*gzip"):
            otlp.known_encoding("zstd")


class TestRead:
    @pytest.mark.parametrize("signal", ["traces", "logs"])
    @pytest.mark.parametrize(
        ("kind", "body"), [(JSON, b"["), (JSON, b"[]"), (JSON, b"\xff\xfe"), (PROTOBUF, b"\xff\xff\xff")]
    )
    def test_garbage_is_malformed(self, signal: otlp.Signal, kind: otlp.MediaType, body: bytes) -> None:
        """Bytes that are not what the header says are malformed, at once."""
        with pytest.raises(MalformedPayload):
            otlp.read(signal, body, kind=kind, encoding="")

    @pytest.mark.parametrize("depth", [500, 100_000])
    def test_deep_nesting_is_malformed(self, depth: int) -> None:
        """JSON nested beyond what can be read is malformed, not a crash."""
        nested = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
        body = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + nested + b"}]}}]}"

        with pytest.raises(MalformedPayload):
            otlp.read("traces", body, kind=JSON, encoding="")

    def test_empty_requests_are_fine(self) -> None:
        """A request without spans is taken."""
        in_json = otlp.read("traces", b"{}", kind=JSON, encoding="")
        in_protobuf = otlp.read("traces", b"", kind=PROTOBUF, encoding="")

        for payload in (in_json, in_protobuf):
            assert (list(payload.spans()), list(payload.events()), payload.spans_offered) == ([], [], 0)

    def test_bad_span_is_refused_alone(
        self, make_span: Callable[..., Any], make_request: Callable[..., Any], as_bytes: AsBytes
    ) -> None:
        """One span that cannot be stored is refused; the others are taken."""
        spans = [make_span(1), make_span(2, spanId="00"), make_span(3)]

        payload = otlp.read("traces", as_bytes(make_request(spans)), kind=JSON, encoding="")

        assert [span.span_id for span in payload.spans()] == [f"{1:016x}", f"{3:016x}"]
        assert (payload.spans_offered, len(payload.refusals)) == (3, 1)
        assert "span id '00'" in payload.refusals[0]

    def test_size_is_decompressed(self, make_request: Callable[..., Any], as_bytes: AsBytes) -> None:
        """A payload counts by what it is when decompressed."""
        body = as_bytes(make_request([]))

        assert otlp.read("traces", gzip.compress(body), kind=JSON, encoding="gzip").size == len(body)


class TestAnswers:
    def test_full_success_is_empty(self) -> None:
        """A request taken whole is answered with an empty response of its kind."""
        assert otlp.success("traces", PROTOBUF) == b""
        assert otlp.success("logs", PROTOBUF) == b""
        assert otlp.success("traces", JSON) == b"{}"

    def test_partial_success_counts_and_says_why(self) -> None:
        """Refused spans are counted, with the first reason."""
        refusals = ("span id '' is bad", "another")

        in_json = json.loads(otlp.success("traces", JSON, refusals=refusals))
        in_protobuf = ExportTraceServiceResponse.FromString(otlp.success("traces", PROTOBUF, refusals=refusals))

        message = "span id '' is bad (and 1 more)"
        assert in_json == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": message}}
        assert in_protobuf.partial_success.rejected_spans == 2
        assert in_protobuf.partial_success.error_message == message

    def test_failure_is_a_status(self) -> None:
        """A refused request is answered with a google.rpc.Status of its kind."""
        assert json.loads(otlp.failure(503, "full", JSON)) == {"code": 14, "message": "full"}
        assert Status.FromString(otlp.failure(400, "bad", PROTOBUF)) == Status(code=3, message="bad")
