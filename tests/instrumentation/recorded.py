"""Recorded exchanges with providers, a server that plays them back, and the SDK call that each was recorded from."""

from __future__ import annotations

import base64
import gzip
import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs

import anthropic
import openai
from opentelemetry.sdk.trace import TracerProvider

from tierwise.testing.http_server import HttpRequest, LoopbackServer, Reply

CASSETTES = Path(__file__).parent / "cassettes"

Mode = Literal["parsed", "raw", "streamed"]
"""How the caller takes the answer: as objects, `with_raw_response`, or `with_streaming_response`."""

_RESOURCES = {
    "/chat/completions": "chat.completions",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/images/generations": "images",
    "/messages": "messages",
    "/responses": "responses",
}
"""End of the path → the SDK's resource; of two that fit, the first."""

_PIECE_BYTES = 1021
"""Streams leave in pieces of this size, so that events break anywhere, in the middle of a character too."""


@dataclass(frozen=True)
class Exchange:
    """One request and what the provider answered."""

    source: str
    """The project whose test suite it is from."""
    cassette: str
    number: int
    """Of the exchange in its cassette, from 0."""
    generated: bool
    """Written by the cassette's authors in a provider's shapes, not recorded from one."""
    recorded_at: str | None
    """ISO 8601; None when the cassette does not say."""
    method: str
    host: str
    path: str
    query: str
    body: dict[str, Any] | None = field(repr=False)
    """The JSON that was sent; None for a GET."""
    status: int
    content_type: str
    answer: str | dict[str, str] = field(repr=False)

    @property
    def id(self) -> str:
        return f"{self.source}/{self.cassette}#{self.number}"

    @property
    def is_async(self) -> bool:
        """Whether it was recorded through an async client, by the name of its test."""
        return "_async_" in self.cassette

    @property
    def mode(self) -> Mode:
        """By the name of its test."""
        if "raw_response" in self.cassette:
            return "raw"
        return "streamed" if "with_streaming_response" in self.cassette else "parsed"

    @property
    def asks_for_stream(self) -> bool:
        return self.body is not None and self.body.get("stream") is True

    @property
    def is_stream(self) -> bool:
        """Whether the answer is one; an error is not."""
        return self.content_type.startswith("text/event-stream")

    @property
    def recorded_at_ns(self) -> int | None:
        """When the provider answered, ns since the epoch UTC."""
        return int(datetime.fromisoformat(self.recorded_at).timestamp()) * 10**9 if self.recorded_at else None

    @property
    def resource(self) -> str:
        """The SDK's resource: `chat.completions`, `beta.messages` …"""
        path = self.path.rpartition("/")[0] if self.method == "GET" else self.path
        resource = next(resource for ending, resource in _RESOURCES.items() if path.endswith(ending))
        return f"beta.{resource}" if "beta=true" in self.query else resource

    @property
    def function(self) -> str:
        """The resource's method: `create`, `parse`, `stream`, `retrieve` …, by the name of its test."""
        if "_parse_" in self.cassette or "structured_output" in self.cassette:
            return "parse"
        if self.asks_for_stream and ("messages_stream" in self.cassette or "responses_stream" in self.cassette):
            return "stream"
        return self.plain_function

    @property
    def plain_function(self) -> str:
        """The resource's method without a helper: `create`, `generate`, `retrieve`."""
        if self.method == "GET":
            return "retrieve"
        return "generate" if self.resource == "images" else "create"

    @cached_property
    def answer_bytes(self) -> bytes:
        answer = self.answer
        return answer.encode() if isinstance(answer, str) else base64.b64decode(answer["base64"])

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events of a streamed answer."""
        lines = (line[5:].strip() for line in self.answer_bytes.splitlines() if line.startswith(b"data:"))
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    @property
    def beginning(self) -> Mapping[str, Any]:
        """The answer, or of a streamed one the part of its first events that holds its id and model."""
        if not self.is_stream:
            return json.loads(self.answer_bytes)
        heads = (event.get("message") or event.get("response") or event for event in self.events)
        # Azure begins with a chunk about the prompt, whose id and model are empty.
        return next(head for head in heads if head.get("id"))

    @property
    def reported(self) -> Mapping[str, Any] | None:
        """The answer with the usage it reports, a stream put together as its provider documents; None without usage."""
        if self.status >= 400:
            return None
        if not self.is_stream:
            return self.beginning if self.beginning.get("usage") else None
        if self.resource.endswith("messages"):
            # `message_delta` repeats cumulative counts: those replace what `message_start` said.
            usage = dict(self.beginning["usage"])
            for delta in (event["usage"] for event in self.events if event["type"] == "message_delta"):
                usage |= {name: count for name, count in delta.items() if count is not None}
            return {**self.beginning, "usage": usage}
        if self.resource == "responses":
            ends = ("response.completed", "response.incomplete", "response.failed")
            return next((event["response"] for event in self.events if event["type"] in ends), None)
        # With `stream_options.include_usage`, the last chunk; OpenRouter sends it unasked.
        return next((event for event in reversed(self.events) if event.get("usage")), None)


def load_exchanges() -> list[Exchange]:
    """All of them, in a fixed order."""
    return [
        Exchange(file.name.partition(".")[0], **json.loads(line))
        for file in sorted(CASSETTES.glob("*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).decode().splitlines()
    ]


@dataclass(frozen=True)
class Sent:
    """A request as it reached the provider."""

    method: str
    target: str
    body: dict[str, Any] | None


class Replay:
    """Plays exchanges back over a real socket, and makes the SDK calls that they were recorded from.

    Clients keep the recorded address as their base URL and use the server as their proxy, so whoever goes by the host's
    name sees what it would see in production.
    """

    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any], tracer_provider: TracerProvider) -> None:
        """
        Args:
            run: runs a coroutine on the event loop that async clients live on.
            tracer_provider: of the spans that anthropic's clients make themselves.
        """
        self._run = run
        self._tracer_provider = tracer_provider
        self._server = LoopbackServer(self._handle)
        self._exchange: Exchange | None = None
        self._clients: dict[tuple[str, bool], Any] = {}
        self._sent: list[Sent] = []

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for (_, is_async), client in self._clients.items():
            self._run(client.close()) if is_async else client.close()
        self._server.stop()

    def can_call(self, exchange: Exchange, *, is_async: bool, function: str) -> bool:
        """Whether the installed SDK has this method: older ones lack some."""
        return hasattr(_resource(self._client(exchange, is_async), exchange), function)

    def call(
        self, exchange: Exchange, *, is_async: bool, mode: Mode, function: str, chunks: int | None = None
    ) -> tuple[Any, list[Sent]]:
        """Make the call that `exchange` answers.

        Args:
            chunks: how many to take before the stream is closed; None: all.

        Returns: what the caller got, as plain data, and what reached the provider.
        """
        self._exchange, self._sent = exchange, []
        client = self._client(exchange, is_async)
        coroutine = _call(client, exchange, mode, function, chunks)
        return (self._run if is_async else _run_without_loop)(coroutine), self._sent

    def _handle(self, http: HttpRequest, reply: Reply) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._sent.append(Sent(http.method, http.target, json.loads(http.body) if http.body else None))
        headers = {"content-type": exchange.content_type}
        if not exchange.is_stream:
            reply.send(exchange.status, headers, exchange.answer_bytes)
            return
        reply.start_stream(exchange.status, headers)
        for start in range(0, len(exchange.answer_bytes), _PIECE_BYTES):
            reply.write(exchange.answer_bytes[start : start + _PIECE_BYTES])
        reply.end_stream()

    def _client(self, exchange: Exchange, is_async: bool) -> Any:
        key = (exchange.host, is_async)
        if key not in self._clients:
            sdk: Any = anthropic if exchange.host == "api.anthropic.com" else openai
            make = getattr(sdk, f"{'Async' if is_async else ''}{'Anthropic' if sdk is anthropic else 'OpenAI'}")
            make_http = sdk.DefaultAsyncHttpxClient if is_async else sdk.DefaultHttpxClient
            # What stands before the version is a gateway's, as in openrouter.ai/api/v1; only openai's base URL has it.
            prefix = exchange.path.partition("/v1/")[0]
            # anthropic traces itself from 2.0 on.
            traces_itself = "open_telemetry" in inspect.signature(make).parameters
            self._clients[key] = make(
                base_url=f"http://{exchange.host}{prefix}{'' if sdk is anthropic else '/v1'}",
                http_client=make_http(proxy=f"http://127.0.0.1:{self._server.port}"),
                api_key="test",
                max_retries=0,
                **({"open_telemetry": {"tracer_provider": self._tracer_provider}} if traces_itself else {}),
            )
        return self._clients[key]


def _resource(client: Any, exchange: Exchange) -> Any:
    """The client's resource; None when the SDK has no such one."""
    resource = client
    for name in exchange.resource.split("."):
        resource = getattr(resource, name, None)
    return resource


