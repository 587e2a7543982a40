"""What observing a call costs the app, beside the peers: CPU microseconds a call and a stream chunk, and the enabling.

    python benchmarks/overhead.py --rounds 5
    python benchmarks/overhead.py --only official,openinference --venvs /var/cache/peers

Each round runs every row in a fresh process, forwards and backwards in turn: the bare SDK; a floor (the least an
OpenTelemetry instrumentation could do: one wrapper, one span, fifteen attributes); tierwise as `import tierwise.auto`
sets it up with a policy of twenty rules in enforce mode, none of which applies in the end, so that task type, cost and
a routing decision are in it; and the peers as their documentation switches them on. Rows marked `metrics` have a
MeterProvider, the others have none. anthropic's own tracing is off but in the row `native`. openlit pins older SDKs, so
it has a bare row of its own, from its own environment.

Spans are batched to an exporter that drops them. The SDKs parse real bodies, handed to them by a `MockTransport`, so no
time goes to a network. What is measured, but for one column, is the CPU time of the calling thread: the caller's wait
on an idle core. Every call has the same instructions and
another user text; a stream has 100 chunks and its usage.

Columns: what a row adds to a bare call at the median, as the difference of the medians of the quietest rounds and, in
brackets, the median of the differences within a round; the difference of the 10th percentiles, which a busy machine
disturbs least, and of the 99th, which of a few dozen streams is nearly the slowest; `process`, what the whole process
spends on a call in mean, background threads included; then the added time as a share of a bare call, as a multiple of
the floor, and as a multiple of what the cheapest OpenTelemetry peer adds. Enabling is measured after both SDKs and the
OpenTelemetry SDK are imported.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import ALONE, DEFAULT_VENVS, PEERS, Peer, datadog_spans, dropping_exporter, environment
from provider_bodies import CHUNKS, chat_body, chat_events, message_body, message_events, response_body

CALLS = {"openai chat": 200, "openai stream": 60, "anthropic": 200, "anthropic stream": 80, "responses": 200}
SCENARIOS = tuple(CALLS)
PLAIN_OF_STREAM = {"openai stream": "openai chat", "anthropic stream": "anthropic"}
WARM_UP = 20
RESULT = "measured: "
"""Begins the line that a measuring process answers with; some peers print lines of their own."""
TARGET_CALL_US = 140.0
TARGET_OF_BEST_PEER = 0.5
TARGET_CHUNK_US = 4.0
TARGET_ENABLE_S = 0.15
TARGET_ENABLE_MB = 5.0

INSTRUCTIONS = (
    "You read invoices and give back the fields of the schema as JSON. Never guess a field that is not there."
)
WORDS = ("invoice", "number", "date", "total", "discount", "tax", "customer", "street", "city", "amount", "item")


# --- the rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One way of running the SDKs."""

    name: str
    peer: Peer
    set_up: Callable[[], object] | None = None
    """Instruments; None leaves the SDKs bare, without a TracerProvider either."""
    metrics: bool = False
    baseline: str = "bare"

    @property
    def competes(self) -> bool:
        """Whether it is one of the peers that tierwise is held against."""
        return self.peer is not ALONE and self.peer.opentelemetry and self.set_up is not None


def set_up_tierwise() -> None:
    importlib.import_module("tierwise.auto")


def set_up_tierwise_with_policy() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
        file.write(policy_toml())
    atexit.register(os.unlink, file.name)
    os.environ["TIERWISE_POLICY"] = file.name
    set_up_tierwise()


def policy_toml() -> str:
    """Twenty rules, of which each call comes near several and meets none."""
    rules = ["version = 1", 'mode = "enforce"']
    models = '["gpt-4o-mini", "claude-haiku-4-5"]'
    for number in range(20):
        conditions = (
            f'use_case = ["department-{number}"], request_model = {models}',
            f'task_type = ["translation", "math"], request_model = {models}, min_input_tokens = {number * 100}',
            f"request_model = {models}, min_input_tokens = {50_000 + number}",
            f'tenant = ["customer-{number}"]',
        )
        rules.append(f'[[rule]]\nid = "rule-{number}"\nkind = "route"\nwhen = {{ {conditions[number % 4]} }}')
        rules.append('to = "gpt-4.1-nano"\nshare = 1.0')
    return "\n".join(rules) + "\n"


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


