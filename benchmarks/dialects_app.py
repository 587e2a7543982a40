"""The application of `dialects.py`: one process that is instrumented by one peer, makes the calls and reports.

    python benchmarks/dialects_app.py '{"peer": "official", "service": "...", "endpoint": "...", ...}'

It runs with the interpreter of the peer's own environment and prints call → trace id as JSON. Each call stands in a
span of the application's own, so that what is stored of it is found by its trace.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from dialect_calls import CALLS, DialectCall
from peers import ALONE, PEERS

RESULT = "worked: "
CONTENT_ON = {
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
    "ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content",
}
"""Where capturing content is opt-in; all others do it unasked."""


def main() -> None:
    """Switch on, make the calls, print their traces."""
    job = json.loads(sys.argv[1])
    logging.disable(logging.CRITICAL)
    os.environ.update(CONTENT_ON)
    peer = ALONE if job["peer"] == ALONE.name else PEERS[job["peer"]]
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ["OTEL_SERVICE_NAME"] = job["service"]
    if peer.name != "logfire":
        # logfire makes the provider itself.
        trace.set_tracer_provider(TracerProvider(resource=Resource.create()))
    if peer is ALONE:
        import tierwise
        from tierwise import prices

        os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
        tierwise.instrument()
        prices.load()
    else:
        peer.switch_on()
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{job['endpoint']}/v1/traces")))
    traces = _make_calls(job, trace.get_tracer("app"), peer.providers)
    provider.force_flush()
    print(f"\n{RESULT}{json.dumps(traces)}")


def _make_calls(job: dict[str, str], tracer: Any, providers: Iterable[str]) -> dict[str, str]:
    clients = _clients(job)
    traces: dict[str, str] = {}
    for call in CALLS:
        if call.provider not in providers:
            continue
        with tracer.start_as_current_span("request") as span:
            traces[call.name] = f"{span.get_span_context().trace_id:032x}"
            _make(clients[call.provider], call)
    return traces


def _clients(job: dict[str, str]) -> dict[str, Any]:
    import anthropic
    import openai

    return {
        "openai": openai.OpenAI(base_url=job["openai_url"], api_key="none", max_retries=0),
        "anthropic": anthropic.Anthropic(base_url=job["anthropic_url"], api_key="none", max_retries=0),
    }


def _make(client: Any, call: DialectCall) -> None:
    create: Callable[..., Any] = client
    for name in call.path.split("."):
        create = getattr(create, name)
    try:
        answer = create(**call.arguments)
        if call.arguments.get("stream"):
            for _ in answer:
                pass
    except Exception:
        if not call.fails:
            raise


if __name__ == "__main__":
    main()
