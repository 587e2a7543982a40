"""Every request of both SDKs that may cost something, in every way it can be made: one exact span, or none."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import anthropic
import pytest
from genai_prices import Usage as ListUsage
from genai_prices import calc_price
from pydantic import BaseModel

from tierwise import semconv as sc
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.openai import OPENAI
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage, ToolCall

USAGE = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900, reasoning=10)
WRITTEN = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900, cache_write_5m=150, cache_write_1h=50)
HEARD = ProviderUsage(input_tokens=1200, output_tokens=64, audio_input=1000)
SPOKEN = ProviderUsage(input_tokens=1200, output_tokens=64, audio_input=1000, audio_output=40)
SEEN = ProviderUsage(input_tokens=1200, output_tokens=64, image_input=1000)
TIMED = ProviderUsage(input_tokens=0, output_tokens=0, audio_seconds=90)
TEXT = '{"city": "Paris"}'
SOUND = ("speech.mp3", b"ID3")
IMAGE = ("image.png", b"PNG")


class Place(BaseModel):
    city: str


Way = Literal["plain", "stream", "raw", "raw stream", "streaming", "streaming stream", "helper"]
EVERY: tuple[Way, ...] = ("plain", "stream", "raw", "raw stream", "streaming", "streaming stream")
UNSTREAMED: tuple[Way, ...] = ("plain", "raw", "streaming")
PLAIN: tuple[Way, ...] = ("plain",)
HELPER: tuple[Way, ...] = ("helper",)


@dataclass(frozen=True)
class Row:
    """A method, how it can be called, and what its span must say."""

    sdk: Literal["openai", "anthropic"]
    method: str
    arguments: Mapping[str, Any]
    ways: tuple[Way, ...]
    operation: str | None
    """None: no span."""
    usage: ProviderUsage = USAGE
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the price list bills; empty for what it has no price for."""
    reason: str | None = None
    """Why it has no price."""
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def model(self) -> str:
        return self.arguments["model"]


TOKENS = {"input_tokens": 1200, "output_tokens": 64, "cache_read_tokens": 900, "output_reasoning_tokens": 10}
ASKED = [{"role": "user", "content": "Capital of France?"}]
CHAT = {"model": "gpt-4o", "messages": ASKED}
RESPONSE = {"model": "gpt-5.6-luna", "input": "Capital of France?"}
MESSAGE = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": ASKED}
MESSAGE_TOKENS = {
    "input_tokens": 1200,
    "output_tokens": 64,
    "cache_read_tokens": 900,
    "cache_write_tokens": 200,
    "cache_write_1h_tokens": 50,
}
MESSAGE_SAYS = {sc.USAGE_CACHE_READ: 900, sc.USAGE_CACHE_WRITE: 200, sc.ANTHROPIC_CACHE_WRITE_1H: 50}
DECISION = {"model": "gpt-6-luna", "input": "a", "questions": [{"type": "predicate", "question": "b", "name": "q"}]}
PICTURE_TOKENS = {"input_tokens": 1200, "input_image_tokens": 1000, "output_tokens": 64, "output_image_tokens": 64}
PICTURE_SAYS = {sc.USAGE_IMAGE_INPUT: 1000, sc.USAGE_IMAGE_OUTPUT: 64, sc.OUTPUT_TYPE: "image"}
WORDS_TOKENS = {"input_tokens": 1200, "output_tokens": 64, "input_audio_tokens": 1000}
SECONDS = {"audio_seconds": 90, "input_audio_seconds": 90}
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Bonjour!"}