async def _call(client: Any, exchange: Exchange, mode: Mode, function: str, chunks: int | None) -> Any:
    """What the caller gets, as plain data; of an SDK error, what it says. Sync clients never suspend it."""
    resource = _resource(client, exchange)
    if mode != "parsed":
        resource = resource.with_raw_response if mode == "raw" else resource.with_streaming_response
    method = getattr(resource, function)
    try:
        async with AsyncExitStack() as stack:
            answer = method(**_arguments(method, exchange))
            if mode == "streamed" or function == "stream":
                answer = await _enter(stack, answer)
            answer = await _settled(answer)
            if chunks is not None:
                taken = await _items(answer, chunks)
                await _settled(answer.close())
                return taken
            if mode == "streamed" and exchange.is_stream:
                return [type(answer).__name__, await _items(answer.iter_lines())]
            return await _plain(answer)
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        return [type(error).__name__, str(error), getattr(error, "status_code", None), getattr(error, "body", None)]


def _arguments(method: Any, exchange: Exchange) -> dict[str, Any]:
    """What to call the method with, so that it sends what was recorded; parameters it does not know go as extra."""
    known = inspect.signature(method).parameters
    if exchange.body is None:
        arguments: dict[str, Any] = {name: values[0] for name, values in parse_qs(exchange.query).items()}
        if "stream" in arguments:
            arguments |= {"stream": True, "starting_after": int(arguments["starting_after"])}
        arguments["response_id"] = exchange.path.rpartition("/")[2]
    else:
        arguments = dict(exchange.body)
        if exchange.asks_for_stream and "stream" not in known:
            # The helpers put it there themselves.
            del arguments["stream"]
    extra = {name: arguments.pop(name) for name in list(arguments) if name not in known}
    return {**arguments, "extra_query" if exchange.body is None else "extra_body": extra} if extra else arguments


