from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import prices
from tierwise.call import Cost, Usage
from tierwise.errors import SettingsError

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY_NS = int(DAY.timestamp()) * 1_000_000_000


def total(cost: Cost | None) -> Decimal | None:
    return None if cost is None else cost.total_usd.quantize(Decimal("1e-9"))


def test_unknown_model_has_no_price() -> None:
    """A model without a price entry costs None, not 0, and the reason names it."""
    usage = Usage(input_tokens=10, output_tokens=1)

    assert prices.price("openai", "no-such-model", usage, at_ns=DAY_NS) == (None, "no price for openai/no-such-model")


def test_no_usage_has_no_price() -> None:
    """A call whose provider reported nothing is unpriced."""
    assert prices.price("openai", "gpt-4o", Usage(), at_ns=DAY_NS) == (None, "no usage reported")


def test_anthropic_cache_classes() -> None:
    """Fresh, cache-read, five-minute and one-hour cache-write tokens are each billed at their own rate, once."""
    usage = Usage(
        input_tokens=1_200_000,
        output_tokens=0,
        cache_read_tokens=100_000,
        cache_write_tokens=1_000_000,
        cache_write_1h_tokens=400_000,
    )

    cost = prices.cost("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS)

    assert cost is not None
    assert cost.input_usd == Decimal("0.4")
    assert cost.cache_read_usd == Decimal("0.02")
    assert cost.cache_write_usd == Decimal("0.6") * 5 + Decimal("0.4") * 8


def test_long_context_reprices_the_whole_request() -> None:
    """Past the threshold the whole request pays the higher rate, at the threshold it does not."""
    at = prices.cost("openai", "gpt-5.5", Usage(input_tokens=272_000, output_tokens=0), at_ns=DAY_NS)
    past = prices.cost("openai", "gpt-5.5", Usage(input_tokens=272_001, output_tokens=0), at_ns=DAY_NS)

    assert total(at) == Decimal("1.36")
    assert total(past) == Decimal("2.72001")


def test_service_tier_has_its_own_price_or_none() -> None:
    """A tier is priced as listed; a tier nobody lists gives None rather than the standard price."""
    usage = Usage(input_tokens=100_000, output_tokens=1_000)

    def at_tier(tier: str | None) -> Decimal | None:
        return total(prices.cost("openai", "gpt-6.1-sol", usage, at_ns=DAY_NS, service_tier=tier))

    assert at_tier("flex") == Decimal("0.105")
    assert at_tier("default") == at_tier(None) == Decimal("0.21")
    assert at_tier("scale") is None


def test_inconsistent_usage_is_unpriced() -> None:
    """Cache reads beyond the input total are reported as inconsistent, not clamped."""
    usage = Usage(input_tokens=100, output_tokens=1, cache_read_tokens=900)

    cost, reason = prices.price("openai", "gpt-4o", usage, at_ns=DAY_NS)

    assert cost is None
    assert (reason or "").startswith("inconsistent usage: cache reads (900)")


def test_prices_are_dated() -> None:
    """A call is priced with the list of its own day."""
    july = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
    august = int(datetime(2026, 8, 15, tzinfo=UTC).timestamp()) * 1_000_000_000
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=0)

    before = prices.rates("openai", "gpt-5.6-luna", input_tokens=10, at_ns=july)
    after = prices.rates("openai", "gpt-5.6-luna", input_tokens=10, at_ns=august)

    assert before is not None
    assert after is not None
    assert before.cache_read != after.cache_read or before.input != after.input
    assert prices.cost("openai", "gpt-5.6-luna", usage, at_ns=july) is not None


