"""Whether memory stays flat: resident memory over 200,000 calls and 20,000 streams that nobody reads to the end.

    python benchmarks/soak.py
    python benchmarks/soak.py --bare      # the same traffic without tierwise, to compare with

Both SDKs, sync and async, under a policy in force with shadow calls, metrics and a check. Every call has a prompt of
its own, instructions included, so that whatever is kept per prompt, use case or conversation fills up to its bound. The
SDKs parse real bodies, handed to them by `httpx2.MockTransport`.

The first four of the ten parts are warm-up: the caches fill in the first, and the allocator's pools, of which each
thread has one, in those after it. What grows with the number of calls grows in the six that follow. After each part it
prints resident memory, live objects of tierwise's classes as the garbage collector counts them, and spans that have
begun and not ended. Exits 1 when memory grew by more than `--limit-mb` after the warm-up, when objects grew by more
than a fifth, or when a span is left open.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

PARTS = 10
WARM_UP_PARTS = 4
ASYNC_AT_A_TIME = 20
STREAM_EVENTS = 12
OPENAI_MODEL, CLAUDE_MODEL = "gpt-4o", "claude-opus-4-7"
OBJECT_GROWTH = 0.2
ANSWER = "The invoice names three line items, a discount of five percent, and a total of 1,284.50 EUR. " * 3
WORDS = tuple(
    f"{first}{last}" for first in ("ma", "ri", "to", "ne", "lu", "ka", "so", "vi") for last in "bcdfglmnprstvz"
)
POLICY = f"""
version = 1
mode = "enforce"

[[rule]]
id = "openai"
kind = "route"
when = {{ request_model = ["{OPENAI_MODEL}"] }}
to = "gpt-4o-mini"
share = 0.5

[[rule]]
id = "claude"
kind = "route"
when = {{ request_model = ["{CLAUDE_MODEL}"] }}
to = "claude-haiku-4-5"
share = 0.5

