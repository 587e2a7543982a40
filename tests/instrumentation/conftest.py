"""Both SDKs, sync and async, against one provider on loopback: each behaviour is tested once, for all of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanContext

from tierwise import evaluations, firewall, prices
from tierwise.instrumentation import dropped, instrument, uninstrument
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage, SpanCapture, capture_spans

from .installed_sdks import TIES_RESPONSES, skip_without

TEXT = "Paris is the capital of France, and has been for a long time."
USAGE = ProviderUsage(
    input_tokens=1200, output_tokens=64, cache_read=900, cache_write_5m=150, cache_write_1h=50, reasoning=10
)


def answer(*_: object) -> Answer:
    """What the provider says unless a test scripts something else."""
    return Answer(TEXT, usage=USAGE)


@dataclass(frozen=True)
class Span:
    """A span that ended."""

    name: str
    kind: str
    status: str
    """UNSET | OK | ERROR"""
    description: str | None
    attributes: dict[str, Any]
    start_ns: int
    end_ns: int
    context: SpanContext
    parent: SpanContext | None
    links: tuple[SpanContext, ...]
    events: tuple[str, ...]


class Spans:
    """The spans of a test."""

    def __init__(self, capture: SpanCapture) -> None:
        self.capture = capture

    @property
    def tracer_provider(self) -> TracerProvider:
        return self.capture.tracer_provider

    @property
    def ended(self) -> list[Span]:
        """In the order they ended, once streams that were dropped are finished."""
        assert dropped.wait_until_finished(5)
        return [_span(span) for span in self.capture.spans]

    @property
    def only(self) -> Span:
        (span,) = self.ended
        return span


def _span(span: ReadableSpan) -> Span:
    assert span.context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return Span(
        name=span.name,
        kind=span.kind.name,
        status=span.status.status_code.name,
        description=span.status.description,
        attributes=dict(span.attributes or {}),
        start_ns=span.start_time,
        end_ns=span.end_time,
        context=span.context,
        parent=span.parent,
        links=tuple(link.context for link in span.links),
        events=tuple(event.name for event in span.events),
    )


class Streaming:
    """A streamed answer, read the same way whether it is sync or async."""

    def __init__(self, stream: Any, run: Callable[[Any], Any] | None) -> None:
        self.stream = stream
        self._run = run

    def next(self) -> Any:
        """The next chunk."""
        return next(self.stream) if self._run is None else self._run(anext(self.stream))

    def read(self) -> list[Any]:
        """All chunks that are left."""
        if self._run is None:
            return list(self.stream)

        async def read() -> list[Any]:
            return [chunk async for chunk in self.stream]

        return self._run(read())

    def break_after(self, count: int) -> None:
        """Iterate, and leave the loop after `count` chunks."""
        if self._run is None:
            for number, _ in enumerate(self.stream, 1):
                if number == count:
                    break
            return

        async def leave() -> None:
            number = 0
            async for _ in self.stream:
                number += 1
                if number == count:
                    break

        self._run(leave())

    def close(self) -> None:
        if self._run is None:
            self.stream.close()
        else:
            self._run(self.stream.close())

    def leave_block_after(self, count: int) -> None:
        """Use it as a context manager, and leave that after `count` chunks."""
        if self._run is None:
            with self.stream:
                for _ in range(count):
                    next(self.stream)
            return

        async def leave() -> None:
            async with self.stream:
                for _ in range(count):
                    await anext(self.stream)

        self._run(leave())

    def drop(self) -> None:
        """Let go of it, as a function that returns does; a running loop then closes what async generators it had."""
        del self.stream
        self._let_the_loop_run()
        if TIES_RESPONSES:
            gc.collect()
            # Async generators that the collector finds are closed by the loop; what they held is found after that.
            self._let_the_loop_run()
            gc.collect()

    def _let_the_loop_run(self) -> None:
        if self._run is not None:
            self._run(asyncio.sleep(0.01))


@dataclass(frozen=True)
class Caller:
    """One way to make a call: an API of an SDK, through a sync or an async client."""

    api: str
    is_async: bool
    client: Any
    arguments: Mapping[str, Any]
    run: Callable[[Any], Any] | None

    @property
    def model(self) -> str:
        return self.arguments["model"]

    @property
    def sdk(self) -> Any:
        return anthropic if "messages" in self.api else openai

    @property
    def resource(self) -> Any:
        target = self.client
        for name in RESOURCES[self.api].split("."):
            target = getattr(target, name)
        return target

    def create(self, **changes: Any) -> Any:
        """Make a call and wait for the answer."""
        return self.wait(self.resource.create(**{**self.arguments, **changes}))

    def stream(self, **changes: Any) -> Streaming:
        """Make a call with `stream=True`."""
        return Streaming(self.create(stream=True, **changes), self.run)

    def wait(self, result: Any) -> Any:
        """The result itself, or what it resolves to on the event loop."""
        return result if self.run is None else self.run(result)


RESOURCES = {
    "chat_completions": "chat.completions",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
    "beta_messages": "beta.messages",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "chat_completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Capital of France?"}]},
    "completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "Capital of France?"},
    "responses": {"model": "gpt-4o", "input": "Capital of France?"},
    "messages": {
        "model": "claude-opus-4-7",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Capital of France?"}],
    },
}
ARGUMENTS["beta_messages"] = ARGUMENTS["messages"]


@pytest.fixture(scope="session", autouse=True)
def cheap_collections() -> Generator[None]:
    """Leave what was imported out of garbage collections, of which these tests ask for many."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def evaluations_stay_here() -> Generator[None]:
    """What answers are scored with in the background goes nowhere, so that nobody looks for a collector."""
    provider = LoggerProvider(shutdown_on_exit=False)
    with evaluations.leaving_through(provider):
        yield