MODELS = [
    ("openai", "gpt-6.1-sol"),
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-5.5"),
    ("openai", "gpt-4o"),
    ("azure.ai.openai", "gpt-4o"),
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-sonnet-4-6"),
    ("aws.bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("gcp.vertex_ai", "claude-opus-5-5"),
    ("openrouter", "openai/gpt-4o"),
]
LIST_IDS = {"azure.ai.openai": "azure", "aws.bedrock": "aws", "gcp.vertex_ai": "google"}
THRESHOLDS = (128_000, 200_000, 272_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, write, out = (draw(st.integers(0, 400_000)) for _ in range(3))
    edges = st.sampled_from([size + step for size in THRESHOLDS for step in (-1, 0, 1)])
    total_input = read + write + draw(st.integers(0, 400_000))
    edge = draw(st.none() | edges)
    if edge is not None and edge >= read + write:
        total_input = edge
    hour = draw(st.integers(0, write))
    return Usage(
        input_tokens=total_input,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        reasoning_tokens=draw(st.integers(0, out)),
        web_searches=draw(st.integers(0, 5)),
    )


def list_price(
    provider: str, model: str, usage: Usage, at: datetime = DAY, tier: str | None = None, *, batch: bool = False
) -> Decimal:
    """What genai-prices itself makes of it."""
    from genai_prices import Usage as ListUsage
    from genai_prices import calc_price

    context = {"speed" if tier == "fast" and provider == "anthropic" else "service_tier": tier} if tier else {}
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.web_searches,
        **dict(usage.units),
    }
    return calc_price(
        ListUsage(**{name: amount for name, amount in counts.items() if amount}),
        model,
        provider_id=LIST_IDS.get(provider, provider),
        genai_request_timestamp=at,
        price_context=context | ({"processing": "batch"} if batch else {}),
    ).total_price


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


MOMENTS = [
    datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 13, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2026, 8, 15, tzinfo=UTC),
    datetime(2026, 10, 11, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 14, tzinfo=UTC),
    DAY,
]


@given(
    usages(),
    st.sampled_from(MODELS),
    st.sampled_from([None, "default", "flex", "priority", "fast"]),
    st.booleans(),
    st.sampled_from(MOMENTS),
)
def test_agrees_with_genai_prices(
    usage: Usage, named: tuple[str, str], tier: str | None, batch: bool, at: datetime
) -> None:
    """Whatever the tokens, tier, batch and day, the total is genai-prices' own; only what we refuse differs."""
    provider, model = named

    ours, reason = prices.price(provider, model, usage, at_ns=ns(at), service_tier=tier, batch=batch)

    if ours is None:
        assert reason
    else:
        assert reason is None
        assert ours.total_usd == list_price(provider, model, usage, at, tier, batch=batch)


@st.composite
def media_usages(draw: st.DrawFn) -> tuple[str, Usage]:
    """A model that is billed by more than tokens of text, and usage of it."""
    model, parts, beside = draw(
        st.sampled_from(
            [
                ("gpt-audio", ["input_audio_tokens", "output_audio_tokens"], []),
                ("gpt-4o-transcribe", ["input_audio_tokens", "input_text_tokens"], []),
                ("gpt-image-1.5", ["input_image_tokens", "output_image_tokens", "input_text_tokens"], []),
                ("gpt-5.6-luna", [], ["storage_searches"]),
                ("whisper-1", [], ["audio_seconds"]),
                ("tts-1", [], ["input_characters"]),
            ]
        )
    )
    units = {name: draw(st.integers(1, 200_000)) for name in beside}
    units |= {name: draw(st.integers(1, 100_000)) for name in parts}
    by_tokens = model not in ("whisper-1", "tts-1")
    sums = {side: sum(n for name, n in units.items() if name.startswith(side)) for side in ("input", "output")}
    return model, Usage(
        input_tokens=sums["input"] + draw(st.integers(0, 300_000)) if by_tokens else None,
        output_tokens=sums["output"] + draw(st.integers(0, 10_000)) if by_tokens else None,
        units=tuple(sorted(units.items())),
    )


@given(media_usages())
def test_units_agree_with_genai_prices(given_usage: tuple[str, Usage]) -> None:
    """Audio, images, characters, seconds and searches cost what genai-prices says they do."""
    model, usage = given_usage

    cost, reason = prices.price("openai", model, usage, at_ns=DAY_NS)

    assert reason is None
    assert cost is not None
    assert cost.total_usd == list_price("openai", model, usage)


