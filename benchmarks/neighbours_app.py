"""The application of `neighbours.py`: one process that runs a peer, tierwise or both, makes the calls and reports.

    python benchmarks/neighbours_app.py '{"peer": "official", "order": "theirs first", ...}'

It runs with the interpreter of the peer's own environment and prints a `Done` as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from peers import ALONE, NATIVE_SCOPE, PEERS, datadog_spans

OUR_SCOPE = "tierwise"
RESULT = "worked: "
QUESTION = "Capital of France?"
MESSAGES = [{"role": "user", "content": QUESTION}]
APIS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("openai", "chat.completions", {"model": "gpt-4o", "messages": MESSAGES}),
    "responses": ("openai", "responses", {"model": "gpt-4o", "input": QUESTION}),
    "messages": ("anthropic", "messages", {"model": "claude-opus-4-7", "max_tokens": 100, "messages": MESSAGES}),
}
WAYS = ("plain", "stream", "raw", "left early", "refused")
HELD_CALLS = 9
UNKNOWN_MODEL = "gpt-none"
"""One that the provider does not have: such calls fail."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process does."""

    peer: str
    """Name in PEERS, or `tierwise` for nobody."""
    order: str
    """alone | theirs first | ours first | by command: the peer was switched on by opentelemetry-instrument."""
    leaves: str = ""
    """Who is switched off first: ours | theirs; empty for nobody."""
    sampler: str = ""
    """none: drops every span; not ours: drops those of tierwise; empty: keeps all."""
    collector: str = ""
    openai_url: str = ""
    anthropic_url: str = ""

    @property
    def name(self) -> str:
        """Identifies the process's calls in the store."""
        parts = (
            self.peer,
            self.order,
            self.leaves and f"{self.leaves} leaves first",
            self.sampler and f"sampler keeps {self.sampler}",
        )
        return ", ".join(part for part in parts if part)


@dataclass(slots=True)
class Done:
    """What came of a job."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    """Call → what the caller got, without what differs from call to call."""
    response_ids: dict[str, str] = field(default_factory=dict[str, str])
    """Call → id of the provider's response."""
    spans: dict[str, int] = field(default_factory=dict[str, int])
    """Spans by scope that those calls left."""
    until_ns: int = 0
    """When the last call with every side on had ended."""
    held: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    """Spans of the nine calls through objects made earlier: with both sides on, with one, with neither."""
    held_answers: list[str] = field(default_factory=list[str])
    held_refused: list[int] = field(default_factory=list[int])
    """How many of the nine raised instead: a peer that left broke what it had wrapped."""
    logged: list[str] = field(default_factory=list[str])
    """Lines at WARNING or above."""

    def theirs(self, job: Job) -> int:
        """How many of `spans` are the peer's."""
        return spans_of_peer(job, self.spans)


def spans_of_peer(job: Job, spans: dict[str, int]) -> int:
    """Spans of the peer's; anthropic's own count for the peer that is anthropic itself."""
    ignored = {OUR_SCOPE, "app"} if job.peer == "native" else {OUR_SCOPE, "app", NATIVE_SCOPE}
    return sum(count for scope, count in spans.items() if scope not in ignored)


def work(job: Job) -> Done:
    """Switch on, make the calls, switch off."""
    done, seen = Done(), Counter[str]()
    logging.getLogger().addHandler(_Recorder(done.logged))
    early = _clients(job)
    switch_off = _switch_on(job)
    _export(job, seen)

    from opentelemetry import trace

    clients, app = _clients(job), trace.get_tracer("app")
    with asyncio.Runner() as runner:
        for place in ("in a span", "at the top"):
            with app.start_as_current_span("request") if place == "in a span" else nullcontext():
                _make_calls(clients, place, done, runner)
    held = _Held(early)
    done.spans = _since(seen)
    for step in (*switch_off, None):
        answers = [_outcome(ask) for ask in held.asks]
        done.held_answers += map(_described, answers)
        done.held_refused.append(sum(isinstance(answer, Exception) for answer in answers))
        done.held.append(_since(seen))
        done.until_ns = done.until_ns or time.time_ns()
        if step is not None:
            step()
    provider: Any = trace.get_tracer_provider()
    provider.force_flush()
    return done