[shadow]
sample = 0.02
daily_budget_usd = 100000.0
[shadow.candidates]
"{OPENAI_MODEL}" = ["gpt-4o-mini"]
"{CLAUDE_MODEL}" = ["claude-haiku-4-5"]
"""


# --- the provider -----------------------------------------------------------------------------------------------------


def chat_body() -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": OPENAI_MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 300,
            "completion_tokens": 70,
            "total_tokens": 370,
            "prompt_tokens_details": {"cached_tokens": 128},
        },
    }


def message_body() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE_MODEL,
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 70, "cache_read_input_tokens": 900},
    }


def response_body() -> dict[str, Any]:
    content = [{"type": "output_text", "text": ANSWER, "annotations": []}]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": OPENAI_MODEL,
        "status": "completed",
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}],
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


def chat_events() -> Iterator[bytes]:
    envelope = {name: value for name, value in chat_body().items() if name not in ("choices", "usage")}
    envelope["object"] = "chat.completion.chunk"
    for number in range(STREAM_EVENTS):
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
        yield f"data: {json.dumps({**envelope, 'choices': [choice], 'usage': None})}\n\n".encode()


def message_events() -> Iterator[bytes]:
    def event(body: dict[str, Any]) -> bytes:
        return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()

    yield event({"type": "message_start", "message": {**message_body(), "content": [], "stop_reason": None}})
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for number in range(STREAM_EVENTS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta})


BODIES = {
    "chat/completions": json.dumps(chat_body()).encode(),
    "responses": json.dumps(response_body()).encode(),
    "v1/messages": json.dumps(message_body()).encode(),
}
EVENTS = {"chat/completions": tuple(chat_events()), "v1/messages": tuple(message_events())}


def found(table: dict[str, Any], request: httpx2.Request) -> Any:
    return next(value for ending, value in table.items() if request.url.path.endswith(ending))


def is_stream(request: httpx2.Request) -> bool:
    return json.loads(request.content).get("stream") is True


def answer(request: httpx2.Request) -> httpx2.Response:
    if not is_stream(request):
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=found(BODIES, request))
    events = found(EVENTS, request)
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=(event for event in events))


async def answer_async(request: httpx2.Request) -> httpx2.Response:
    if not is_stream(request):
        return answer(request)

    async def unending() -> AsyncIterator[bytes]:
        for event in found(EVENTS, request):
            yield event
        # The rest never comes: whoever goes on reading is cancelled.
        await asyncio.Event().wait()

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=unending())


# --- the traffic ------------------------------------------------------------------------------------------------------


class Left(Exception):
    """What a loop over a stream is left by."""


class Traffic:
    """Calls and abandoned streams of both SDKs."""

    def __init__(self) -> None:
        os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
        transport = httpx2.MockTransport(answer)
        self.openai = openai.OpenAI(api_key="none", http_client=httpx2.Client(transport=transport))
        self.claude = anthropic.Anthropic(api_key="none", http_client=httpx2.Client(transport=transport))
        transport = httpx2.MockTransport(answer_async)
        self.async_openai = openai.AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))
        self.async_claude = anthropic.AsyncAnthropic(
            api_key="none", http_client=httpx2.AsyncClient(transport=transport)
        )
        self._random = random.Random(7)

    def _text(self, words: int) -> str:
        return " ".join(self._random.choices(WORDS, k=words))

    def _chat(self) -> dict[str, Any]:
        messages = [{"role": "system", "content": self._text(20)}, {"role": "user", "content": self._text(40)}]
        return {"model": OPENAI_MODEL, "messages": messages}

    def _message(self) -> dict[str, Any]:
        messages = [{"role": "user", "content": self._text(40)}]
        return {"model": CLAUDE_MODEL, "max_tokens": 500, "system": self._text(20), "messages": messages}

    def make_calls(self, number_of_calls: int) -> None:
        """Eight of ten through sync clients."""
        for number in range(number_of_calls * 8 // 10):
            kind = number % 8
            if kind < 3:
                self.openai.chat.completions.create(**self._chat())
            elif kind < 5:
                self.openai.responses.create(
                    model=OPENAI_MODEL, instructions=self._text(20), input=self._text(40), store=False
                )
            elif kind < 7:
                self.claude.messages.create(**self._message())
            else:
                self.openai.chat.completions.with_raw_response.create(**self._chat()).parse()

    async def make_async_calls(self, number_of_calls: int) -> None:
        for _ in range(number_of_calls // ASYNC_AT_A_TIME):
            await asyncio.gather(
                *(self.async_openai.chat.completions.create(**self._chat()) for _ in range(ASYNC_AT_A_TIME // 2)),
                *(self.async_claude.messages.create(**self._message()) for _ in range(ASYNC_AT_A_TIME // 2)),
            )
        await let_others_finish()

    def abandon_streams(self, number_of_streams: int) -> None:
        openers: tuple[Callable[[], Any], ...] = (
            lambda: self.openai.chat.completions.create(**self._chat(), stream=True),
            lambda: self.claude.messages.create(**self._message(), stream=True),
        )
        ways = (drop, break_out, close, leave_block, raise_in_loop, keep_in_a_cycle)
        for number in range(number_of_streams):
            ways[number // 2 % len(ways)](openers[number % 2]())
        with self.claude.messages.stream(**self._message()) as helper:
            next(iter(helper.text_stream))
        with self.openai.chat.completions.stream(**self._chat()) as helper:
            next(iter(helper))

    async def abandon_async_streams(self, number_of_streams: int) -> None:
        openers: tuple[Callable[[], Any], ...] = (
            lambda: self.async_openai.chat.completions.create(**self._chat(), stream=True),
            lambda: self.async_claude.messages.create(**self._message(), stream=True),
        )
        ways = (cancel, break_out_async, close_async, cancel)
        for number in range(number_of_streams):
            await ways[number // 2 % len(ways)](openers[number % 2])
        await let_others_finish()


async def let_others_finish() -> None:
    """Shadow calls run as tasks, and a loop closes dropped async generators in tasks of its own."""
    await asyncio.sleep(0.01)
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


def drop(stream: Any) -> None:
    next(stream)


def break_out(stream: Any) -> None:
    for number, _ in enumerate(stream):
        if number == 3:
            break


def close(stream: Any) -> None:
    next(stream)
    stream.close()


def leave_block(stream: Any) -> None:
    with stream:
        next(stream)


def raise_in_loop(stream: Any) -> None:
    try:
        for _ in stream:
            raise Left
    except Left:
        pass


def keep_in_a_cycle(stream: Any) -> None:
    holder: dict[str, Any] = {"stream": stream}
    holder["self"] = holder
    next(stream)


async def cancel(open_stream: Callable[[], Any]) -> None:
    arrived = asyncio.Event()

    async def read() -> None:
        number = 0
        async for _ in await open_stream():
            number += 1
            if number == 3:
                arrived.set()

    reading = asyncio.create_task(read())
    await arrived.wait()
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


async def break_out_async(open_stream: Callable[[], Any]) -> None:
    async for _ in await open_stream():
        break


async def close_async(open_stream: Callable[[], Any]) -> None:
    stream = await open_stream()
    await anext(stream)
    await stream.close()


# --- what is left -----------------------------------------------------------------------------------------------------


class OpenSpans(SpanProcessor):
    """Counts spans, and keeps none. Counting must not need a lock: spans end on several threads."""

    def __init__(self) -> None:
        self._begun, self._ended = count(), count()

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        next(self._begun)

    def on_end(self, span: ReadableSpan) -> None:
        next(self._ended)

    def counts(self) -> tuple[int, int]:
        """(begun, open)."""
        begun, ended = (int(repr(counter)[6:-1]) for counter in (self._begun, self._ended))
        return begun, begun - ended


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def live_objects() -> Counter[str]:
    """tierwise's own, by class."""
    kinds = (type(item) for item in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).partition(".")[0] == "tierwise")


