"""What a process can set only once (global providers, handlers at exit, forks) is tested in processes of its own."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tierwise.instrumentation import export
from tierwise.settings import Settings
from tierwise.testing import LoopbackProvider

CALL = """
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="x", max_retries=0)
def call():
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


class Received:
    """What an OTLP receiver got: path, headers and (scope, span name) pairs of each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = []
        self.resource: dict[str, str] = {}
        """Attributes of the resource that the last spans came from."""
        self.attributes: dict[str, Any] = {}
        """Attributes of the last span."""

    @property
    def spans(self) -> list[tuple[str, str]]:
        return [span for _, _, spans in self.requests for span in spans]

    def decode(self, request: ExportTraceServiceRequest) -> list[tuple[str, str]]:
        spans: list[tuple[str, str]] = []
        for resource in request.resource_spans:
            self.resource = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    spans.append((scope.scope.name, span.name))
                    self.attributes = {attribute.key: attribute.value for attribute in span.attributes}
        return spans


class Receiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received = Received()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        received = cast("Receiver", self.server).received
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        spans: list[tuple[str, str]] = []
        if self.path.endswith("/v1/traces"):
            spans = received.decode(ExportTraceServiceRequest.FromString(body))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received.requests.append((self.path, headers, spans))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


collector = pytest.fixture(receiver)
backend = pytest.fixture(receiver)


@pytest.fixture(scope="module")
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider() as provider:
        yield provider


def run(script: str, provider: LoopbackProvider, environ: Mapping[str, str]) -> str:
    """What a process that runs `script` logs on stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIERWISE_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, time\n{script}", provider.openai_base_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**clean, **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_nobody_has_set_anything_up(collector: Receiver, provider: LoopbackProvider) -> None:
    """Without a provider of the app's, spans go to our collector, with its token and the app's service name."""
    logged = run(
        f"import tierwise.auto\n{CALL}\ncall()",
        provider,
        {"TIERWISE_ENDPOINT": collector.url, "TIERWISE_TOKEN": "secret", "OTEL_SERVICE_NAME": "shop"},
    )

    assert collector.received.spans == [("tierwise", "chat gpt-4o")]
    assert collector.received.resource["service.name"] == "shop"
    ((path, headers, _),) = collector.received.requests
    assert (path, headers["authorization"]) == ("/v1/traces", "Bearer secret")
    assert logged == ""


def test_the_app_sets_up_after_us(collector: Receiver, provider: LoopbackProvider) -> None:
    """An app that sets its own provider after importing us, before its first call, keeps it."""
    script = f"""
import tierwise.auto
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
{CALL}
call()
assert trace.get_tracer_provider() is provider
import tierwise
tierwise.flush()
assert [span.name for span in exporter.get_finished_spans()] == ["chat gpt-4o"], exporter.get_finished_spans()
"""
    logged = run(script, provider, {})

    assert logged == ""


def test_only_our_spans_of_the_apps(collector: Receiver, provider: LoopbackProvider) -> None:
    """An app with a provider that names our collector has tierwise's own spans sent there too, and no others."""
    script = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
import tierwise.auto
{CALL}
with trace.get_tracer("app").start_as_current_span("handler"):
    call()
    call()
"""
    run(script, provider, {"TIERWISE_ENDPOINT": collector.url})

    assert collector.received.spans == [("tierwise", "chat gpt-4o")] * 2


def test_standard_variables(collector: Receiver, backend: Receiver, provider: LoopbackProvider) -> None:
    """The standard variables decide; a collector named beside them gets our spans, and not the backend's key."""
    script = f"""
import tierwise.auto
{CALL}
call()
from opentelemetry import trace
with trace.get_tracer("app").start_as_current_span("handler"):
    pass
"""
    run(
        script,
        provider,
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=for-the-backend",
            "TIERWISE_ENDPOINT": collector.url,
        },
    )

    assert {path for path, _, _ in backend.received.requests} == {"/v1/traces"}
    assert sorted(backend.received.spans) == [("app", "handler"), ("tierwise", "chat gpt-4o")]
    assert backend.received.requests[0][1]["api-key"] == "for-the-backend"
    assert collector.received.spans == [("tierwise", "chat gpt-4o")]
    assert "api-key" not in collector.received.requests[0][1]