ROWS = {
    row.name: row
    for row in (
        Row("bare", ALONE),
        Row("floor", ALONE, set_up_floor),
        Row("tierwise", ALONE, set_up_tierwise_with_policy),
        Row("tierwise, no policy", ALONE, set_up_tierwise),
        Row("tierwise, metrics", ALONE, set_up_tierwise_with_policy, metrics=True),
        Row("official", PEERS["official"], PEERS["official"].switch_on),
        Row("official, metrics", PEERS["official"], PEERS["official"].switch_on, metrics=True),
        Row("openllmetry", PEERS["openllmetry"], PEERS["openllmetry"].switch_on),
        Row("openinference", PEERS["openinference"], PEERS["openinference"].switch_on),
        Row("openlit's bare", PEERS["openlit"]),
        Row("openlit", PEERS["openlit"], PEERS["openlit"].switch_on, baseline="openlit's bare"),
        Row("langfuse", PEERS["langfuse"], PEERS["langfuse"].switch_on),
        Row("native", PEERS["native"], PEERS["native"].switch_on),
        Row("ddtrace", PEERS["ddtrace"], PEERS["ddtrace"].switch_on),
    )
}
OURS = ("tierwise", "tierwise, no policy", "tierwise, metrics")


# --- one process ------------------------------------------------------------------------------------------------------


def scenario(name: str) -> Callable[[str], None]:
    """A function that makes one call with a user text."""
    http = importlib.import_module(sdk_http())
    streamed = name.endswith("stream")
    if name.startswith("anthropic"):
        body: Any = b"".join(message_events()) if streamed else json.dumps(message_body()).encode()
    else:
        plain = response_body() if name == "responses" else chat_body()
        body = b"".join(chat_events()) if streamed else json.dumps(plain).encode()
    kind = "text/event-stream" if streamed else "application/json"

    def handle(_: Any) -> Any:
        return http.Response(200, headers={"content-type": kind}, content=body)

    http_client = http.Client(transport=http.MockTransport(handle))
    if name.startswith("anthropic"):
        import anthropic

        claude = anthropic.Anthropic(api_key="none", http_client=http_client)

        def ask_claude(text: str) -> None:
            answer: Any = claude.messages.create(
                model="claude-haiku-4-5",
                max_tokens=500,
                system=INSTRUCTIONS,
                messages=[{"role": "user", "content": text}],
                stream=streamed,
            )
            if streamed:
                for _ in answer:
                    pass

        return ask_claude

    import openai

    client = openai.OpenAI(api_key="none", http_client=http_client)

    def ask_responses(text: str) -> None:
        client.responses.create(model="gpt-4o-mini", instructions=INSTRUCTIONS, input=text)

    def ask_chat(text: str) -> None:
        answer: Any = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}],
            stream=streamed,
        )
        if streamed:
            for _ in answer:
                pass

    return ask_responses if name == "responses" else ask_chat


def sdk_http() -> str:
    """The HTTP package under the SDKs: httpx2, or httpx where they are older."""
    base_client = importlib.import_module("openai._base_client")
    return "httpx2" if hasattr(base_client, "httpx2") else "httpx"


def prepare(row: Row) -> None:
    """Everything an application has before it instruments: the SDKs, and OpenTelemetry set up."""
    os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "true" if row.name == "native" else "false"
    for sdk in ("openai", "anthropic"):
        importlib.import_module(sdk)
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if row.set_up is None:
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(dropping_exporter()))
    trace.set_tracer_provider(provider)
    if row.metrics:
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def measure(row: Row) -> dict[str, Any]:
    """What enabling costs, and CPU microseconds of a call by scenario: median, 99th and 10th percentile."""
    prepare(row)
    enabling = measure_enabling(row)
    words = random.Random(7)
    calls = {name: scenario(name) for name in SCENARIOS}
    gc.collect()
    memory, began = resident_mb(), time.perf_counter()
    for call in calls.values():
        call("Which invoice is due first?")
    enabling |= {"first_calls_s": time.perf_counter() - began, "first_calls_mb": resident_mb() - memory}
    measured: dict[str, tuple[float, float, float, float]] = {}
    for name, call in calls.items():
        taken: list[float] = []
        process_began = 0.0
        for number in range(WARM_UP + CALLS[name]):
            if number == WARM_UP:
                process_began = time.process_time()
            text = f"Invoice {number}: " + " ".join(words.choices(WORDS, k=170))
            began_ns = time.thread_time_ns()
            call(text)
            if number >= WARM_UP:
                taken.append((time.thread_time_ns() - began_ns) / 1000)
        quantiles = statistics.quantiles(taken, n=100)
        all_threads_us = (time.process_time() - process_began) * 1e6 / CALLS[name]
        measured[name] = statistics.median(taken), quantiles[98], quantiles[9], all_threads_us
    if row.set_up is not None:
        check_spans(row, calls)
    return {"enabling": enabling, "calls": measured}


