from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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

    assert prices.cost("openai", "no-such-model", usage, at_ns=DAY_NS) is None
    assert prices.unpriced_reason("openai", "no-such-model", usage, at_ns=DAY_NS) == "no price for openai/no-such-model"


def test_no_usage_has_no_price() -> None:
    """A call whose provider reported nothing is unpriced."""
    assert prices.unpriced_reason("openai", "gpt-4o", Usage(), at_ns=DAY_NS) == "no usage reported"


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

    reason = prices.unpriced_reason("openai", "gpt-4o", usage, at_ns=DAY_NS)

    assert reason.startswith("inconsistent usage: cache reads (900)")


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
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-sonnet-4-6"),
]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, write, fresh, out = (draw(st.integers(0, 400_000)) for _ in range(4))
    hour = draw(st.integers(0, write))
    return Usage(
        input_tokens=read + write + fresh,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        reasoning_tokens=draw(st.integers(0, out)),
        web_searches=draw(st.integers(0, 5)),
    )


@given(usages(), st.sampled_from(MODELS), st.sampled_from([None, "flex", "priority"]), st.booleans())
def test_agrees_with_genai_prices(usage: Usage, named: tuple[str, str], tier: str | None, batch: bool) -> None:
    """Whatever the mix of tokens, tier and batch, the total is genai-prices' own; only what we refuse differs."""
    from genai_prices import Usage as ListUsage
    from genai_prices import calc_price

    provider, model = named
    ours = prices.cost(provider, model, usage, at_ns=DAY_NS, service_tier=tier, batch=batch)
    if ours is None:
        assert prices.unpriced_reason(provider, model, usage, at_ns=DAY_NS, service_tier=tier, batch=batch)
        return
    context = {"service_tier": tier} if tier else {}
    theirs = calc_price(
        ListUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
            web_searches=usage.web_searches,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=DAY,
        price_context=context | ({"processing": "batch"} if batch else {}),
    )

    assert ours.total_usd == theirs.total_price


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[model]]\nmodel = 'x'\n", "provider is None"),
        ("[[discount]]\nprovider = 'openai'\npercent = 120\n", "percent is 120"),
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