ROWS = [
    # --- openai: text
    Row("openai", "chat.completions.create", CHAT, EVERY, "chat", counts=TOKENS),
    Row(
        "openai",
        "chat.completions.create",
        {**CHAT, "model": "gpt-audio"},
        PLAIN,
        "chat",
        SPOKEN,
        {**WORDS_TOKENS, "output_audio_tokens": 40},
        attributes={sc.USAGE_AUDIO_INPUT: 1000, sc.USAGE_AUDIO_OUTPUT: 40},
    ),
    Row(
        "openai",
        "chat.completions.create",
        {**CHAT, "model": "gpt-5-search-api"},
        ("plain", "stream"),
        "chat",
        reason="no price for web searches",
    ),
    Row("openai", "chat.completions.parse", {**CHAT, "response_format": Place}, PLAIN, "chat", counts=TOKENS),
    Row("openai", "chat.completions.stream", {**CHAT, "response_format": Place}, HELPER, "chat", counts=TOKENS),
    Row(
        "openai",
        "completions.create",
        {"model": "gpt-3.5-turbo-instruct", "prompt": "Capital of France?"},
        EVERY,
        "text_completion",
        counts=TOKENS,
    ),
    Row("openai", "responses.create", RESPONSE, EVERY, "chat", counts=TOKENS),
    Row("openai", "responses.parse", {**RESPONSE, "text_format": Place}, PLAIN, "chat", counts=TOKENS),
    Row("openai", "responses.stream", {**RESPONSE, "text_format": Place}, HELPER, "chat", counts=TOKENS),
    Row("openai", "responses.compact", RESPONSE, UNSTREAMED, "chat", counts=TOKENS),
    Row("openai", "beta.responses.create", RESPONSE, ("plain", "stream"), "chat", counts=TOKENS),
    Row("openai", "decisions.create", DECISION, UNSTREAMED, "generate_content", counts=TOKENS),
    Row(
        "openai",
        "embeddings.create",
        {"model": "text-embedding-3-small", "input": "Paris"},
        UNSTREAMED,
        "embeddings",
        counts={"input_tokens": 1200},
    ),
    # --- openai: images, audio, videos
    Row(
        "openai",
        "images.generate",
        {"model": "gpt-image-1.5", "prompt": "Paris"},
        EVERY,
        "generate_content",
        SEEN,
        PICTURE_TOKENS,
        attributes=PICTURE_SAYS,
    ),
    Row(
        "openai",
        "images.edit",
        {"model": "gpt-image-1.5", "prompt": "Paris", "image": IMAGE},
        EVERY,
        "generate_content",
        SEEN,
        PICTURE_TOKENS,
        attributes=PICTURE_SAYS,
    ),
    Row(
        "openai",
        "images.create_variation",
        {"model": "dall-e-2", "image": IMAGE},
        UNSTREAMED,
        "generate_content",
        SEEN,
        PICTURE_TOKENS,
        reason="no price for openai/dall-e-2",
    ),
    Row(
        "openai",
        "audio.speech.create",
        SPEECH,
        UNSTREAMED,
        "generate_content",
        counts={"input_characters": 8},
        attributes={"tierwise.usage.input_characters": 8, sc.OUTPUT_TYPE: "speech"},
    ),
    Row(
        "openai",
        "audio.speech.create",
        {**SPEECH, "model": "gpt-4o-mini-tts", "stream_format": "sse"},
        UNSTREAMED,
        "generate_content",
        counts={"input_tokens": 1200, "output_tokens": 64},
    ),
    Row(
        "openai",
        "audio.speech.create",
        {**SPEECH, "model": "gpt-4o-mini-tts"},
        UNSTREAMED,
        "generate_content",
        reason="no price for input_characters of openai/gpt-4o-mini-tts",
    ),
    Row(
        "openai",
        "audio.transcriptions.create",
        {"model": "gpt-4o-transcribe", "file": SOUND},
        EVERY,
        "generate_content",
        HEARD,
        WORDS_TOKENS,
        attributes={sc.USAGE_AUDIO_INPUT: 1000, sc.OUTPUT_TYPE: "text"},
    ),
    Row(
        "openai",
        "audio.transcriptions.create",
        {"model": "whisper-1", "file": SOUND},
        UNSTREAMED,
        "generate_content",
        TIMED,
        SECONDS,
        attributes={"tierwise.usage.audio_seconds": 90.0},
    ),
    Row(
        "openai",
        "audio.transcriptions.create",
        {"model": "whisper-1", "file": SOUND, "response_format": "text"},
        UNSTREAMED,
        "generate_content",
        TIMED,
        reason="no usage reported",
    ),
    Row(
        "openai",
        "audio.translations.create",
        {"model": "whisper-1", "file": SOUND, "response_format": "verbose_json"},
        UNSTREAMED,
        "generate_content",
        TIMED,
        SECONDS,
        attributes={sc.USAGE_ESTIMATED: True},
    ),
    Row(
        "openai",
        "videos.create",
        {"model": "sora-2", "prompt": "Paris", "seconds": "8"},
        UNSTREAMED,
        "generate_content",
        reason="no price for openai/sora-2",
        attributes={"tierwise.usage.output_video_seconds": 8.0, sc.OUTPUT_TYPE: "video"},
    ),
    # --- anthropic
    Row("anthropic", "messages.create", MESSAGE, EVERY, "chat", WRITTEN, MESSAGE_TOKENS, attributes=MESSAGE_SAYS),
    Row("anthropic", "messages.stream", MESSAGE, HELPER, "chat", WRITTEN, MESSAGE_TOKENS, attributes=MESSAGE_SAYS),
    Row("anthropic", "messages.parse", {**MESSAGE, "output_format": Place}, PLAIN, "chat", WRITTEN, MESSAGE_TOKENS),
    Row("anthropic", "beta.messages.create", MESSAGE, EVERY, "chat", WRITTEN, MESSAGE_TOKENS, attributes=MESSAGE_SAYS),
    Row("anthropic", "beta.messages.stream", MESSAGE, HELPER, "chat", WRITTEN, MESSAGE_TOKENS),
    Row(
        "anthropic", "beta.messages.parse", {**MESSAGE, "output_format": Place}, PLAIN, "chat", WRITTEN, MESSAGE_TOKENS
    ),
    # --- free
    Row("openai", "moderations.create", {"model": "omni-moderation-latest", "input": "a"}, UNSTREAMED, None),
    Row("openai", "models.list", {}, PLAIN, None),
    Row("anthropic", "messages.count_tokens", {"model": "claude-opus-5-5", "messages": ASKED}, UNSTREAMED, None),
    Row("anthropic", "beta.messages.count_tokens", {"model": "claude-opus-5-5", "messages": ASKED}, PLAIN, None),
]


