"""What Phoenix and MLflow show for the cost of calls that tierwise instrumented, beside what tierwise says.

Calls are made with the real SDKs against a provider on loopback, once exported as they are and once under each
backend's export profile, and the costs are read back by the backends' own APIs. Where a figure differs, the reason is
looked for by pricing the call as the backend might have: an explanation is printed only if it gives that figure.

    python benchmarks/apm.py [--venvs DIR] [--markdown]

Both backends are installed from PyPI at the first run, about 1.3 GB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
from apm_backends import Backend, Shown, mlflow, phoenix, read_back
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tierwise
from tierwise import prices
from tierwise.attributes import from_attributes
from tierwise.call import Call, Usage
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

DEFAULT_VENVS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tierwise" / "apm"
POLICY = """
version = 1
mode = "enforce"

[[rule]]
id = "cheaper"
kind = "route"
when = { request_model = ["claude-opus-4-7"] }
to = "claude-haiku-4-5"
"""
CLOSE_USD = 1e-9
"""Figures are doubles on their way: two that differ by less are the same."""


# --- the calls --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One call."""

    name: str
    api: str
    model: str
    usage: ProviderUsage
    stream: bool = False
    service_tier: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])

    def answer(self) -> Answer:
        return Answer("Paris.", usage=self.usage, service_tier=self.service_tier)


SCENARIOS = (
    Scenario("chat", "chat", "gpt-4o-mini", ProviderUsage(1200, 300)),
    Scenario("chat, streamed", "chat", "gpt-4o-mini", ProviderUsage(1200, 300), stream=True),
    Scenario("messages", "messages", "claude-haiku-4-5", ProviderUsage(1200, 300)),
    Scenario("messages, streamed", "messages", "claude-haiku-4-5", ProviderUsage(1200, 300), stream=True),
    Scenario("chat, cache read", "chat", "gpt-4o", ProviderUsage(4000, 300, cache_read=3000)),
    Scenario("Responses, reasoning", "responses", "gpt-5-nano", ProviderUsage(1200, 900, reasoning=700)),
    Scenario(
        "messages, cache read and 5 min write",
        "messages",
        "claude-sonnet-4-6",
        ProviderUsage(6000, 300, cache_read=3000, cache_write_5m=2000),
    ),
    Scenario(
        "messages, 1 h cache write", "messages", "claude-sonnet-4-6", ProviderUsage(6000, 300, cache_write_1h=5000)
    ),
    Scenario("Responses, long context", "responses", "gpt-5.5", ProviderUsage(300_000, 300)),
    Scenario("Responses, flex tier", "responses", "gpt-5.6-sol", ProviderUsage(100_000, 1000), service_tier="flex"),
    Scenario("messages, 5 web searches", "messages", "claude-sonnet-4-6", ProviderUsage(6000, 300, web_searches=5)),
    Scenario("embeddings", "embeddings", "text-embedding-3-small", ProviderUsage(5000, 0)),
    Scenario("routed: opus-4-7 to haiku-4-5", "messages", "claude-opus-4-7", ProviderUsage(1200, 300)),
    Scenario("newest model", "messages", "claude-mythos-5-2", ProviderUsage(1200, 300)),
    Scenario("unknown model", "chat", "no-such-model", ProviderUsage(1200, 300)),
)


def make_call(scenario: Scenario, provider: LoopbackProvider) -> None:
    """Make one call, and read its answer to the end."""
    provider.script([scenario.answer()])
    ask = {"messages": [{"role": "user", "content": "Capital of France?"}]}
    if scenario.api == "messages":
        with anthropic.Anthropic(base_url=provider.anthropic_base_url, api_key="none") as client:
            answer: Any = client.messages.create(model=scenario.model, max_tokens=1000, stream=scenario.stream, **ask)
            if scenario.stream:
                list(answer)
        return
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="none") as client:
        if scenario.api == "responses":
            client.responses.create(model=scenario.model, input="Capital of France?")
        elif scenario.api == "embeddings":
            client.embeddings.create(model=scenario.model, input="Capital of France?")
        elif scenario.stream:
            options: Any = {"include_usage": True}
            list(client.chat.completions.create(model=scenario.model, stream=True, stream_options=options, **ask))
        else:
            client.chat.completions.create(model=scenario.model, **ask)