@pytest.fixture(scope="session")
def loop() -> Generator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def _run_in_this_context(loop: asyncio.Runner, coroutine: Any) -> Any:
    """Run a coroutine as if awaited here, where a span or a use case may be current."""
    return loop.run(coroutine, context=copy_context())


@pytest.fixture(scope="session")
def running_provider() -> Generator[LoopbackProvider]:
    with LoopbackProvider() as provider:
        yield provider


@pytest.fixture(scope="session")
def clients(running_provider: LoopbackProvider, loop: asyncio.Runner) -> Generator[dict[tuple[str, bool], Any]]:
    """Clients by (package, is async). They are made before anything is instrumented."""
    prices.load()
    openai_url, anthropic_url = running_provider.openai_base_url, running_provider.anthropic_base_url
    made: dict[tuple[str, bool], Any] = {
        ("openai", False): openai.OpenAI(base_url=openai_url, api_key="test", max_retries=0),
        ("openai", True): openai.AsyncOpenAI(base_url=openai_url, api_key="test", max_retries=0),
        ("anthropic", False): anthropic.Anthropic(base_url=anthropic_url, api_key="test", max_retries=0),
        ("anthropic", True): anthropic.AsyncAnthropic(base_url=anthropic_url, api_key="test", max_retries=0),
    }
    yield made
    for (_, is_async), client in made.items():
        loop.run(client.close()) if is_async else client.close()


@pytest.fixture
def provider(running_provider: LoopbackProvider) -> LoopbackProvider:
    running_provider.clear()
    running_provider.answer(answer)
    return running_provider


@pytest.fixture
def make_caller(
    provider: LoopbackProvider, clients: dict[tuple[str, bool], Any], loop: asyncio.Runner
) -> Callable[[str, bool], Caller]:
    """(api, is async) → Caller."""

    def make(api: str, is_async: bool) -> Caller:
        package = "anthropic" if "messages" in api else "openai"
        skip_without(clients[package, is_async], RESOURCES[api])
        run = partial(_run_in_this_context, loop) if is_async else None
        return Caller(api, is_async, clients[package, is_async], ARGUMENTS[api], run)

    return make


@pytest.fixture(
    params=[(api, is_async) for api in RESOURCES for is_async in (False, True)],
    ids=lambda given: f"{given[0]}-{'async' if given[1] else 'sync'}",
)
def caller(request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller]) -> Caller:
    """Each API of each SDK, sync and async."""
    return make_caller(*request.param)


@pytest.fixture
def chat(make_caller: Callable[[str, bool], Caller]) -> Caller:
    """Sync chat completions, for behaviour that does not depend on the API."""
    return make_caller("chat_completions", False)


@pytest.fixture
def spans() -> Generator[Spans]:
    with capture_spans() as capture:
        yield Spans(capture)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def instrumented(spans: Spans, settings: Settings) -> Generator[Spans]:
    """Spans of calls, with no policy."""
    instrument(settings=settings, tracer_provider=spans.tracer_provider)
    yield spans
    uninstrument()


@pytest.fixture
def route(spans: Spans, settings: Settings) -> Generator[Callable[[str], Spans]]:
    """Instrument under a policy, given as the rules of a file."""

    def start(rules: str) -> Spans:
        policy = parse(f'version = 7\nmode = "enforce"\n{rules}')
        instrument(policy, settings=settings, tracer_provider=spans.tracer_provider)
        return spans

    yield start
    uninstrument()


@pytest.fixture
def outside_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours are swallowed, as they are in a user's process."""
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    monkeypatch.setattr(firewall, "_reported", set())
