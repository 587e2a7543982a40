from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

from tierwise.ingest.app import create_app
from tierwise.ingest.intake import Intake, Unavailable
from tierwise.ingest.limits import MAX_BODY_BYTES, MAX_DECOMPRESSED_BYTES
from tierwise.ingest.reception import Reception
from tierwise.ingest.wal import segment_paths
from tierwise.routing.signature import sign
from tierwise.store.duckdb import DuckDBStore

Make = Callable[..., Any]
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def http(store: DuckDBStore, intake: Intake) -> Generator[TestClient]:
    """The collector's HTTP, in process."""
    with TestClient(create_app(store, Reception(intake)), base_url="http://127.0.0.1:4318") as client:
        yield client


class TestOtlp:
    @pytest.mark.parametrize("encoding", ["", "gzip"])
    def test_protobuf_is_taken(
        self, http: TestClient, intake: Intake, store: DuckDBStore, protobuf_request: Make, encoding: str
    ) -> None:
        """A protobuf request is answered in protobuf, and its calls are stored."""
        content = protobuf_request(1, 2).SerializeToString()
        headers = {**PROTOBUF, "Content-Encoding": encoding} if encoding else PROTOBUF

        response = http.post("/v1/traces", content=gzip.compress(content) if encoding else content, headers=headers)
        intake.flush()

        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/x-protobuf"
        assert store.query("calls").num_rows == 2

    def test_json_is_taken(
        self, http: TestClient, intake: Intake, store: DuckDBStore, make_request: Make, make_call_span: Make
    ) -> None:
        """A JSON request is answered in JSON, and its calls are stored."""
        response = http.post("/v1/traces", json=make_request([make_call_span(1)]))
        intake.flush()

        assert (response.status_code, response.json()) == (200, {})
        assert store.query("calls").num_rows == 1

    def test_partial_success(self, http: TestClient, protobuf_request: Make) -> None:
        """Spans that cannot be stored are counted in the answer; the status is 200 all the same."""
        request = protobuf_request(1, 2)
        request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""

        response = http.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)

        assert response.status_code == 200
        assert ExportTraceServiceResponse.FromString(response.content).partial_success.rejected_spans == 1

    def test_logs_that_are_no_evaluations_are_taken_and_dropped(
        self, http: TestClient, store: DuckDBStore, make_logs: Make
    ) -> None:
        """Other log records are acknowledged, so that their sender does not send them for ever."""
        response = http.post("/v1/logs", json=make_logs({"a": 1}, name="other"))

        assert (response.status_code, response.json()) == (200, {})

    def test_metrics_are_taken_and_dropped(self, http: TestClient, tmp_path: Path) -> None:
        """Metrics are acknowledged in the sender's encoding and kept nowhere."""
        in_json = http.post("/v1/metrics", json={"resourceMetrics": []})
        in_protobuf = http.post("/v1/metrics", content=b"anything", headers=PROTOBUF)

        assert (in_json.status_code, in_json.json()) == (200, {})
        assert (in_protobuf.status_code, in_protobuf.content) == (200, b"")
        assert segment_paths(tmp_path / "ingest") == []

    def test_zstd_is_taken(self, http: TestClient, intake: Intake, protobuf_request: Make) -> None:
        """A body in zstd is taken where the package for it is installed."""
        zstandard = pytest.importorskip("zstandard", reason="the extra zstd is not installed")
        content = zstandard.compress(protobuf_request(1).SerializeToString())

        response = http.post("/v1/traces", content=content, headers={**PROTOBUF, "Content-Encoding": "zstd"})

        assert response.status_code == 200
        assert intake.metrics.value("tierwise_spans_received_total") == 1

    def test_zstd_without_its_package_is_said(self, http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the package a body in zstd is refused, and the answer says what to do."""
        monkeypatch.setitem(sys.modules, "zstandard", None)

        response = http.post("/v1/traces", content=b"x", headers={**PROTOBUF, "Content-Encoding": "zstd"})

        assert response.status_code == 415
        assert "tierwise[zstd]" in Status.FromString(response.content).message

    def test_bodies_together_have_a_bound(self, store: DuckDBStore, intake: Intake) -> None:
        """When requests hold too many bytes, the next is told to come back."""
        app = create_app(store, Reception(intake, max_held_bytes=1000))
        with TestClient(app, base_url="http://127.0.0.1:4318") as client:
            response = client.post("/v1/traces", content=bytes(1001), headers=PROTOBUF)

        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert intake.metrics.value("tierwise_retries_asked_total", protocol="http") == 1

    @pytest.mark.parametrize("origin", ["https://evil.example.com", "http://localhost:3000", "null"])
    def test_no_page_is_let_in(self, http: TestClient, origin: str) -> None:
        """No answer carries a CORS header, to whatever origin and method."""
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}

        for answer in (
            http.options("/v1/traces", headers=headers),
            http.post("/v1/traces", content=b"", headers={**PROTOBUF, **headers}),
            http.get("/healthz", headers=headers),
            http.get("/v1/policy", headers=headers),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]

    @pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
    @pytest.mark.parametrize(
        ("headers", "content", "status"),
        [
            (PROTOBUF, b"\xff\xff", 400),
            ({**PROTOBUF, "Content-Encoding": "gzip"}, b"not gzip", 400),
            ({**PROTOBUF, "Content-Encoding": "br"}, b"", 415),
            ({"Content-Type": "text/plain"}, b"", 415),
            ({}, b"", 415),
            (PROTOBUF, bytes(MAX_BODY_BYTES + 1), 413),
            ({**PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress(bytes(MAX_DECOMPRESSED_BYTES + 1)), 413),
        ],
        ids=["garbage", "bad gzip", "brotli", "text", "no type", "too big", "bomb"],
    )
    def test_bad_request_says_why(
        self, http: TestClient, path: str, headers: dict[str, str], content: bytes, status: int
    ) -> None:
        """A request that is no use is refused with a Status in protobuf that says why."""
        response = http.post(path, content=content, headers=headers)

        assert response.status_code == status
        assert Status.FromString(response.content).message

    def test_bad_json_is_answered_in_json(self, http: TestClient) -> None:
        """A JSON request is refused in JSON."""
        response = http.post("/v1/traces", content=b"{", headers=JSON)

        assert response.status_code == 400
        assert response.json()["code"] == 3
        assert "JSON" in response.json()["message"]

    def test_body_without_a_length_is_bounded_too(self, http: TestClient) -> None:
        """A body sent in chunks is counted as it comes."""
        chunks = (bytes(1024 * 1024) for _ in range(17))

        assert http.post("/v1/traces", content=chunks, headers=PROTOBUF).status_code == 413

    def test_full_says_when_to_come_back(
        self, http: TestClient, intake: Intake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A collector that cannot take more answers 503 with Retry-After of one second."""

        def accept(body: object) -> None:
            raise Unavailable("too much waits to be landed")

        monkeypatch.setattr(intake, "accept", accept)

        response = http.post("/v1/traces", content=b"", headers=PROTOBUF)

        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert Status.FromString(response.content) == Status(code=14, message="too much waits to be landed")

    def test_only_posting_is_possible(self, http: TestClient) -> None:
        """OTLP is posted; other methods are refused, and no page of another origin is let in."""
        assert http.get("/v1/traces").status_code == 405
        options = http.options("/v1/traces", headers={"Origin": "https://evil.example.com"})
        assert options.status_code == 405
        assert "access-control-allow-origin" not in options.headers


class TestHealth:
    def test_living_process_is_healthy(self, http: TestClient) -> None:
        """/healthz answers with the process id."""
        assert http.get("/healthz").json()["status"] == "ok"

    def test_readiness_names_the_store(self, http: TestClient) -> None:
        """/readyz answers when the store does."""
        assert http.get("/readyz").json() == {"status": "ready", "store": "memory:"}

    def test_closed_store_is_not_ready(self, http: TestClient, store: DuckDBStore) -> None:
        """Without its store the collector is not ready, and says why."""
        store.close()

        response = http.get("/readyz")

        assert response.status_code == 503
        assert "closed" in response.json()["reason"]

    def test_stopping_is_not_ready(self, http: TestClient, intake: Intake) -> None:
        """A collector that is stopping is not ready."""
        intake.stop()

        assert http.get("/readyz").json() == {"status": "not ready", "reason": "stopping"}

    def test_draining_is_not_ready_and_takes_what_comes(
        self, http: TestClient, intake: Intake, protobuf_request: Make
    ) -> None:
        """From the moment it is told to stop nobody new should be sent, and whoever is there is still served."""
        intake.drain()

        answer = http.post("/v1/traces", content=protobuf_request(1).SerializeToString(), headers=PROTOBUF)

        assert http.get("/readyz").status_code == 503
        assert "tierwise_ready 0" in http.get("/metrics").text
        assert answer.status_code == 200

    def test_metrics_count_requests(self, http: TestClient) -> None:
        """/metrics counts what was answered."""
        http.post("/v1/traces", content=b"", headers=PROTOBUF)
        http.post("/v1/traces", content=b"\xff", headers=PROTOBUF)

        text = http.get("/metrics").text

        assert 'tierwise_requests_total{protocol="http",signal="traces",status="200"} 1' in text
        assert 'tierwise_requests_total{protocol="http",signal="traces",status="400"} 1' in text
        assert 'tierwise_request_bytes_total{protocol="http",signal="traces"} 1' in text
        assert "tierwise_ready 1" in text
        assert "tierwise_acknowledge_seconds_count 1" in text


class TestPolicy:
    def test_none_is_not_found(self, http: TestClient) -> None:
        """Before the first policy there is none to fetch."""
        assert http.get("/v1/policy").status_code == 404

    def test_current_text_comes_with_its_tag(self, http: TestClient, store: DuckDBStore) -> None:
        """The policy is answered as TOML; asking again with its tag is answered with 304 until it changes."""
        store.put_policy('mode = "shadow"', who="ana", why="start")
        first = http.get("/v1/policy")
        tag = first.headers["ETag"]

        unchanged = http.get("/v1/policy", headers={"If-None-Match": tag})
        store.put_policy('mode = "off"', who="ana", why="stop", based_on=1)
        changed = http.get("/v1/policy", headers={"If-None-Match": tag})

        assert first.text == 'version = 1\nmode = "shadow"'
        assert first.headers["content-type"].startswith("application/toml")
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert changed.text == 'version = 2\nmode = "off"'
        assert "X-Tierwise-Signature" not in first.headers

    def test_a_collector_with_a_key_signs(self, store: DuckDBStore, intake: Intake) -> None:
        """With a key the policy comes with the signature of its very bytes."""
        store.put_policy('mode = "shadow"', who="ana", why="start")

        app = create_app(store, Reception(intake), policy_key="key")

        with TestClient(app, base_url="http://127.0.0.1:4318") as signing:
            answer = signing.get("/v1/policy")

        assert answer.headers["X-Tierwise-Signature"] == sign(answer.content, "key")


class TestStoreApi:
    def test_query_answers_in_arrow(self, http: TestClient) -> None:
        """Rows come as an Arrow IPC stream."""
        response = http.post("/v1/query", json={"name": "overview_totals", "parameters": {"since": 5}})

        table = pa.ipc.open_stream(response.content).read_all()
        assert table["calls"].to_pylist() == [0]

    @pytest.mark.parametrize(
        ("path", "content", "status"),
        [
            ("/v1/query", b'{"name": "nope"}', 400),
            ("/v1/query", b'{"name": 5}', 400),
            ("/v1/query", b'{"name": "calls", "parameters": 5}', 400),
            ("/v1/query", b'{"sql": "DROP TABLE llm_calls"}', 400),
            ("/v1/query", b'{"sql": "SELECT 1", "max_rows": "many"}', 400),
            ("/v1/query", b"[]", 400),
            ("/v1/query", b"{", 400),
            ("/v1/store/put_policy", b"{}", 400),
            ("/v1/store/put_policy", b'{"text": "mode = 5", "who": "a", "why": "b", "action": "apply"}', 422),
            ("/v1/store/audit", b'{"action": "a", "who": "b", "why": "c"}', 400),
            ("/v1/store/add_calls", b'{"calls": [{}], "spans": []}', 400),
            ("/v1/store/close", b"{}", 404),
            ("/v1/store/__init__", b"{}", 404),
        ],
    )
    def test_wrong_arguments_say_so(self, http: TestClient, path: str, content: bytes, status: int) -> None:
        """A request that does not fit is refused in JSON, with the kind of error and a message."""
        response = http.post(path, content=content, headers=JSON)

        assert response.status_code == status
        assert response.json().keys() == {"error", "message"}

    def test_pages_cannot_write(self, http: TestClient) -> None:
        """A content type that a web page may send across origins is refused."""
        response = http.post("/v1/store/audit", content=json.dumps({}), headers={"Content-Type": "text/plain"})

        assert response.status_code == 415

    def test_flush_waits_for_what_was_acknowledged(
        self, http: TestClient, make_request: Make, make_call_span: Make
    ) -> None:
        """After a flush everything acknowledged can be queried."""
        http.post("/v1/traces", json=make_request([make_call_span(1)]))

        flushed = http.post("/v1/store/flush", json={})

        assert flushed.json() == {"result": True}
        response = http.post("/v1/query", json={"name": "calls"})
        assert pa.ipc.open_stream(response.content).read_all().num_rows == 1
