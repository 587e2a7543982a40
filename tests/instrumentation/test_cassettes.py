"""Every recorded exchange, made again through the real SDKs: one span a billable call, with the usage and the cost that
genai-prices finds in the recorded answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import genai_prices
import pytest

from tierwise import prices
from tierwise.attributes import from_attributes, usd
from tierwise.call import Call, Usage
from tierwise.instrumentation import instrument, uninstrument
from tierwise.testing import SpanCapture, capture_spans

from .conftest import Span, Spans
from .installed_sdks import VERSIONS
from .recorded import Exchange, Mode, Replay, Sent, load_exchanges

if TYPE_CHECKING:
    from tierwise.settings import Settings

EXCHANGES = load_exchanges()

PROVIDERS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic", "openrouter.ai": "openrouter"}
"""Recorded host → provider, by the same name on our spans and in the price list."""

FLAVORS = {
    "chat.completions": "chat",
    "completions": "chat",
    "embeddings": "embeddings",
    "images": "images",
    "responses": "responses",
}
"""The SDK's resource → which of a provider's usage blocks genai-prices is to read; `default` for the rest."""

FREE = {"GET": "a response is billed when it is created; retrieving it again costs nothing"}
"""Method of a call that has no span → why."""


class Difference(NamedTuple):
    """Where our usage is not genai-prices' reading of the answer."""

    ours: dict[str, int]
    theirs: dict[str, int] | None
    """None: the answer reports no usage that could be read."""
    why: str
    """Why ours is right."""


DIFFERENCES = {
    "logfire-openai/test_images_version_latest_only#0": Difference(
        ours={"output_images": 1},
        theirs=None,
        why="dall-e-2 reports no usage and is billed by the image: ours counts them, though the list has no price",
    ),
    "otel-genai-openai/responses_server_tool_calling_conformance#0": Difference(
        ours={"input_tokens": 20, "output_tokens": 15, "web_searches": 1},
        theirs={"input_tokens": 20, "output_tokens": 15},
        why="the provider bills each web search, and names them among the answer's output items, not in its usage",
    ),
}

UNASKED_USAGE = frozenset(
    {
        "logfire-openai/test_sync_chat_completions_stream_version_latest#0",
        "logfire-openai/test_sync_chat_completions_stream_version_v1_only#0",
        "otel-contrib-openai/test_async_chat_completion_streaming_not_complete#0",
        "otel-contrib-openai/test_chat_completion_streaming_not_complete#0",
        "otel-genai-openai/test_async_chat_completion_streaming_not_complete#0",
        "otel-genai-openai/test_chat_completion_streaming_not_complete#0",
    }
)
"""Chat streams recorded without `include_usage`, which report none. Ours asks for it; the replayed answer still comes
without, so its tokens are estimated and marked as such."""

UNPRICED = {
    "logfire-openai/test_chat_completions_with_audio_input#0": (
        "no price for input_audio_tokens of openai/gpt-4o-audio-preview",
        "the list has no audio price for this model and counts audio as text, which OpenAI sells at a fraction of it",
    ),
}
"""Calls that genai-prices prices and ours does not: the reason on the span, and why that is right."""

CENSUS = {
    # source: (cassettes, exchanges, cassettes generated rather than recorded, calls that are free)
    "logfire-anthropic": (6, 6, 0, 0),
    "logfire-openai": (16, 17, 0, 0),
    "otel-contrib-openai": (71, 75, 0, 0),
    "otel-genai-anthropic": (89, 93, 25, 0),
    "otel-genai-openai": (149, 160, 19, 17),
}

pytestmark = pytest.mark.filterwarnings("ignore:The model '.*' is deprecated:DeprecationWarning")


@dataclass(frozen=True)
class Seen:
    """One exchange replayed twice, first without any instrumentation."""

    bare_answer: Any
    bare_sent: list[Sent]
    answer: Any
    sent: list[Sent]
    spans: list[Span]

    @property
    def call(self) -> Call:
        (span,) = self.spans
        return from_attributes(span.attributes)


Observe = Callable[..., Seen]


@pytest.fixture(scope="module")
def capture() -> Generator[SpanCapture]:
    with capture_spans() as capture:
        yield capture


@pytest.fixture(scope="module")
def replay(loop: asyncio.Runner, capture: SpanCapture) -> Generator[Replay]:
    """Clients whose own spans, if they make any, are captured beside ours."""
    prices.load()
    with Replay(loop.run, capture.tracer_provider) as replay:
        yield replay