def measure_enabling(row: Row) -> dict[str, float]:
    """Wall seconds, CPU seconds and MB of `set_up`, and the last two until its work in the background is done too."""
    gc.collect()
    memory, wall, cpu = resident_mb(), time.perf_counter(), time.process_time()
    if row.set_up is not None:
        row.set_up()
    found = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "mb": resident_mb() - memory,
    }
    if row.name in OURS:
        from tierwise import prices

        prices.load()
    return found | {"loaded_cpu_s": time.process_time() - cpu, "loaded_mb": resident_mb() - memory}


def check_spans(row: Row, calls: dict[str, Callable[[str], None]]) -> None:
    """Make each call once more, and see that what was measured is what its row says.

    Raises:
        RuntimeError: a call left no span, or one of tierwise's lacks task type, cost or, with a policy, the decision.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    expected = {"tierwise.task.type", "gen_ai.usage.cost.amount"} if row.name in OURS else set[str]()
    if row.name in OURS and row.set_up is set_up_tierwise_with_policy:
        expected.add("tierwise.route.policy_version")
    for name, call in calls.items():
        exporter.clear()
        datadog_spans.clear()
        call("Which invoice is due first?")
        spans = exporter.get_finished_spans()
        if not spans and not datadog_spans and provider_of(name) in row.peer.providers:
            raise RuntimeError(f"{row.name} made no span for {name}")
        if row.name in OURS and (missing := expected - set(spans[0].attributes or {})):
            raise RuntimeError(f"{row.name}: {name} says nothing of {missing}")


def provider_of(scenario_name: str) -> str:
    return "anthropic" if scenario_name.startswith("anthropic") else "openai"


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


# --- all of them ------------------------------------------------------------------------------------------------------


def in_fresh_process(row: Row, venvs: Path) -> Any:
    command = [environment(row.peer, venvs), Path(__file__), "--measure", row.name]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{row.name} failed:\n{finished.stderr}")
    (result,) = (line for line in finished.stdout.splitlines() if line.startswith(RESULT))
    return json.loads(result.removeprefix(RESULT))


@dataclass(frozen=True, slots=True)
class Added:
    """What a row adds to a call of one scenario, in CPU microseconds."""

    median_us: float
    within_rounds_us: float
    p99_us: float
    p10_us: float
    all_threads_us: float
    """In mean, what background threads do while the calls are made included."""


def added(rounds: list[dict[str, Any]], row: Row, name: str) -> Added:
    def quietest(which: str, number: int) -> float:
        return min(measured[which]["calls"][name][number] for measured in rounds)

    return Added(
        quietest(row.name, 0) - quietest(row.baseline, 0),
        statistics.median(
            measured[row.name]["calls"][name][0] - measured[row.baseline]["calls"][name][0] for measured in rounds
        ),
        quietest(row.name, 1) - quietest(row.baseline, 1),
        quietest(row.name, 2) - quietest(row.baseline, 2),
        quietest(row.name, 3) - quietest(row.baseline, 3),
    )


def report_calls(rounds: list[dict[str, Any]], rows: list[Row]) -> list[tuple[str, bool]]:
    """Print a table a scenario; the targets, each with whether it is met."""
    figures = {name: {row.name: added(rounds, row, name) for row in rows if row.set_up} for name in SCENARIOS}
    competing = [row for row in rows if row.competes and not row.metrics]
    targets: list[tuple[str, bool]] = []
    for name in SCENARIOS:
        found = figures[name]
        bare = {
            row.name: min(measured[row.name]["calls"][name][0] for measured in rounds) for row in rows if not row.set_up
        }
        floor = found["floor"].median_us
        traced = [row for row in competing if provider_of(name) in row.peer.providers]
        best = min((found[row.name].median_us for row in traced), default=None)
        print(f"\n{name}: bare {', '.join(f'{value:.0f} µs' for value in bare.values())}")
        print(
            f"  {'':20}{'added µs':>10}{'(rounds)':>10}{'p10':>8}{'p99':>8}{'process':>9}"
            f"{'of bare':>9}{'x floor':>9}{'x peer':>9}"
        )
        for row in rows:
            if row.set_up is None or (row in competing and row not in traced):
                continue
            it = found[row.name]
            against = f"{it.median_us / best:.2f}" if best is not None and best > 0 else "-"
            print(
                f"  {row.name:20}{it.median_us:+10.0f}{f'({it.within_rounds_us:+.0f})':>10}{it.p10_us:+8.0f}"
                f"{it.p99_us:+8.0f}{it.all_threads_us:+9.0f}"
                f"{it.median_us / bare[row.baseline]:9.1%}{it.median_us / floor:9.1f}{against:>9}"
            )
        ours = found["tierwise"].median_us
        if name not in PLAIN_OF_STREAM:
            targets.append(
                (f"{name}: {ours:.0f} of {TARGET_CALL_US:g} µs a call (floor {floor:.0f})", ours <= TARGET_CALL_US)
            )
        if best is not None:
            # Less than nothing is noise, of which no share can be taken.
            share = f"{ours / best:.2f} of {TARGET_OF_BEST_PEER:g}" if best > 0 else "no share"
            targets.append((f"{name}: {share} of the best peer", 0 < ours <= TARGET_OF_BEST_PEER * best))
    print("\nµs a chunk beyond a plain call")
    for row in rows:
        if row.set_up is None:
            continue
        chunk = {
            s: (figures[s][row.name].median_us - figures[p][row.name].median_us) / CHUNKS
            for s, p in PLAIN_OF_STREAM.items()
        }
        print(f"  {row.name:20}" + "".join(f"{name:>18} {value:+6.2f}" for name, value in chunk.items()))
        if row.name == "tierwise":
            for name, value in chunk.items():
                targets.append((f"{name}: {value:.2f} of {TARGET_CHUNK_US:g} µs a chunk", value <= TARGET_CHUNK_US))
    return targets


def report_enabling(rounds: list[dict[str, Any]], rows: list[Row]) -> list[tuple[str, bool]]:
    """Print what switching on costs; the targets, each with whether it is met."""
    print("\nenabling, after the SDKs are imported (median of the rounds)")
    print(f"  {'':20}{'until it returns':>24}{'until all is loaded':>22}{'first call of each':>21}")
    print(f"  {'':20}{'wall s':>8}{'CPU s':>8}{'MB':>8}{'CPU s':>14}{'MB':>8}{'wall ms':>13}{'MB':>8}")
    targets: list[tuple[str, bool]] = []
    for row in rows:
        it = {
            key: statistics.median(measured[row.name]["enabling"][key] for measured in rounds)
            for key in rounds[0][row.name]["enabling"]
        }
        print(
            f"  {row.name:20}{it['wall_s']:8.3f}{it['cpu_s']:8.3f}{it['mb']:8.1f}{it['loaded_cpu_s']:14.3f}"
            f"{it['loaded_mb']:8.1f}{it['first_calls_s'] * 1000:13.1f}{it['first_calls_mb']:8.1f}"
        )
        if row.name == "tierwise":
            wall, memory, loaded = it["wall_s"], it["mb"], it["loaded_mb"]
            targets.append((f"enabling: {wall:.3f} of {TARGET_ENABLE_S:g} s", wall <= TARGET_ENABLE_S))
            targets.append((f"enabling: {memory:.1f} of {TARGET_ENABLE_MB:g} MB", memory <= TARGET_ENABLE_MB))
            targets.append(
                (f"with the price list: {loaded:.1f} of {TARGET_ENABLE_MB:g} MB", loaded <= TARGET_ENABLE_MB)
            )
    return targets


def main() -> int:
    """Print the tables and the targets; exit with 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes a row (default: 5)")
    parser.add_argument("--only", help="peers to run, by comma; tierwise and its baselines always run")
    parser.add_argument("--venvs", type=Path, default=DEFAULT_VENVS, help="where the peers' environments are kept")
    parser.add_argument("--measure", choices=ROWS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(RESULT + json.dumps(measure(ROWS[arguments.measure])))
        return 0

    wanted = set(PEERS if arguments.only is None else arguments.only.split(","))
    if unknown := wanted - set(PEERS):
        parser.error(f"no peer is called {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    rows = [row for row in ROWS.values() if row.peer is ALONE or row.peer.name in wanted]
    for row in rows:
        environment(row.peer, arguments.venvs)
    rounds: list[dict[str, Any]] = []
    for number in range(arguments.rounds):
        order = rows if number % 2 == 0 else rows[::-1]
        rounds.append({row.name: in_fresh_process(row, arguments.venvs) for row in order})
        print(f"round {number + 1} of {arguments.rounds} done, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    targets = report_calls(rounds, rows) + report_enabling(rounds, rows)
    print("\ntargets")
    for text, met in targets:
        print(f"  {'met   ' if met else 'MISSED'}  {text}")
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