def instrument(spans: OpenSpans) -> None:
    from opentelemetry.sdk._logs import LoggerProvider

    import tierwise
    from tierwise import evaluations, prices
    from tierwise.routing.policy import parse
    from tierwise.settings import Settings

    provider = TracerProvider()
    provider.add_span_processor(spans)
    prices.load()
    tierwise.instrument(
        parse(POLICY),
        settings=Settings(),
        tracer_provider=provider,
        meter_provider=MeterProvider([InMemoryMetricReader()]),
    )
    evaluations.configure(Settings(), logger_provider=LoggerProvider())
    tierwise.check("soak", name="not_empty")(lambda _, answered: bool(answered.text))


def soak(calls: int, streams: int, *, bare: bool, limit_mb: float) -> bool:
    """Whether everything stayed flat."""
    spans = OpenSpans()
    checked: Any = nullcontext()
    flush: Callable[[], object] = lambda: None  # noqa: E731
    traffic = Traffic()
    if not bare:
        import tierwise

        instrument(spans)
        checked, flush = tierwise.use_case("soak"), tierwise.flush
    print(
        f"{'calls':>8}{'streams':>9}{'resident MB':>13}{'live objects':>14}{'spans':>9}{'open':>6}{'s':>7}", flush=True
    )

    def state(part: int) -> tuple[float, Counter[str], int]:
        flush()
        gc.collect()
        flush()
        gc.collect()
        memory, objects, (begun, left_open) = resident_mb(), live_objects(), spans.counts()
        row = f"{calls * part // PARTS:>8}{streams * part // PARTS:>9}{memory:>13.1f}{objects.total():>14}"
        print(f"{row}{begun:>9}{left_open:>6}{time.perf_counter() - began_s:>7.0f}", flush=True)
        return memory, objects, left_open

    began_s = time.perf_counter()
    state(0)
    warm: tuple[float, Counter[str], int] | None = None
    last = None
    with asyncio.Runner() as loop:
        for part in range(1, PARTS + 1):
            traffic.make_calls(calls // PARTS)
            loop.run(traffic.make_async_calls(calls // PARTS * 2 // 10))
            with checked:
                traffic.make_calls(10)
            traffic.abandon_streams(streams // PARTS * 7 // 10)
            loop.run(traffic.abandon_async_streams(streams // PARTS * 3 // 10))
            last = state(part)
            if part == WARM_UP_PARTS:
                warm = last
    assert warm is not None
    assert last is not None
    grown_mb = last[0] - warm[0]
    print(f"after the warm-up memory grew by {grown_mb:+.1f} MB (at most {limit_mb:g} allowed)")
    more_objects = last[1].total() > warm[1].total() * (1 + OBJECT_GROWTH)
    if more_objects:
        print("more of:", ", ".join(f"{kind} {number:+d}" for kind, number in (last[1] - warm[1]).most_common(10)))
    unseen = 0 if bare else max(0, calls + streams - spans.counts()[0])
    if unseen:
        print(f"{unseen} calls have no span: this run proves nothing")
    return grown_mb <= limit_mb and not more_objects and last[2] == 0 and not unseen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--streams", type=int, default=20_000)
    parser.add_argument("--limit-mb", type=float, default=5.0)
    parser.add_argument("--bare", action="store_true", help="without tierwise")
    arguments = parser.parse_args()
    flat = soak(arguments.calls, arguments.streams, bare=arguments.bare, limit_mb=arguments.limit_mb)
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