APIS = {
    "chat.completions.create": "chat_completions",
    "chat.completions.parse": "chat_completions",
    "chat.completions.stream": "chat_completions",
    "completions.create": "completions",
    "responses.create": "responses",
    "responses.parse": "responses",
    "responses.stream": "responses",
    "responses.compact": "responses",
    "beta.responses.create": "responses",
    "decisions.create": "decisions",
    "embeddings.create": "embeddings",
    "images.generate": "images",
    "images.edit": "images",
    "images.create_variation": "images",
    "audio.speech.create": "speech",
    "audio.transcriptions.create": "transcriptions",
    "audio.translations.create": "translations",
    "videos.create": "videos",
    "messages.create": "messages",
    "messages.stream": "messages",
    "messages.parse": "messages",
    "beta.messages.create": "messages",
    "beta.messages.stream": "messages",
    "beta.messages.parse": "messages",
}
_BASIC = frozenset({"input_tokens", "output_tokens", "output_reasoning_tokens"})


def table() -> list[str]:
    """The list as the docs have it."""
    by_method: dict[tuple[str, str], list[Row]] = {}
    for row in ROWS:
        by_method.setdefault((row.sdk, row.method), []).append(row)
    lines = ["| SDK | call | ways | span | billed by | without a price |", "|---|---|---|---|---|---|"]
    for (sdk, method), rows in by_method.items():
        ways = dict.fromkeys(way for row in rows for way in row.ways)
        units = dict.fromkeys(
            "tokens" if unit in _BASIC else unit.replace("_", " ").removesuffix(" tokens")
            for row in rows
            if row.reason is None
            for unit in row.counts
        )
        gaps = dict.fromkeys(f"`{row.model}`" for row in rows if row.reason is not None)
        span = "none: free" if rows[0].operation is None else f"`{rows[0].operation}`"
        lines.append(f"| {sdk} | `{method}` | {', '.join(ways)} | {span} | {', '.join(units)} | {', '.join(gaps)} |")
    return lines


