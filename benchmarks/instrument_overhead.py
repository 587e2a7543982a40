"""What observing a call costs the app: CPU microseconds a call and a stream chunk, against the bare SDK.

    python benchmarks/instrument_overhead.py --rounds 5

Each round runs four fresh processes in changing order: the bare SDK, a floor (the least an OpenTelemetry
instrumentation could do: one wrapper, one span, fifteen attributes), tierwise as `import tierwise.auto` sets it up, and
tierwise in an app that has a MeterProvider too. Spans are batched to an exporter that drops them, metrics kept in
memory. The SDKs parse real bodies, handed to them by `httpx2.MockTransport`, so no time goes to a network. What is
measured is the CPU time of the calling thread.

Every call has the same instructions and another user text. A stream has 100 chunks and its usage.

Columns: CPU time of a bare call; what the floor, tierwise, and tierwise with metrics add, each as the difference of the
medians of the quietest rounds and, in brackets, the median of the differences within a round; then tierwise as a share
of bare and as a multiple of the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CHUNKS = 100
MODES = ("bare", "floor", "tierwise", "metrics")
SCENARIOS = ("openai chat", "openai stream", "anthropic", "anthropic stream", "responses")
CALLS = {"openai chat": 200, "openai stream": 60, "anthropic": 200, "anthropic stream": 80, "responses": 200}
WARM_UP = 20
TARGET_CALL_US = 150.0
TARGET_CHUNK_US = 5.0

ANSWER = "The invoice names three line items, a discount of five percent, and a total of 1,284.50 EUR. " * 3
INSTRUCTIONS = (
    "You read invoices and give back the fields of the schema as JSON. Never guess a field that is not there."
)
WORDS = ("invoice", "number", "date", "total", "discount", "tax", "customer", "street", "city", "amount", "item")


# --- what the provider answers ----------------------------------------------------------------------------------------


def chat_body() -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 300,
            "completion_tokens": 70,
            "total_tokens": 370,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def chat_events() -> Iterator[bytes]:
    envelope = {key: value for key, value in chat_body().items() if key not in ("choices", "usage")}
    envelope["object"] = "chat.completion.chunk"
    for number in range(CHUNKS):
        finish = "stop" if number == CHUNKS - 1 else None
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": finish}
        yield f"data: {json.dumps({**envelope, 'choices': [choice], 'usage': None})}\n\n".encode()
    yield f"data: {json.dumps({**envelope, 'choices': [], 'usage': chat_body()['usage']})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def message_body() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "output_tokens": 70,
            "cache_read_input_tokens": 900,
            "cache_creation_input_tokens": 200,
            "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
            "service_tier": "standard",
        },
    }


def message_events() -> Iterator[bytes]:
    def event(body: dict[str, Any]) -> bytes:
        return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()

    yield event({"type": "message_start", "message": {**message_body(), "content": [], "stop_reason": None}})
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for number in range(CHUNKS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield event({"type": "content_block_stop", "index": 0})
    yield event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 70}})
    yield event({"type": "message_stop"})


def response_body() -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o-mini",
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 300,
            "output_tokens": 70,
            "total_tokens": 370,
            "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


# --- one process ------------------------------------------------------------------------------------------------------


def scenario(name: str) -> Callable[[str], None]:
    """A function that makes one call with a user text."""
    import httpx2

    os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
    if name.startswith("anthropic"):
        import anthropic

        body: Any = b"".join(message_events()) if name.endswith("stream") else json.dumps(message_body()).encode()
    else:
        import openai

        plain = response_body() if name == "responses" else chat_body()
        body = b"".join(chat_events()) if name.endswith("stream") else json.dumps(plain).encode()
    kind = "text/event-stream" if name.endswith("stream") else "application/json"

    def handle(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    http_client = httpx2.Client(transport=httpx2.MockTransport(handle))
    if name.startswith("anthropic"):
        claude = anthropic.Anthropic(api_key="none", http_client=http_client)

        def ask_claude(text: str) -> None:
            answer: Any = claude.messages.create(
                model="claude-haiku-4-5",
                max_tokens=500,
                system=INSTRUCTIONS,
                messages=[{"role": "user", "content": text}],
                stream=name.endswith("stream"),
            )
            if name.endswith("stream"):
                for _ in answer:
                    pass

        return ask_claude
    client = openai.OpenAI(api_key="none", http_client=http_client)

    def ask_responses(text: str) -> None:
        client.responses.create(model="gpt-4o-mini", instructions=INSTRUCTIONS, input=text)

    def ask_chat(text: str) -> None:
        answer: Any = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}],
            stream=name.endswith("stream"),
        )
        if name.endswith("stream"):
            for _ in answer:
                pass

    return ask_responses if name == "responses" else ask_chat


def set_up(mode: str) -> None:
    """Instrument as the mode says."""
    if mode == "bare":
        return
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class DroppingExporter(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(DroppingExporter()))
    trace.set_tracer_provider(tracer_provider)
    if mode == "floor":
        set_up_floor()
        return
    if mode == "metrics":
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    import tierwise
    from tierwise import prices

    tierwise.instrument()
    prices.load()


def set_up_floor() -> None:
    import anthropic._base_client
    import openai._base_client
    import wrapt
    from opentelemetry import trace

    tracer = trace.get_tracer("floor")

    def request(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        with tracer.start_as_current_span("chat", kind=trace.SpanKind.CLIENT) as span:
            answer = wrapped(*args, **kwargs)
            span.set_attributes({f"gen_ai.attribute.{number}": f"value {number}" for number in range(15)})
            return answer

    for module in (openai._base_client, anthropic._base_client):
        wrapt.wrap_function_wrapper(module.SyncAPIClient, "request", request)


def measure(mode: str) -> dict[str, float]:
    """Median CPU microseconds of a call, by scenario."""
    calls = {name: scenario(name) for name in SCENARIOS}
    set_up(mode)
    words = random.Random(7)
    medians: dict[str, float] = {}
    for name, call in calls.items():
        taken: list[float] = []
        for number in range(WARM_UP + CALLS[name]):
            text = f"Invoice {number}: " + " ".join(words.choices(WORDS, k=170))
            began = time.thread_time_ns()
            call(text)
            if number >= WARM_UP:
                taken.append((time.thread_time_ns() - began) / 1000)
        medians[name] = statistics.median(taken)
    return medians


# --- all of them ------------------------------------------------------------------------------------------------------


def in_fresh_process(mode: str) -> dict[str, float]:
    finished = subprocess.run(
        [sys.executable, Path(__file__), "--measure", mode], capture_output=True, text=True, check=True
    )
    return json.loads(finished.stdout.splitlines()[-1])


def report(rounds: list[dict[str, dict[str, float]]]) -> bool:
    """Print the table; whether every target is met."""
    quietest = {mode: {name: min(r[mode][name] for r in rounds) for name in SCENARIOS} for mode in MODES}

    def added(mode: str, name: str) -> tuple[float, float]:
        within = statistics.median(r[mode][name] - r["bare"][name] for r in rounds)
        return quietest[mode][name] - quietest["bare"][name], within

    print(f"{'':18}{'bare µs':>9}{'floor':>16}{'tierwise':>16}{'with metrics':>16}{'of bare':>9}{'x floor':>9}")
    for name in SCENARIOS:
        bare = quietest["bare"][name]
        columns = {mode: added(mode, name) for mode in MODES[1:]}
        cells = "".join(f"{f'{value:+.0f} ({within:+.0f})':>16}" for value, within in columns.values())
        ours, floor = columns["tierwise"][0], columns["floor"][0]
        print(f"{name:18}{bare:9.0f}{cells}{ours / bare:9.1%}{ours / floor if floor > 0 else float('nan'):9.1f}")
    per_call = {name: added("tierwise", name)[0] for name in SCENARIOS if not name.endswith("stream")}
    per_chunk = {
        name: (added("tierwise", name)[0] - per_call[name.removesuffix(" stream").replace("openai", "openai chat")])
        / CHUNKS
        for name in SCENARIOS
        if name.endswith("stream")
    }
    for name, value in per_chunk.items():
        print(f"{name}: {value:+.2f} µs a chunk beyond a plain call")
    met = max(per_call.values()) <= TARGET_CALL_US and max(per_chunk.values()) <= TARGET_CHUNK_US
    print(f"targets (<= {TARGET_CALL_US:g} µs a call, <= {TARGET_CHUNK_US:g} µs a chunk): {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=MODES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(arguments.rounds):
        order = [MODES[(number + place) % len(MODES)] for place in range(len(MODES))]
        rounds.append({mode: in_fresh_process(mode) for mode in order})
        print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    return 0 if report(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