@dataclass(frozen=True)
class Made:
    """A call that was made, as its span describes it."""

    scenario: Scenario
    span_id: str
    trace_id: str
    started_ns: int
    call: Call

    @property
    def usd(self) -> float | None:
        return None if self.call.cost is None else float(self.call.cost.total_usd)


def make_calls(run: str, backends: list[Backend], *, with_profile: bool) -> list[Made]:
    """Make every call once, exported to every backend."""
    capture = InMemorySpanExporter()
    destinations = [backend.destination(run) for backend in backends]
    resource = {"service.name": "apm-benchmark"}
    for _, _, attributes in destinations:
        resource |= attributes
    tracer_provider = TracerProvider(resource=Resource.create(resource))
    tracer_provider.add_span_processor(SimpleSpanProcessor(capture))
    for backend, (endpoint, headers, _) in zip(backends, destinations, strict=True):
        exporter: Any = OTLPSpanExporter(endpoint=endpoint, headers=headers)
        if with_profile:
            exporter = tierwise.export_profile(exporter, backend.profile)
        tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))

    tierwise.instrument(parse(POLICY), settings=Settings(), tracer_provider=tracer_provider)
    try:
        with LoopbackProvider() as provider:
            for scenario in SCENARIOS:
                make_call(scenario, provider)
        tierwise.flush()
    finally:
        tierwise.uninstrument()

    made: list[Made] = []
    for scenario, span in zip(SCENARIOS, capture.get_finished_spans(), strict=True):
        context, call = span.context, from_attributes(span.attributes or {})
        assert context is not None
        ids = f"{context.span_id:016x}", f"{context.trace_id:032x}"
        made.append(Made(scenario, *ids, span.start_time or 0, call))
    tracer_provider.shutdown()
    return made


# --- why a figure differs ---------------------------------------------------------------------------------------------


def explain(made: Made, shown: Shown | None) -> str:
    """`yes`, or `no` and what the backend did, found by pricing the call in that way."""
    if shown is None:
        return "no: it does not hold the call"
    ours, theirs = made.usd, shown.total_usd
    if ours is None or theirs is None:
        if ours is None and not theirs:
            return "yes"
        return "no: it shows no cost" if theirs is None else "no: tierwise knows no price for this model"
    if abs(ours - theirs) < CLOSE_USD:
        return "yes"
    for what, usd in mistakes(made):
        if usd is not None and abs(float(usd) - theirs) < CLOSE_USD:
            return f"no: {what}"
    return f"no: {prices_used(made, shown)}"