def test_variables_of_one_signal(backend: Receiver, provider: LoopbackProvider) -> None:
    """What is set for traces wins over what is set for all signals, and its address is used as it is."""
    run(
        f"import tierwise.auto\n{CALL}\ncall()",
        provider,
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{backend.url}/otel/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=for-all",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=for-traces",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
        },
    )

    ((path, headers, spans),) = backend.received.requests
    assert (path, headers["api-key"], headers["content-encoding"]) == ("/otel/v1/traces", "for-traces", "gzip")
    assert spans == [("tierwise", "chat gpt-4o")]


def test_sampler_and_resource(backend: Receiver, provider: LoopbackProvider) -> None:
    """The standard sampler decides which traces are exported, and spans carry the resource the variables describe."""
    script = f"""
import tierwise.auto
{CALL}
call()
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
assert trace.get_tracer_provider().sampler is ALWAYS_OFF
"""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production",
        "OTEL_SERVICE_NAME": "shop",
    }

    run(script, provider, {**environ, "OTEL_TRACES_SAMPLER": "always_off"})
    run(f"import tierwise.auto\n{CALL}\ncall()", provider, environ)

    assert backend.received.spans == [("tierwise", "chat gpt-4o")]
    assert backend.received.resource["deployment.environment.name"] == "production"
    assert backend.received.resource["service.name"] == "shop"


def test_profile(collector: Receiver, backend: Receiver, provider: LoopbackProvider) -> None:
    """A backend gets what its profile adds, with the header it asks for; a collector beside it gets none of that."""
    logged = run(
        f"import tierwise.auto\n{CALL}\ncall()",
        provider,
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=mine",
            "TIERWISE_ENDPOINT": collector.url,
            "TIERWISE_EXPORT_PROFILE": "mlflow,openlit",
        },
    )

    ((_, headers, _),) = backend.received.requests
    assert (headers["x-mlflow-experiment-id"], headers["api-key"]) == ("0", "mine")
    assert {"mlflow.llm.cost", "gen_ai.usage.cost"} <= backend.received.attributes.keys()
    assert backend.received.attributes.keys() - collector.received.attributes.keys() == {
        "mlflow.llm.cost",
        "gen_ai.usage.cost",
        "gen_ai.usage.total_tokens",
    }
    assert logged == ""


def test_headers_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that the standard variables name replaces the profile's own."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-mlflow-experiment-id=7")

    made_with: dict[str, Any] = {}
    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", lambda **arguments: made_with.update(arguments))

    export._http_exporter("http://127.0.0.1:9/v1/traces", ("mlflow",), None)

    assert made_with["headers"] == {"x-mlflow-experiment-id": "7"}


OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
"""


@pytest.mark.parametrize(
    ("set_up", "way_out"),
    [
        (OWN_PROVIDER, "wrap its exporter: tierwise.export_profile("),
        ("", "name the backend with OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
    ids=["provider of the app's", "collector alone"],
)
def test_profile_without_effect(set_up: str, way_out: str, collector: Receiver, provider: LoopbackProvider) -> None:
    """A profile that changes nothing, for want of an exporter of ours to a backend, is said once, with the way out."""
    script = f"{set_up}\nimport tierwise.auto\n{CALL}\ncall()\ncall()"

    logged = run(script, provider, {"TIERWISE_ENDPOINT": collector.url, "TIERWISE_EXPORT_PROFILE": "langfuse"})

    (line,) = logged.splitlines()
    assert "TIERWISE_EXPORT_PROFILE changes nothing" in line
    assert way_out in line
    assert "langfuse.observation.type" not in collector.received.attributes


def test_disabled(collector: Receiver, provider: LoopbackProvider) -> None:
    """With OpenTelemetry turned off nothing is sent, and calls work."""
    logged = run(
        f"import tierwise.auto\n{CALL}\ncall()",
        provider,
        {"OTEL_SDK_DISABLED": "true", "TIERWISE_ENDPOINT": collector.url},
    )

    assert collector.received.requests == []
    assert logged == ""


def test_metrics_where_asked_for(backend: Receiver, provider: LoopbackProvider) -> None:
    """An app that names an exporter for metrics gets them there, at its end at the latest."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, "OTEL_METRICS_EXPORTER": "otlp"}

    run(f"import tierwise.auto\n{CALL}\ncall()", provider, environ)

    assert sorted(path for path, _, _ in backend.received.requests) == ["/v1/metrics", "/v1/traces"]