async def _enter(stack: AsyncExitStack, manager: Any) -> Any:
    if hasattr(manager, "__aenter__"):
        return await stack.enter_async_context(manager)
    return stack.enter_context(manager)


async def _settled(value: Any) -> Any:
    return await value if isinstance(value, Awaitable) else value


async def _items(stream: Any, count: int | None = None) -> list[Any]:
    if not hasattr(stream, "__aiter__"):
        return list(islice(stream, count))
    items: list[Any] = []
    async for item in stream:
        items.append(item)
        if len(items) == count:
            break
    return items


async def _plain(answer: Any) -> Any:
    """An answer as data to compare, with the types that the caller sees."""
    name = type(answer).__name__
    if hasattr(answer, "model_dump"):
        return [name, answer.model_dump(warnings=False)]
    if hasattr(answer, "http_request"):
        return [name, answer.status_code, await _plain(await _settled(answer.parse()))]
    if isinstance(answer, str):
        # A stream, from an SDK that does not know that this method can have one.
        return answer
    chunks = [await _plain(chunk) for chunk in await _items(answer)]
    finals = [getattr(answer, final, None) for final in ("get_final_message", "get_final_response")]
    return [name, chunks, [await _plain(await _settled(final())) for final in finals if final is not None]]


def _run_without_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, as sync code runs."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a sync client waited for an event loop")
