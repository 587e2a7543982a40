"""Every way of making a call that instrumentation must leave as it is.

A surface is run with and without instrumentation and gives back what its caller saw.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
from call_ways import (
    Break,
    Create,
    Fail,
    Free,
    Help,
    Interrupt,
    Leave,
    Outcome,
    Parse,
    Raw,
    RawStream,
    Read,
    Streamed,
    Texts,
    Way,
)
from trial_provider import Models

from tierwise.testing import LoopbackProvider


class Clients:
    """Clients of both SDKs. Make them before anything is instrumented."""

    def __init__(self, provider: LoopbackProvider) -> None:
        self.provider = provider
        for_openai: dict[str, Any] = {"base_url": provider.openai_base_url, "api_key": "test", "max_retries": 0}
        for_claude: dict[str, Any] = {**for_openai, "base_url": provider.anthropic_base_url}
        self.openai = openai.OpenAI(**for_openai)
        self.claude = anthropic.Anthropic(**for_claude)
        self.async_openai = openai.AsyncOpenAI(**for_openai)
        self.async_claude = anthropic.AsyncAnthropic(**for_claude)
        # Ctrl-C, pressed while the request is sent.
        interrupted: Any = httpx2.Client(event_hooks={"request": [_interrupt]})
        self.interrupted_openai = openai.OpenAI(**for_openai, http_client=interrupted)
        self.interrupted_claude = anthropic.Anthropic(**for_claude, http_client=interrupted)

    def close(self) -> None:
        for client in (self.openai, self.claude, self.interrupted_openai, self.interrupted_claude):
            client.close()

    async def close_async(self) -> None:
        await self.async_openai.close()
        await self.async_claude.close()


def _interrupt(_: httpx2.Request) -> None:
    raise KeyboardInterrupt("pressed")


# --- arguments --------------------------------------------------------------------------------------------------------

QUESTION = "Which city is the capital of France? Answer in one sentence."
INSTRUCTIONS = "You answer questions about geography for a school. Be brief, and never guess."


def chat(models: Models) -> dict[str, Any]:
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": QUESTION}]
    return {"model": models.openai, "messages": messages, "max_tokens": 100, "stop": ["END"]}


def chat_with_tools(models: Models) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "lookup", "parameters": parameters}}
    return {**chat(models), "tools": [tool]}


def as_schema(models: Models) -> dict[str, Any]:
    fields = {"label": {"type": "string", "enum": ["a", "b"]}, "reason": {"type": "string"}}
    schema = {"name": "verdict", "schema": {"type": "object", "properties": fields}}
    return {**chat(models), "response_format": {"type": "json_schema", "json_schema": schema}}


def completion(models: Models) -> dict[str, Any]:
    return {"model": models.openai, "prompt": QUESTION}


def responses(models: Models) -> dict[str, Any]:
    return {"model": models.openai, "input": QUESTION, "instructions": INSTRUCTIONS, "store": False}


def embedding(models: Models) -> dict[str, Any]:
    return {"model": "text-embedding-3-small", "input": [QUESTION, "b"]}


def messages(models: Models) -> dict[str, Any]:
    turns = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    return {"model": models.anthropic, "max_tokens": 100, "system": INSTRUCTIONS, "messages": turns}


# --- surfaces ---------------------------------------------------------------------------------------------------------

Run = Callable[[Clients, Models], Any]


@dataclass(frozen=True)
class Surface:
    """One way of making a call."""

    name: str
    run: Run
    """(clients, models) → Outcome, or a coroutine of it."""
    is_async: bool = False


def _client(clients: Clients, resource: str, is_async: bool) -> Any:
    """`openai.chat.completions` → that resource of the sync or async client."""
    package, *names = resource.split(".")
    found = getattr(clients, f"async_{package}" if is_async else package)
    for name in names:
        found = getattr(found, name)
    return found


def both(way: Way, name: str) -> tuple[Surface, Surface]:
    """A way of calling, through the sync client and the async one."""

    def run(clients: Clients, models: Models) -> Outcome:
        return way.sync(_client(clients, way.resource, is_async=False), way.arguments(models), clients.provider)

    async def run_async(clients: Clients, models: Models) -> Outcome:
        resource = _client(clients, way.resource, is_async=True)
        return await way.asynchronous(resource, way.arguments(models), clients.provider)

    return Surface(name, run), Surface(f"async {name}", run_async, is_async=True)


CHAT, CLAUDE = "openai.chat.completions", "claude.messages"

SURFACES: tuple[Surface, ...] = (
    *both(Create(CHAT, chat), "chat"),
    *both(Create(CHAT, chat_with_tools), "chat with tools"),
    *both(Create(CHAT, as_schema), "chat with a schema"),
    *both(Create("openai.completions", completion), "completions"),
    *both(Create("openai.responses", responses), "responses"),
    *both(Create("openai.embeddings", embedding), "embeddings"),
    *both(Create(CLAUDE, messages), "messages"),
    *both(Create("claude.beta.messages", messages), "beta messages"),
    *both(Free(CLAUDE, messages), "count tokens"),
    *both(Read(CHAT, chat), "chat stream"),
    *both(Read(CHAT, chat_with_tools), "chat stream with tools"),
    *both(Read("openai.completions", completion), "completions stream"),
    *both(Read("openai.responses", responses), "responses stream"),
    *both(Read(CLAUDE, messages), "messages stream"),
    *both(Leave(CHAT, chat), "chat stream left"),
    *both(Leave("openai.responses", responses), "responses stream left"),
    *both(Leave(CLAUDE, messages), "messages stream left"),
    *both(Help(CHAT, chat), "chat stream helper"),
    *both(Help("openai.responses", responses), "responses stream helper"),
    *both(Help(CLAUDE, messages), "messages stream helper"),
    *both(Texts(CLAUDE, messages), "messages text stream"),
    *both(Parse(CHAT, chat), "chat parse"),
    *both(Parse("openai.responses", responses), "responses parse"),
    *both(Raw(CHAT, chat), "chat raw"),
    *both(Raw(CLAUDE, messages), "messages raw"),
    *both(RawStream(CHAT, chat), "chat raw stream"),
    *both(RawStream(CLAUDE, messages), "messages raw stream"),
    *both(Streamed(CHAT, chat), "chat streaming response"),
    *both(Streamed(CHAT, chat, stream=True), "chat streaming response of a stream"),
    *both(Streamed(CLAUDE, messages), "messages streaming response"),
    *both(Fail(CHAT, chat), "chat refused"),
    *both(Fail(CLAUDE, messages), "messages refused"),
    *both(Break(CHAT, chat), "chat stream broken"),
    *both(Break(CLAUDE, messages), "messages stream broken"),
    both(Interrupt("interrupted_openai.chat.completions", chat), "chat interrupted")[0],
    both(Interrupt("interrupted_claude.messages", messages), "messages interrupted")[0],
    both(Interrupt(CHAT, chat), "chat cancelled")[1],
    both(Interrupt(CLAUDE, messages), "messages cancelled")[1],
)


async def let_tasks_end(timeout_s: float = 2.0) -> None:
    """Wait for tasks in the background: shadow calls, and what the loop does about dropped generators."""
    until_s = time.monotonic() + timeout_s
    await asyncio.sleep(0)
    while (others := asyncio.all_tasks() - {asyncio.current_task()}) and time.monotonic() < until_s:
        await asyncio.wait(others, timeout=timeout_s)