def test_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_TRACES_EXPORTER=none` is respected: spans are made and go nowhere."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setattr(export, "_processors", [])

    provider = export._new_provider(Settings())

    assert provider.get_tracer("app").start_span("one").is_recording()
    assert export._processors == []


def test_grpc_without_its_package(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """`OTEL_EXPORTER_OTLP_PROTOCOL=grpc` without the package for it is said, with the way out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setattr(export, "find_spec", lambda _: None)

    export._standard_exporter("http://127.0.0.1:9/v1/traces", ())

    assert "Install it, or set the variable to http/protobuf" in caplog.text


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=for-all"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=for-all"},
    ],
    ids=["all signals", "traces"],
)
def test_grpc(variables: Mapping[str, str], provider: LoopbackProvider) -> None:
    """`OTEL_EXPORTER_OTLP_PROTOCOL=grpc` exports by gRPC, with the headers given and the profile's attributes."""
    grpc = pytest.importorskip("grpc", reason="the gRPC exporter is not installed here; `make unit-oldest` installs it")
    services = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")
    received = Received()

    class Servicer(services.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            headers = dict(context.invocation_metadata())
            received.requests.append(("grpc", headers, received.decode(request)))
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    services.add_TraceServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    logged = run(
        f"import tierwise.auto\n{CALL}\ncall()",
        provider,
        {
            **variables,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "TIERWISE_EXPORT_PROFILE": "openlit",
        },
    )
    server.stop(None).wait()

    assert received.spans == [("tierwise", "chat gpt-4o")], logged
    assert received.requests[0][1]["api-key"] == "for-all"
    assert received.attributes["gen_ai.usage.cost"].double_value > 0
    assert logged == ""


REFUSED, SILENT = "http://127.0.0.1:9", "http://10.255.255.1:4318"


@pytest.mark.parametrize("address", [REFUSED, SILENT], ids=["refused", "silent"])
def test_collector_away(address: str, provider: LoopbackProvider) -> None:
    """Without a collector calls are as quick as ever, the process ends in time, and one line says what to do."""
    script = f"""
import atexit
import tierwise.auto
{CALL}
call()
began = time.monotonic()
for _ in range(20):
    call()
calls_s = time.monotonic() - began
began = time.monotonic()
atexit._run_exitfuncs()
exit_s = time.monotonic() - began
assert calls_s < 2, calls_s
assert exit_s < 4, exit_s
"""
    logged = run(script, provider, {"TIERWISE_ENDPOINT": address})

    # An address that swallows every packet may not have failed yet when the process ends.
    lines = logged.splitlines()
    assert len(lines) == 1 or (address != REFUSED and lines == [])
    for line in lines:
        assert f"Spans cannot be delivered to {address}" in line
        assert "`tierwise up`" in line
        assert "TIERWISE_ENDPOINT" in line


def test_unpriced_at_exit(collector: Receiver, provider: LoopbackProvider) -> None:
    """A process that ends before the price list is loaded still delivers its call."""
    script = f"""
from tierwise import prices
prices.load = lambda: time.sleep(60)
import tierwise.auto
{CALL}
call()
"""
    run(script, provider, {"TIERWISE_ENDPOINT": collector.url})

    assert collector.received.spans == [("tierwise", "chat gpt-4o")]


def test_forked(collector: Receiver, provider: LoopbackProvider) -> None:
    """A child forked after calls were made, as servers do, delivers its own calls, once."""
    script = f"""
import os
import tierwise.auto
import tierwise
{CALL}
call()
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        client = openai.OpenAI(base_url=sys.argv[1], api_key="x", max_retries=0)
        call()
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{{"role": "user", "content": "hi"}}], stream=True
        )
        next(stream)
        del stream
        ok = tierwise.flush(20)
        os._exit(0 if ok else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
"""
    run(script, provider, {"TIERWISE_ENDPOINT": collector.url})

    names = [name for _, name in collector.received.spans]
    assert sorted(names) == ["chat gpt-4o"] * 3 + ["chat gpt-4o-mini"] * 2
