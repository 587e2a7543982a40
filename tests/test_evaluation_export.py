from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tierwise.call import Evaluation
from tierwise.evaluation_export import EvaluationExport, attributes_of, context_of
from tierwise.settings import Settings

EVALUATION = Evaluation(f"{0xABC:032x}", f"{0xDEF:016x}", "totals", "check", 1.0, 1_000, label="pass", response_id="r")


class Received:
    """What a loopback OTLP collector got."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[ExportLogsServiceRequest] = []


@contextmanager
def collecting() -> Generator[Received]:
    """A collector on a free loopback port."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.paths.append(self.path)
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            received.requests.append(ExportLogsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OTEL_SDK_DISABLED",
        "OTEL_LOGS_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "TIERWISE_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)


def test_evaluations_reach_the_collector_over_the_wire():
    """The bytes a collector gets are an OTLP log record with event name, ids, attributes and the token."""
    with collecting() as collector:
        export = EvaluationExport(Settings(endpoint=collector.url, token="secret"))
        export.emit(EVALUATION)
        assert export.flush()
        export.close(timeout_s=5)

    (request,) = collector.requests
    (record,) = request.resource_logs[0].scope_logs[0].log_records
    assert collector.paths == ["/v1/logs"]
    assert collector.headers[0]["authorization"] == "Bearer secret"
    assert record.event_name == "gen_ai.evaluation.result"
    assert record.trace_id == (0xABC).to_bytes(16, "big")
    assert record.span_id == (0xDEF).to_bytes(8, "big")
    assert record.time_unix_nano == 1_000
    assert {item.key for item in record.attributes} == {
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.value",
        "gen_ai.evaluation.score.label",
        "tierwise.evaluation.source",
        "gen_ai.response.id",
    }


def test_keys_for_another_backend_do_not_reach_our_collector(monkeypatch: pytest.MonkeyPatch):
    """OTEL_EXPORTER_OTLP_HEADERS belongs to OTEL_EXPORTER_OTLP_ENDPOINT; each address gets its own headers."""
    with collecting() as ours, collecting() as theirs:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", theirs.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=theirs")
        export = EvaluationExport(Settings(endpoint=ours.url, token="ours"))
        export.emit(EVALUATION)
        assert export.flush()
        export.close(timeout_s=5)

    assert (len(ours.requests), len(theirs.requests)) == (1, 1)
    assert "x-api-key" not in ours.headers[0]
    assert theirs.headers[0]["x-api-key"] == "theirs"
    assert "authorization" not in theirs.headers[0]


def test_a_collector_that_is_away_is_mentioned_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """One WARNING of ours names address and way out; the OTLP exporter's own complaints are kept back."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "0.2")
    export = EvaluationExport(Settings(endpoint="http://127.0.0.1:9"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            export.emit(EVALUATION)
            export.flush()
    export.close(timeout_s=1)

    assert [record.name for record in caplog.records] == ["tierwise"]
    assert "http://127.0.0.1:9/v1/logs" in caplog.text
    assert "tierwise up" in caplog.text


def test_what_is_unknown_is_left_out_of_the_event():
    """An abstention has no score attribute; 0 is kept."""
    abstained = Evaluation("", "", "a", "check", None, 1)
    zero = Evaluation("", "", "a", "judge", 0.0, 1, explanation="why")

    assert attributes_of(abstained) == {"gen_ai.evaluation.name": "a", "tierwise.evaluation.source": "check"}
    assert attributes_of(zero)["gen_ai.evaluation.score.value"] == 0.0
    assert attributes_of(zero)["gen_ai.evaluation.explanation"] == "why"


def test_an_evaluation_without_span_does_not_take_the_current_one():
    """Only ids that were given are sent, whatever span happens to be current."""
    from opentelemetry import trace

    current = trace.SpanContext(1, 2, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(current)):
        context = context_of(Evaluation("", "", "a", "feedback", 1.0, 1, response_id="r"))

    assert context
    assert not trace.get_current_span(context).get_span_context().is_valid


SCRIPT = """
import logging
logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, TraceFlags, set_tracer_provider
from tierwise import evaluations
evaluations.check("u", name="c")(lambda request, answer: print("checked") is None)
set_tracer_provider(TracerProvider())
evaluations.drain(30)  # a model takes its time as well
evaluations.schedule({}, evaluations.Answer("a"), span_context=SpanContext(1, 2, False, TraceFlags(1)),
                     use_case_id="u", use_case_name=None, response_id=None)
"""


def _run_script(endpoint: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=True,
        env=environment | {"TIERWISE_ENDPOINT": endpoint},
        text=True,
        timeout=60,
    )


def test_a_script_that_ends_delivers_its_last_scores():
    """A check scheduled as the last thing a process does still runs, and its score arrives."""
    with collecting() as collector:
        done = _run_script(collector.url)

    assert (done.stdout, done.stderr) == ("checked\n", "")
    (record,) = collector.requests[0].resource_logs[0].scope_logs[0].log_records
    assert record.span_id == (2).to_bytes(8, "big")


def test_a_script_ends_in_time_when_the_collector_is_away():
    """The process waits seconds at the most, and says once where its scores could not go."""
    began = time.monotonic()
    done = _run_script("http://127.0.0.1:9")

    assert time.monotonic() - began < 20
    assert done.stdout == "checked\n"
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("tierwise: Evaluations cannot be delivered to http://127.0.0.1:9/v1/logs.")
