"""OTLP requests to send, in both encodings, and a collector's inside to send them to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.ingest.intake import Intake
from tierwise.ingest.spans import Span
from tierwise.store.duckdb import DuckDBStore

START_NS = 1_790_000_000_000_000_000


def any_value(value: Any) -> dict[str, Any]:
    """A value in OTLP's JSON."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": key_values(value)}}
    return {"arrayValue": {"values": [any_value(item) for item in value]}}


def key_values(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes in OTLP's JSON."""
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


SpanMaker = Callable[..., dict[str, Any]]
RequestMaker = Callable[..., dict[str, Any]]


@pytest.fixture
def make_span() -> SpanMaker:
    """Makes a span of OTLP's JSON; `number` gives its ids."""

    def make(number: int = 1, attributes: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        return {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "name": "chat gpt-5.4",
            "kind": 3,
            "startTimeUnixNano": str(START_NS + number),
            "endTimeUnixNano": str(START_NS + number + 1_000_000_000),
            "attributes": key_values(attributes or {}),
            **fields,
        }

    return make


@pytest.fixture
def make_call_span(make_span: SpanMaker) -> SpanMaker:
    """Makes a span of tierwise's own for a call to a model."""

    def make(number: int = 1, **fields: Any) -> dict[str, Any]:
        call = Call("chat", "openai", "gpt-5.4", usage=Usage(input_tokens=100, output_tokens=20), **fields)
        return make_span(number, to_attributes(call))

    return make


@pytest.fixture
def make_request() -> RequestMaker:
    """Makes a trace request of OTLP's JSON."""

    def make(spans: Sequence[dict[str, Any]], *, scope: str = "tierwise", **resource: Any) -> dict[str, Any]:
        return {
            "resourceSpans": [
                {
                    "resource": {"attributes": key_values({"service.name": "checkout", **resource})},
                    "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
                }
            ]
        }

    return make


@pytest.fixture
def make_logs() -> RequestMaker:
    """Makes a logs request of OTLP's JSON with evaluation events; each is attributes, and ids under `span`."""

    def make(
        *events: Mapping[str, Any], span: int | None = 1, name: str = "gen_ai.evaluation.result"
    ) -> dict[str, Any]:
        ids = {} if span is None else {"traceId": f"{span:032x}", "spanId": f"{span:016x}"}
        records = [
            {"eventName": name, "timeUnixNano": str(START_NS), "attributes": key_values(event), **ids}
            for event in events
        ]
        return {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "tierwise"}, "logRecords": records}]}]}

    return make


@pytest.fixture
def as_bytes() -> Callable[[Any], bytes]:
    """Encodes a request of OTLP's JSON."""
    return lambda document: json.dumps(document).encode()


@pytest.fixture
def make_decoded() -> Callable[..., Span]:
    """Makes a decoded span with attributes."""

    def make(attributes: Mapping[str, Any], *, scope: str = "other", **fields: Any) -> Span:
        defaults: dict[str, Any] = {
            "trace_id": f"{1:032x}",
            "span_id": f"{1:016x}",
            "parent_span_id": None,
            "name": "chat gpt-5.4",
            "kind": "client",
            "start_ns": START_NS,
            "end_ns": START_NS + 1_000_000_000,
            "status": "unset",
            "scope_name": scope,
            "service_name": "checkout",
            "attributes": dict(attributes),
        }
        return Span(**{**defaults, **fields})

    return make


@pytest.fixture
def protobuf_request() -> Callable[..., ExportTraceServiceRequest]:
    """Makes a trace request in protobuf of spans with ids from the numbers given."""

    def make(*numbers: int, scope: str = "tierwise", **texts: str) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        resource_spans = request.resource_spans.add()
        name = resource_spans.resource.attributes.add()
        name.key, name.value.string_value = "service.name", "checkout"
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = scope
        for number in numbers:
            span = scope_spans.spans.add(
                trace_id=number.to_bytes(16, "big"),
                span_id=number.to_bytes(8, "big"),
                name="chat gpt-5.4",
                start_time_unix_nano=START_NS + number,
                end_time_unix_nano=START_NS + number + 1_000_000_000,
            )
            for key, text in {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5.4", **texts}.items():
                attribute = span.attributes.add()
                attribute.key, attribute.value.string_value = key, text
        return request

    return make


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    opened = DuckDBStore.open(None)
    yield opened
    opened.close()


@pytest.fixture
def intake(store: DuckDBStore, tmp_path: Path) -> Generator[Intake]:
    """An intake into `store`."""
    opened = Intake(store, tmp_path / "ingest")
    yield opened
    opened.stop()


class FakeDestination:
    """An OTLP/HTTP endpoint that keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        """Status, headers and body of every answer."""
        self.delay_s = 0.0
        """Before each answer."""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers in lower case, and body of what was answered with 200."""
        self.attempts = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                fake.attempts += 1
                time.sleep(fake.delay_s)
                status, headers, answer = fake.answer
                if status == 200:
                    names = {name.lower(): value for name, value in self.headers.items()}
                    fake.requests.append((self.path, names, content))
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def fake_destination() -> Generator[FakeDestination]:
    """An OTLP/HTTP endpoint that keeps what it gets."""
    fake = FakeDestination()
    fake.up()
    yield fake
    fake.down()