# --- calling, the same for sync and async -----------------------------------------------------------------------------


async def awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def drained(items: Any) -> list[Any]:
    return [item async for item in items] if hasattr(items, "__aiter__") else list(items)


async def entered(stack: AsyncExitStack, manager: Any) -> Any:
    if hasattr(manager, "__aenter__"):
        return await stack.enter_async_context(manager)
    return stack.enter_context(manager)


async def make(client: Any, row: Row, way: Way) -> None:
    """Make the call, and read its answer to the end."""
    *path, name = row.method.split(".")
    resource = reduce(getattr, path, client)
    arguments = {**row.arguments, "stream": True} if way.endswith("stream") else dict(row.arguments)
    if way in ("raw stream", "streaming stream") and "completions" in row.method:
        # Who reads raw events is not given any that they did not ask for.
        arguments["stream_options"] = {"include_usage": True}
    async with AsyncExitStack() as stack:
        if way in ("plain", "stream"):
            answer = await awaited(getattr(resource, name)(**arguments))
            if way == "stream":
                await drained(answer)
        elif way.startswith("raw"):
            raw = await awaited(getattr(resource.with_raw_response, name)(**arguments))
            answer = await awaited(raw.parse())
            if way == "raw stream":
                await drained(answer)
        elif way.startswith("streaming"):
            response = await entered(stack, getattr(resource.with_streaming_response, name)(**arguments))
            await drained(response.iter_bytes())
        else:
            stream = await entered(stack, getattr(resource, name)(**arguments))
            await drained(stream)


def run(coroutine: Coroutine[Any, Any, None], loop: asyncio.Runner, *, is_async: bool) -> None:
    """Run what calls an async client on the loop, and what calls a sync one without."""
    if is_async:
        loop.run(coroutine)
        return
    with pytest.raises(StopIteration):
        coroutine.send(None)


def needs(client: Any, method: str) -> None:
    """Skip for an SDK that does not have the method yet."""
    try:
        reduce(getattr, method.split("."), client)
    except AttributeError:
        pytest.skip(f"{client._version} of {type(client).__name__} has no {method}")


def list_price(provider: str, model: str, counts: Mapping[str, float], **context: str) -> Decimal:
    return calc_price(ListUsage(**counts), model, provider_id=provider, price_context=context or None).total_price


CASES = [
    pytest.param(row, way, is_async, id=f"{number}-{row.method}-{way}-{'async' if is_async else 'sync'}")
    for number, row in enumerate(ROWS)
    for way in row.ways
    for is_async in (False, True)
]


def test_every_surface_is_tried() -> None:
    """Every kind of request that is observed is in the list above, and so is every one that the docs name."""
    known = {surface.api for sdk in (OPENAI, ANTHROPIC) for surface in sdk.surfaces.values()}

    assert {APIS[row.method] for row in ROWS if row.operation is not None} == known