@pytest.mark.parametrize(
    ("model", "usage", "reason"),
    [
        (
            "gpt-4o-audio-preview",
            Usage(100, 10, units=(("input_audio_tokens", 90),)),
            "no price for input_audio_tokens of openai/gpt-4o-audio-preview",
        ),
        (
            "gpt-4o-mini-tts",
            Usage(units=(("input_characters", 90),)),
            "no price for input_characters of openai/gpt-4o-mini-tts",
        ),
        ("gpt-4o", Usage(9, 9, units=(("videos", 1),)), "no price for videos of openai/gpt-4o"),
        ("gpt-audio", Usage(9, 9, units=(("input_audio_tokens", 10),)), "inconsistent usage: "),
        ("no-such", Usage(9, 9, units=(("input_audio_tokens", 1),)), "no price for openai/no-such"),
        ("whisper-1", Usage(9, 9), "openai/whisper-1 is not priced by tokens"),
    ],
)
def test_units_without_a_price(model: str, usage: Usage, reason: str) -> None:
    """What the list has no price for makes the call unpriced, rather than cost what text does, or nothing."""
    cost, said = prices.price("openai", model, usage, at_ns=DAY_NS)

    assert cost is None
    assert (said or "").startswith(reason)


def test_free_models_cost_nothing() -> None:
    """A model that the list has as free costs 0; one that it names without a price has none."""
    usage = Usage(100, 10)

    free, _ = prices.price("openrouter", "deepseek/deepseek-chat-v3-0324:free", usage, at_ns=DAY_NS)

    assert total(free) == 0
    assert prices.cost("openai", "omni-moderation-latest", usage, at_ns=DAY_NS) is None


def test_a_resellers_tier_has_no_price() -> None:
    """The tiers of a model's maker are not those of a cloud that resells it."""
    usage = Usage(100, 10)

    assert prices.cost("azure.ai.openai", "gpt-6.1-sol", usage, at_ns=DAY_NS) is not None
    assert prices.cost("azure.ai.openai", "gpt-6.1-sol", usage, at_ns=DAY_NS, service_tier="flex") is None