def mistakes(made: Made) -> Iterator[tuple[str, Decimal | None]]:
    """Ways to price a call wrongly, and what it would cost then."""
    call, usage = made.call, made.call.usage

    def priced(usage: Usage, tier: str | None = call.service_tier) -> Decimal | None:
        cost, _ = prices.price(call.provider, call.request_model, usage, at_ns=made.started_ns, service_tier=tier)
        return None if cost is None else cost.total_usd

    written = usage.cache_write_tokens
    yield (
        "1 h cache writes at the price of 5 min ones",
        priced(replace(usage, cache_write_5m_tokens=written, cache_write_1h_tokens=0)),
    )
    yield f"{call.service_tier} tier at the standard price", priced(usage, None)
    yield "web searches are free there", priced(replace(usage, web_searches=0))
    uncached = replace(usage, cache_read_tokens=0, cache_write_tokens=0)
    yield (
        "cached input at the price of fresh",
        priced(replace(uncached, cache_write_5m_tokens=0, cache_write_1h_tokens=0)),
    )
    half = priced(
        replace(usage, input_tokens=(usage.input_tokens or 0) // 2, output_tokens=(usage.output_tokens or 0) // 2)
    )
    yield "no long-context price", None if half is None else 2 * half
    if call.decision is not None and call.decision.changed:
        cost, _ = prices.price(call.provider, call.decision.requested_model, usage, at_ns=made.started_ns)
        yield "the price of the model that was asked for, not sent", None if cost is None else cost.total_usd


def prices_used(made: Made, shown: Shown) -> str:
    """The prices per million tokens that the backend must have used, and ours."""
    call, usage = made.call, made.call.usage
    if shown.input_usd is None or shown.output_usd is None or not usage.input_tokens or not usage.output_tokens:
        return "not explained"
    ours = prices.rates(call.provider, call.request_model, input_tokens=usage.input_tokens, at_ns=made.started_ns)
    listed = "none" if ours is None else f"{1e6 * float(ours.input):g}/{1e6 * float(ours.output):g}"
    used = f"{1e6 * shown.input_usd / usage.input_tokens:g}/{1e6 * shown.output_usd / usage.output_tokens:g}"
    return f"it uses ${used} per million tokens; {call.request_model} is ${listed}"


# --- the table --------------------------------------------------------------------------------------------------------

Row = list[str]


def rows(runs: dict[str, list[Made]], shown: dict[tuple[str, str], dict[str, Shown]]) -> Iterator[Row]:
    """One row a call and run: call, export, ours, then what each backend shows and whether it is equal."""
    for index, scenario in enumerate(SCENARIOS):
        for run, made in runs.items():
            one = made[index]
            row = [f"{scenario.name} ({one.call.request_model})", run, _usd(one.usd)]
            for backend in ("phoenix", "mlflow"):
                cost = shown[backend, run].get(one.span_id)
                row += [_usd(cost.total_usd if cost else None), explain(one, cost)]
            yield row


def _usd(amount: float | None) -> str:
    return "unpriced" if amount is None else f"${amount:.7f}".rstrip("0")


def print_rows(head: Row, table: list[Row], *, markdown: bool) -> None:
    if markdown:
        for row in (head, ["---"] * len(head), *table):
            print(f"| {' | '.join(row)} |")
        return
    widths = [max(len(row[column]) for row in (head, *table)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *table):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=Path, default=DEFAULT_VENVS, help="where the backends are installed")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()

    prices.load()
    options.venvs.mkdir(parents=True, exist_ok=True)
    starters: list[Callable[..., Any]] = [phoenix, mlflow]
    with ExitStack() as stack:
        backends: list[Backend] = []
        for start in starters:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-apm-")))
            backends.append(stack.enter_context(start(options.venvs, folder)))
        runs: dict[str, list[Made]] = {}
        shown: dict[tuple[str, str], dict[str, Shown]] = {}
        for run, with_profile in (("plain", False), ("profile", True)):
            runs[run] = made = make_calls(run, backends, with_profile=with_profile)
            for backend in backends:
                found = read_back(backend, run, {one.span_id: one.trace_id for one in made})
                shown[backend.profile, run] = found

    table = list(rows(runs, shown))
    versions = ", ".join(backend.package.replace("==", " ") for backend in backends)
    print(f"{datetime.now(UTC):%Y-%m-%d}: {versions}, {prices.price_version()}, openai {openai.__version__}, "
          f"anthropic {anthropic.__version__}\n")  # fmt: skip
    print_rows(
        ["call", "export", "tierwise", "Phoenix", "equal?", "MLflow", "equal?"], table, markdown=options.markdown
    )
    for column, name in ((4, "Phoenix"), (6, "MLflow")):
        for run in runs:
            mine = [row for row in table if row[1] == run]
            equal = sum(row[column] == "yes" for row in mine)
            unexplained = sum("not explained" in row[column] for row in mine)
            print(f"{name}, {run}: {equal} of {len(mine)} equal, {unexplained} not explained")


if __name__ == "__main__":
    started_s = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started_s:.0f} s")