def test_the_docs_have_the_list() -> None:
    """The table of what is observed is the list above; after a change, paste what this test expects."""
    page = Path(__file__).parents[2].joinpath("docs", "instrument.md").read_text(encoding="utf-8")

    assert "\n".join(table()) in page, "\n" + "\n".join(table())


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning", "ignore:The Sora API:DeprecationWarning")
@pytest.mark.parametrize(("row", "way", "is_async"), CASES)
def test_a_call_is_one_exact_span(
    row: Row,
    way: Way,
    is_async: bool,
    provider: LoopbackProvider,
    clients: dict[tuple[str, bool], Any],
    loop: asyncio.Runner,
    instrumented: Any,
) -> None:
    """A billable call is one span with its operation, model, tokens and the list's price; a free one is none."""
    provider.answer(lambda _: Answer(TEXT, usage=row.usage))
    needs(clients[row.sdk, is_async], row.method)

    run(make(clients[row.sdk, is_async], row, way), loop, is_async=is_async)

    if row.operation is None:
        assert instrumented.ended == []
        return
    said = instrumented.only.attributes
    assert instrumented.only.name == f"{row.operation} {row.model}"
    assert instrumented.only.status == "UNSET"
    assert said[sc.OPERATION_NAME] == row.operation
    assert said[sc.PROVIDER_NAME] == row.sdk
    assert {name: said.get(name) for name in row.attributes} == row.attributes
    assert sc.USAGE_PARTIAL not in said
    if row.reason is not None:
        assert said[sc.PRICED] is False
        assert said[sc.UNPRICED_REASON] == row.reason
        return
    assert said.get(sc.USAGE_INPUT_TOKENS) == row.counts.get("input_tokens")
    assert said.get(sc.USAGE_OUTPUT_TOKENS, 0) == row.counts.get("output_tokens", 0)
    assert said[sc.COST_AMOUNT] == pytest.approx(float(list_price(row.sdk, row.model, row.counts)), abs=1e-12)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_each_call_of_a_tool_runner_is_a_span(
    is_async: bool,
    provider: LoopbackProvider,
    clients: dict[tuple[str, bool], Any],
    loop: asyncio.Runner,
    instrumented: Any,
) -> None:
    """A runner calls the model until it asks for no more tools: as many spans as it took calls."""
    needs(clients["anthropic", is_async], "beta.messages.tool_runner")
    tool_call = ToolCall("capital_of", {"country": "France"})
    provider.script([Answer("", tool_calls=[tool_call], usage=WRITTEN), Answer("Paris", usage=WRITTEN)])

    async def capital_of_async(country: str) -> str:
        """Capital of a country."""
        return f"Paris, {country}"

    def capital_of(country: str) -> str:
        """Capital of a country."""
        return f"Paris, {country}"

    tool: Any = anthropic.beta_tool(capital_of)
    if is_async:
        tool = anthropic.beta_async_tool(capital_of_async, name="capital_of")
    client = clients["anthropic", is_async]

    async def finish() -> None:
        await awaited(client.beta.messages.tool_runner(tools=[tool], **MESSAGE).until_done())

    run(finish(), loop, is_async=is_async)

    first, second = instrumented.ended
    assert first.attributes[sc.RESPONSE_FINISH_REASONS] == ("tool_use",)
    assert second.attributes[sc.RESPONSE_FINISH_REASONS] == ("end_turn",)
    expected = float(list_price("anthropic", "claude-opus-5-5", MESSAGE_TOKENS))
    assert [span.attributes[sc.COST_AMOUNT] for span in (first, second)] == [pytest.approx(expected, abs=1e-12)] * 2


@pytest.mark.parametrize("tier", ["flex", "priority", "default"])
@pytest.mark.parametrize("api", ["chat.completions.create", "responses.create"])
def test_service_tiers(
    api: str, tier: str, provider: LoopbackProvider, clients: Any, loop: asyncio.Runner, instrumented: Any
) -> None:
    """A call costs what its answer's service tier does."""
    provider.answer(lambda _: Answer(TEXT, usage=USAGE, service_tier=tier))
    arguments = {**(CHAT if "chat" in api else RESPONSE), "model": "gpt-6.1-sol"}
    row = Row("openai", api, arguments, PLAIN, "chat", USAGE)

    run(make(clients["openai", False], row, "plain"), loop, is_async=False)

    expected = list_price("openai", "gpt-6.1-sol", TOKENS, service_tier=tier)
    assert instrumented.only.attributes[sc.COST_AMOUNT] == pytest.approx(float(expected), abs=1e-12)