def test_batch_tier_is_batch() -> None:
    """A response that names the tier `batch` is priced as a batch."""
    usage = Usage(100_000, 10)

    named = prices.cost("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS, service_tier="batch")

    assert named == prices.cost("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS, batch=True)
    assert named != prices.cost("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS)


def test_long_context_threshold() -> None:
    """The size past which a request costs other rates is known, and None where size does not matter."""
    assert prices.long_context_from("openai", "gpt-5.5", at_ns=DAY_NS) == 272_000
    assert prices.long_context_from("openai", "gpt-4o", at_ns=DAY_NS) is None


@pytest.fixture
def own_prices(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    path = tmp_path / "prices.toml"

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    yield write
    prices.configure(None)


def test_own_prices_and_discounts(own_prices: Callable[[str], Path]) -> None:
    """A model the list does not know is priced by the user's file; a discount applies to the list's prices."""
    prices.configure(
        own_prices(
            '[[model]]\nprovider = "openai"\nmodel = "mine"\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 2\n'
            '[[discount]]\nprovider = "anthropic"\npercent = 25\n'
        )
    )
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)

    assert total(prices.cost("openai", "mine", usage, at_ns=DAY_NS)) == Decimal(3)
    assert total(prices.cost("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS)) == Decimal(18)
    assert "+overrides:" in prices.price_version()


def test_a_region_needs_a_surcharge(own_prices: Callable[[str], Path]) -> None:
    """Where a provider may charge more for a region, a call has no price until the user's file says how much more."""
    usage = Usage(1_000_000, 0)

    def in_eu() -> tuple[Cost | None, str | None]:
        return prices.price("openai", "gpt-4o", usage, at_ns=DAY_NS, region="eu")

    assert in_eu() == (None, "no price for openai in region 'eu', where it may charge more")
    prices.configure(own_prices('[[surcharge]]\nprovider = "openai"\nregion = "eu"\npercent = 10\n'))
    assert total(in_eu()[0]) == Decimal("2.75")


def test_a_known_surcharge_is_for_tokens(own_prices: Callable[[str], Path]) -> None:
    """Anthropic charges a tenth more for tokens processed in the US, and no more for searches."""
    usage = Usage(1_000_000, 0, web_searches=1000)

    def in_us() -> Decimal | None:
        return total(prices.price("anthropic", "claude-opus-5-5", usage, at_ns=DAY_NS, region="us")[0])

    assert in_us() == Decimal("14.4")
    prices.configure(
        own_prices('[[surcharge]]\nprovider = "anthropic"\nmodel = "claude-opus-5-5"\nregion = "us"\npercent = 0\n')
    )
    assert in_us() == 14


def test_bedrock_is_priced_by_the_model_asked_for() -> None:
    """A global model of Bedrock costs less than a regional one, though the answers name the same model."""
    usage = Usage(1_000_000, 0)
    answered = "claude-haiku-4-5-20251001"

    def asked(model: str) -> Decimal | None:
        return total(prices.cost("aws.bedrock", model, usage, at_ns=DAY_NS, response_model=answered))

    assert asked(f"global.anthropic.{answered}-v1:0") == 1
    assert asked(f"us.anthropic.{answered}-v1:0") == Decimal("1.1")
    assert asked("my-proxy-name") == Decimal("1.1")
    assert asked("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc") is None


def test_own_unit_prices(own_prices: Callable[[str], Path]) -> None:
    """What the list cannot price by, the user's file can: for one model, or for all of a provider."""
    prices.configure(
        own_prices(
            '[[unit]]\nprovider = "openai"\nmodel = "sora-2"\nunit = "output_video_seconds"\nusd = 0.1\n'
            '[[unit]]\nprovider = "openai"\nunit = "code_executions"\nusd = 0.03\n'
            '[[discount]]\nprovider = "openai"\npercent = 50\n'
        )
    )
    video = Usage(units=(("output_video_seconds", 8),))
    container = Usage(1_000_000, 0, units=(("code_executions", 2),))

    assert total(prices.cost("openai", "sora-2", video, at_ns=DAY_NS)) == Decimal("0.4")
    assert prices.cost("openai", "sora-2-pro", video, at_ns=DAY_NS) is None
    assert total(prices.cost("openai", "gpt-4o", container, at_ns=DAY_NS)) == Decimal("1.28")


def test_own_price_covers_a_models_tokens(own_prices: Callable[[str], Path]) -> None:
    """The user's price of a model holds for all its tokens, whatever they stand for, and for nothing beside them."""
    prices.configure(
        own_prices('[[model]]\nprovider = "openai"\nmodel = "mine"\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 2\n')
    )
    heard = Usage(1_000_000, 0, units=(("input_audio_tokens", 500_000),))
    timed = replace(heard, units=(("audio_seconds", 3),))

    assert total(prices.cost("openai", "mine", heard, at_ns=DAY_NS)) == Decimal(1)
    assert prices.price("openai", "mine", timed, at_ns=DAY_NS) == (None, "no price for audio_seconds of openai/mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[model]]\nmodel = 'x'\n", "provider is None"),
        ("[[discount]]\nprovider = 'openai'\npercent = 120\n", "percent is 120"),
        ("[[surcharge]]\nprovider = 'x'\npercent = 1\n", "region is None"),
        ("[[unit]]\nprovider = 'x'\nunit = 'y'\nusd = -1\n", "usd is -1"),
        ("[[prices]]\n", "unknown table 'prices'"),
        ("[[model]\n", "not valid TOML"),
    ],
)
def test_bad_price_file_is_refused(own_prices: Callable[[str], Path], text: str, message: str) -> None:
    """A price file that cannot be used is refused with its path, the value and what is allowed."""
    path = own_prices(text)

    with pytest.raises(SettingsError, match=r"prices\.toml") as caught:
        prices.configure(path)

    assert message in str(caught.value)


def test_callbacks_run_when_the_list_is_loaded() -> None:
    """A callback given after loading runs at once, in the caller's thread."""
    prices.load()
    ran: list[bool] = []

    assert prices.when_ready(lambda: ran.append(True))
    assert ran == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on POSIX only")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_load_the_list() -> None:
    """A child forked while another thread holds the loader's lock can still wait for the price list."""
    with prices._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if prices.when_ready(lambda: None) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
