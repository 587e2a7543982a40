from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tierwise import price_list
from tierwise.call import Usage
from tierwise.price_list import ListCost, Listing

DAY_NS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000_000


def listed(provider: str, model: str, tier: str | None = None, *, batch: bool = False, at_ns: int = DAY_NS) -> Listing:
    found = price_list.find(provider, model, tier, batch, at_ns)
    assert isinstance(found, Listing)
    return found


def test_steps_are_the_sizes_from_which_a_request_costs_more() -> None:
    """A model with long-context prices has a step for each; rates are per token, in USD."""
    base, long = listed("openai", "gpt-5.5").steps

    assert (base[0], long[0]) == (0, 272_000)
    assert base[1].input * 2 == long[1].input == Decimal("0.00001")
    assert len(listed("openai", "gpt-4o").steps) == 1


@pytest.mark.parametrize(
    ("provider", "model", "tier", "batch", "reason"),
    [
        ("openai", "no-such", None, False, "no price for openai/no-such"),
        ("no-such", "gpt-4o", None, False, "no price for no-such/gpt-4o"),
        ("openai", "gpt-6.1-sol", "scale", False, "no price for openai/gpt-6.1-sol at service_tier 'scale'"),
        ("azure.ai.openai", "gpt-6.1-sol", "flex", False, "no price for azure.ai.openai/gpt-6.1-sol at service_tier"),
        ("anthropic", "claude-3-opus-latest", None, True, "no price for anthropic/claude-3-opus-latest at processing"),
    ],
)
def test_what_is_not_listed(provider: str, model: str, tier: str | None, batch: bool, reason: str) -> None:
    """An unknown model, provider or tier, and another seller's tier, are said to have no price."""
    found = price_list.find(provider, model, tier, batch, DAY_NS)

    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_tier_has_no_price_before_it_was_sold() -> None:
    """Tiers have a first day; before it there is no price, rather than the standard one."""
    before = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000_000

    assert isinstance(price_list.find("openai", "gpt-6.1-sol", "flex", False, before), str)
    assert isinstance(price_list.find("openai", "gpt-6.1-sol", "flex", False, DAY_NS), Listing)


def test_models_billed_by_the_request_are_more_than_rates() -> None:
    """A fee for each request is paid by calls of plain tokens, too, so `Rates` do not say it all."""
    assert not listed("perplexity", "sonar").is_only_rates
    assert listed("openai", "gpt-audio").is_only_rates


def test_a_request_fee_is_in_the_price() -> None:
    """The list's own arithmetic adds what a request costs by itself."""
    cost = price_list.calculate(listed("perplexity", "sonar"), Usage(0, 0), ())

    assert isinstance(cost, ListCost)
    assert cost.total_usd > 0


def test_unknown_units_are_refused() -> None:
    """A unit that the list has never heard of is no reason to bill nothing for it."""
    said = price_list.calculate(listed("openai", "gpt-4o"), Usage(1, 1), [("holograms", 1)])

    assert said == "no price for holograms of openai/gpt-4o"


def test_long_lived_cache_writes() -> None:
    """Where writes are billed, those kept for twelve hours have no price; where they are not, nor are these."""
    usage = Usage(100, 1, cache_write_tokens=50)
    units = [("cache_write_12h_tokens", 50)]

    assert isinstance(price_list.calculate(listed("openai", "gpt-4o"), usage, units), ListCost)
    assert price_list.calculate(listed("openai", "gpt-5.6-luna"), usage, units) == (
        "no price for cache_write_12h_tokens of openai/gpt-5.6-luna"
    )