@pytest.fixture
def observe(replay: Replay, capture: SpanCapture, settings: Settings) -> Observe:
    """Replay an exchange as it was recorded, or in another way."""
    spans = Spans(capture)

    def observe(
        exchange: Exchange,
        *,
        is_async: bool | None = None,
        mode: Mode | None = None,
        function: str | None = None,
        chunks: int | None = None,
    ) -> Seen:
        is_async = exchange.is_async if is_async is None else is_async
        function = function or exchange.function
        if not replay.can_call(exchange, is_async=is_async, function=function):
            pytest.skip(f"{VERSIONS} has no {exchange.resource}.{function}()")
        call = partial(
            replay.call, exchange, is_async=is_async, mode=mode or exchange.mode, function=function, chunks=chunks
        )
        bare_answer, bare_sent = call()
        capture.clear()
        instrument(settings=settings, tracer_provider=spans.tracer_provider)
        try:
            answer, sent = call()
        finally:
            uninstrument()
        seen = Seen(bare_answer, bare_sent, answer, sent, spans.ended)
        capture.clear()
        return seen

    return observe


def price_list_usage(usage: Usage) -> dict[str, Any]:
    """A call's usage in the price list's names, as far as there is any."""
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.web_searches,
        **dict(usage.units),
    }
    return {name: count for name, count in counts.items() if count}


def reported_usage(exchange: Exchange) -> dict[str, Any] | None:
    """What genai-prices reads from the recorded answer, as far as there is any; None when that reports no usage."""
    if exchange.reported is None:
        return None
    extracted = genai_prices.extract_usage(
        exchange.reported,
        provider_id=PROVIDERS[exchange.host],
        api_flavor=FLAVORS.get(exchange.resource, "default"),
    )
    return {name: count for name, count in vars(extracted.usage).items() if count}


def listed_cost(exchange: Exchange, call: Call, at_ns: int) -> Decimal | None:
    """What genai-prices asks for the call's usage at a time; None when it has no price, or there is no usage.

    A unit that the list does not know makes genai-prices warn, which is an error here.
    """
    usage = price_list_usage(call.usage)
    if not usage:
        return None
    try:
        calculation = genai_prices.calc_price(
            genai_prices.Usage(**usage),
            call.response_model or call.request_model,
            provider_id=PROVIDERS[exchange.host],
            genai_request_timestamp=datetime.fromtimestamp(at_ns / 1e9, tz=UTC),
        )
    except (LookupError, UserWarning):
        return None
    return usd(calculation.total_price)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.id)
def test_a_recorded_exchange_is_one_exact_span(
    exchange: Exchange, observe: Observe, record_property: Callable[[str, object], None]
) -> None:
    """A billable call is one span with the provider's usage and the list's cost; a free one is none."""
    seen = observe(exchange)

    if exchange.method in FREE:
        assert seen.spans == []
        assert (seen.answer, seen.sent) == (seen.bare_answer, seen.bare_sent)
    else:
        assert_sent(exchange, seen)
        assert_exact(exchange, seen)
    record_property("replay", summary(exchange, seen))


def assert_sent(exchange: Exchange, seen: Seen) -> None:
    """What reached the provider is what was recorded, and what an uninstrumented SDK sends but for asking for usage."""
    (sent,), (bare_sent,) = seen.sent, seen.bare_sent
    assert bare_sent.body is not None
    assert exchange.body is not None
    assert bare_sent.body.items() >= exchange.body.items()
    if exchange.id in UNASKED_USAGE:
        assert sent.body == {**bare_sent.body, "stream_options": {"include_usage": True}}
    else:
        assert sent == bare_sent


def assert_exact(exchange: Exchange, seen: Seen) -> None:
    """The caller got what an uninstrumented SDK gives, and there is one span, right in all that can be compared."""
    assert seen.answer == seen.bare_answer
    assert len(seen.spans) == 1
    assert_identified(exchange, seen.call)
    assert_usage(exchange, seen.call)
    assert_cost(exchange, seen)


def assert_identified(exchange: Exchange, call: Call) -> None:
    """The span names the provider, the host and the models, and of an error its type."""
    assert (call.provider, call.server_address) == (PROVIDERS[exchange.host], exchange.host)
    assert call.request_model == (exchange.body or {})["model"]
    if exchange.status >= 400:
        assert call.error_type in ("NotFoundError", "BadRequestError")
    else:
        assert call.error_type is None
        assert call.response_id == exchange.beginning.get("id")
        assert call.response_model == exchange.beginning.get("model")


def assert_usage(exchange: Exchange, call: Call) -> None:
    """The span's usage is what genai-prices reads from the answer, but for the differences listed above."""
    ours, theirs = price_list_usage(call.usage), reported_usage(exchange)
    assert not call.usage.partial
    assert call.usage.estimated == (exchange.id in UNASKED_USAGE)
    if exchange.id in UNASKED_USAGE:
        assert theirs is None
    elif exchange.id in DIFFERENCES:
        assert (ours, theirs) == DIFFERENCES[exchange.id][:2]
    else:
        assert ours == (theirs or {})