class _Recorder(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


def _clients(job: Job) -> dict[str, tuple[Any, Any]]:
    """Sync and async client by SDK."""
    import anthropic
    import openai

    openai_arguments: dict[str, Any] = {"base_url": job.openai_url, "api_key": "none"}
    anthropic_arguments: dict[str, Any] = {"base_url": job.anthropic_url, "api_key": "none"}
    return {
        "openai": (openai.OpenAI(**openai_arguments), openai.AsyncOpenAI(**openai_arguments)),
        "anthropic": (anthropic.Anthropic(**anthropic_arguments), anthropic.AsyncAnthropic(**anthropic_arguments)),
    }


def _switch_on(job: Job) -> list[Callable[[], Any]]:
    """Instrument in the job's order; returns what undoes it, in the job's order too."""
    import tierwise
    from tierwise import prices

    peer = ALONE if job.peer == ALONE.name else PEERS[job.peer]
    if job.order == "by command":
        __import__("tierwise.auto")
        prices.load()
        return []
    if job.peer != "logfire":
        # logfire makes the provider itself.
        _set_provider(job.sampler)
    if job.order == "alone" and peer is not ALONE:
        return [peer.switch_on()]
    if job.order == "ours first":
        tierwise.instrument()
        theirs = peer.switch_on()
    else:
        theirs = peer.switch_on()
        tierwise.instrument()
    prices.load()
    both: dict[str, list[Callable[[], Any]]] = {
        "ours": [tierwise.uninstrument, theirs],
        "theirs": [theirs, tierwise.uninstrument],
    }
    return both.get(job.leaves, [])


def _set_provider(sampler: str) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, Sampler, SamplingResult

    class NotOurs(Sampler):
        """Drops the spans that tierwise starts, and keeps all others."""

        def should_sample(
            self, parent_context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None, *_: Any
        ) -> SamplingResult:
            frame = sys._getframe(1)
            while frame.f_back is not None and frame.f_globals["__name__"].startswith("opentelemetry."):
                frame = frame.f_back
            is_ours = frame.f_globals["__name__"].startswith("tierwise.")
            return SamplingResult(Decision.DROP if is_ours else Decision.RECORD_AND_SAMPLE, attributes)

        def get_description(self) -> str:
            return "NotOurs"

    samplers: dict[str, Sampler] = {"": ALWAYS_ON, "none": ALWAYS_OFF, "not ours": NotOurs()}
    trace.set_tracer_provider(TracerProvider(sampler=samplers[sampler]))


def _export(job: Job, seen: Counter[str]) -> None:
    """Send every span of the process to the collector, and count them by scope."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Count(SpanProcessor):
        def on_end(self, span: Any) -> None:
            seen[span.instrumentation_scope.name] += 1

    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(Count())
    if job.order != "by command":
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{job.collector}/v1/traces")))


def _since(seen: Counter[str]) -> dict[str, int]:
    """Spans by scope since the last look."""
    if datadog_spans:
        seen["ddtrace"] += len(datadog_spans)
        datadog_spans.clear()
    spans = dict(seen)
    seen.clear()
    return spans


def _make_calls(clients: dict[str, tuple[Any, Any]], place: str, done: Done, runner: asyncio.Runner) -> None:
    for api, (sdk, path, arguments) in APIS.items():
        sync, asynchronous = (_resource(client, path) for client in clients[sdk])
        for way in WAYS:
            try:
                parts = _ask(sync, way, {**arguments, **_changes(api, way)})
            except Exception as error:  # noqa: BLE001 - what the caller gets is what is compared
                parts = [error]
            _note(done, f"{api}, {way}, sync, {place}", parts)
        # A copy of this context, in which the application's span is current.
        runner.run(_make_async_calls(asynchronous, api, arguments, place, done), context=copy_context())


async def _make_async_calls(resource: Any, api: str, arguments: dict[str, Any], place: str, done: Done) -> None:
    for way in WAYS:
        try:
            parts = await _ask_async(resource, way, {**arguments, **_changes(api, way)})
        except Exception as error:  # noqa: BLE001 - what the caller gets is what is compared
            parts = [error]
        _note(done, f"{api}, {way}, async, {place}", parts)


def _changes(api: str, way: str) -> dict[str, Any]:
    if way == "refused":
        return {"model": UNKNOWN_MODEL}
    if way not in ("stream", "left early"):
        return {}
    return {"stream": True, **({"stream_options": {"include_usage": True}} if api == "chat" else {})}


def _resource(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


def _ask(resource: Any, way: str, arguments: dict[str, Any]) -> list[Any]:
    """The answer, or the chunks of one."""
    if way == "raw":
        return [resource.with_raw_response.create(**arguments).parse()]
    answer = resource.create(**arguments)
    if way in ("plain", "refused"):
        return [answer]
    chunks: list[Any] = [type(answer)]
    for chunk in answer:
        chunks.append(chunk)
        if way == "left early" and len(chunks) == 3:
            break
    answer.close()
    return chunks


async def _ask_async(resource: Any, way: str, arguments: dict[str, Any]) -> list[Any]:
    if way == "raw":
        parsed = (await resource.with_raw_response.create(**arguments)).parse()
        return [await parsed if inspect.isawaitable(parsed) else parsed]
    answer = await resource.create(**arguments)
    if way in ("plain", "refused"):
        return [answer]
    chunks: list[Any] = [type(answer)]
    async for chunk in answer:
        chunks.append(chunk)
        if way == "left early" and len(chunks) == 3:
            break
    await answer.close()
    return chunks


def _note(done: Done, call: str, parts: list[Any]) -> None:
    done.answers[call] = "\n".join(map(_described, parts))
    for part in parts:
        holder = next((held for name in ("message", "response") if (held := getattr(part, name, None))), part)
        if isinstance(found := getattr(holder, "id", None), str):
            done.response_ids.setdefault(call, found)


def _described(part: Any) -> str:
    """An answer or a chunk as text, without ids and times."""
    body = part.model_dump_json() if hasattr(part, "model_dump_json") else repr(part)
    return f"{type(part).__name__} {re.sub(r'[0-9.]{9,}', '#', body)}"


class _Held:
    """What an application keeps: clients from before anybody instrumented, and accessors from when both had."""

    def __init__(self, early: dict[str, tuple[Any, Any]]) -> None:
        self._resources = [(_resource(early[sdk][0], path), arguments) for sdk, path, arguments in APIS.values()]
        self._accessors = [
            (resource.with_raw_response, resource.with_streaming_response) for resource, _ in self._resources
        ]

    @property
    def asks(self) -> list[Callable[[], Any]]:
        """HELD_CALLS calls, ready to be made."""
        found: list[Callable[[], Any]] = []
        for (resource, arguments), (raw, streaming) in zip(self._resources, self._accessors, strict=True):
            creates = resource.create, _parsed(raw.create), _entered(streaming.create)
            found += [partial(create, **arguments) for create in creates]
        return found


def _outcome(ask: Callable[[], Any]) -> Any:
    """What a call answers, or the exception it raises."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - what the caller gets is what is compared
        return error


def _parsed(create: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **arguments: create(**arguments).parse()


def _entered(create: Callable[..., Any]) -> Callable[..., Any]:
    def ask(**arguments: Any) -> Any:
        with create(**arguments) as response:
            return response.parse()

    return ask


if __name__ == "__main__":
    print(f"\n{RESULT}{json.dumps(asdict(work(Job(**json.loads(sys.argv[1])))))}")