def assert_cost(exchange: Exchange, seen: Seen) -> None:
    """The span's cost is the list's at the time of the call, and so is what ours asks at the time of the recording."""
    (span,), call = seen.spans, seen.call
    expected = listed_cost(exchange, call, span.start_ns)
    if exchange.id in UNPRICED:
        assert expected is not None
        assert (call.cost, call.unpriced_reason) == (None, UNPRICED[exchange.id][0])
        return
    assert (None if call.cost is None else usd(call.cost.total_usd)) == expected
    assert (call.unpriced_reason is None) == (expected is not None)
    if exchange.recorded_at_ns is not None:
        then = prices.cost(
            call.provider,
            call.request_model,
            call.usage,
            at_ns=exchange.recorded_at_ns,
            service_tier=call.service_tier,
            response_model=call.response_model,
        )
        assert (None if then is None else usd(then.total_usd)) == listed_cost(exchange, call, exchange.recorded_at_ns)


def summary(exchange: Exchange, seen: Seen) -> dict[str, Any]:
    """A row for `benchmarks/cassettes.py --replay`."""
    is_billable = exchange.method not in FREE
    theirs = reported_usage(exchange) if is_billable else None
    call = seen.call if is_billable else None
    cost = listed_cost(exchange, call, seen.spans[0].start_ns) if call else None
    return {
        "source": exchange.source,
        "cassette": exchange.cassette,
        "number": exchange.number,
        "exchanges": 1,
        "generated": exchange.generated,
        "billable": is_billable,
        "spans": len(seen.spans),
        "usage reported": theirs is not None,
        "usage equal": call is not None and theirs is not None and price_list_usage(call.usage) == theirs,
        "priced": cost is not None,
        "cost equal": call is not None and call.cost is not None and usd(call.cost.total_usd) == cost,
        "note": note(exchange),
    }


def note(exchange: Exchange) -> str | None:
    """Why there is nothing to compare, or why what there is differs; None for an exchange that has to be equal."""
    if exchange.method in FREE:
        return f"free, and so no span: {FREE[exchange.method]}"
    if exchange.status >= 400:
        return "an error: a span with its type, no usage and no cost"
    if exchange.id in DIFFERENCES:
        return f"another usage than genai-prices reads: {DIFFERENCES[exchange.id].why}"
    if exchange.id in UNPRICED:
        return f"another cost than genai-prices has: {UNPRICED[exchange.id][1]}"
    if exchange.id in UNASKED_USAGE:
        return "recorded without include_usage: ours asks for it, and marks the tokens of this answer as estimated"
    return None


def samples() -> list[Exchange]:
    """The first exchange of each kind: host, resource, streamed or not, success or error."""
    kinds = {
        (exchange.host, exchange.resource, exchange.asks_for_stream, exchange.status): exchange
        for exchange in reversed(EXCHANGES)
        if exchange.method not in FREE
    }
    return [kinds[kind] for kind in sorted(kinds)]


STREAMS = [each for each in samples() if each.is_stream]
HELPED_STREAMS = [each for each in STREAMS if each.host != "openrouter.ai"]
"""Those that a `stream()` helper can read: openai's fails on the reasoning that OpenRouter adds, with us or without."""


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ["raw", "streamed"])
@pytest.mark.parametrize("exchange", samples(), ids=lambda exchange: exchange.id)
def test_a_raw_response_is_read_as_exactly(exchange: Exchange, mode: Mode, is_async: bool, observe: Observe) -> None:
    """Each kind of exchange gives the same span through `with_raw_response` and `with_streaming_response`."""
    seen = observe(exchange, mode=mode, is_async=is_async, function=exchange.plain_function)

    assert seen.sent == seen.bare_sent
    assert_exact(exchange, seen)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("exchange", HELPED_STREAMS, ids=lambda exchange: exchange.id)
def test_a_stream_helper_is_read_as_exactly(exchange: Exchange, is_async: bool, observe: Observe) -> None:
    """Each kind of stream gives the same span through the SDKs' `stream()` helpers."""
    seen = observe(exchange, mode="parsed", is_async=is_async, function="stream")

    assert_exact(exchange, seen)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("exchange", STREAMS, ids=lambda exchange: exchange.id)
def test_a_stream_left_early_is_one_partial_span(exchange: Exchange, is_async: bool, observe: Observe) -> None:
    """Each kind of stream, closed after two chunks, is one span without an error, whose counts say they are partial."""
    seen = observe(exchange, mode="parsed", is_async=is_async, function="create", chunks=2)

    assert seen.answer == seen.bare_answer
    assert len(seen.spans) == 1
    assert (seen.call.response_id, seen.call.error_type) == (exchange.beginning["id"], None)
    assert seen.call.usage.partial


def test_no_cassette_is_left_out() -> None:
    """All cassettes are replayed, and every difference and exception above is one of them."""
    cassettes = Counter(source for source, _ in {(each.source, each.cassette) for each in EXCHANGES})
    exchanges = Counter(each.source for each in EXCHANGES)
    generated = Counter(source for source, _ in {(each.source, each.cassette) for each in EXCHANGES if each.generated})
    free = Counter(each.source for each in EXCHANGES if each.method in FREE)

    assert {
        source: (cassettes[source], exchanges[source], generated[source], free[source]) for source in exchanges
    } == CENSUS
    assert sum(cassettes.values()) == 331
    assert {*DIFFERENCES, *UNASKED_USAGE, *UNPRICED} <= {each.id for each in EXCHANGES}
