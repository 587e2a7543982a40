"""genai-prices, the price list: what a model costs at a moment, and the price of usage that is not all tokens of text.

The only importer of genai-prices. The package is slow to import, so every import of it stands inside a function;
`prices` decides when to pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tierwise.call import Usage
from tierwise.price_overrides import Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_PROVIDER_IDS = {
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""`gen_ai.provider.name` where genai-prices uses another id."""

_BEYOND_RATES = frozenset({"cache_write_5m_mtok", "output_citation_mtok", "requests_kcount"})
"""Prices that even a call of plain tokens may have to pay and that `Rates` does not hold."""
_PRICED_AS_TEXT = frozenset({None, "text", "image"})
"""Kinds of token that cost what a model's tokens cost where the list names no price of their own."""

_LONG_CACHE_WRITES = "cache_write_12h_tokens"
"""Part of the cache writes, for longer than the list's one price of a write is for."""
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)
_NOTHING = Decimal(0)


class Listing(NamedTuple):
    """What the list says about a model at a moment, for a service tier and a way of processing."""

    provider: Provider
    info: ModelInfo
    at: datetime
    context: dict[str, str]
    """Tier and processing, as the list spells them."""
    price: ModelPrice
    steps: tuple[tuple[int, Rates], ...]
    """(input tokens past which it holds, rates), rising; past a step every token of the request costs its rates."""

    @property
    def is_only_rates(self) -> bool:
        """Whether `steps` say all there is to pay for tokens of text."""
        return _BEYOND_RATES.isdisjoint(vars(self.price))


def load() -> None:
    """Import the list and build its index, some tenths of a second."""
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def find(provider: str, model: str, tier: str | None, batch: bool, at_ns: int) -> Listing | str:
    """The listing of a model at a time, ns since the epoch UTC; in words, why there is none.

    Args:
        provider: `gen_ai.provider.name`.
        tier: the service tier; None is the standard one.
    """
    from genai_prices.data_snapshot import get_snapshot

    provider_id = _PROVIDER_IDS.get(provider, provider)
    try:
        seller, info = get_snapshot().find_provider_model(
            model, None, None if provider_id == "unknown" else provider_id, None
        )
    except LookupError:
        return f"no price for {provider}/{model}"
    at = datetime.fromtimestamp(at_ns / 1e9, tz=UTC)
    context: dict[str, str] = {}
    if tier is not None:
        context["speed" if tier == "fast" and provider == "anthropic" else "service_tier"] = tier
    if batch:
        context["processing"] = "batch"
    sold_here = any(info is own for own in seller.models)
    for name, value in context.items():
        # genai-prices answers an unknown context, and one of a reseller, with the standard price: a made-up number.
        if not sold_here or not any(
            variant.when.get(name) == value and (variant.constraint is None or variant.constraint.active(at))
            for variant in info.price_variants or ()
        ):
            return f"no price for {provider}/{model} at {name} {value!r}"
    price = info.get_prices(at, context or None)
    starts = sorted({0, *(tier.start for value in vars(price).values() for tier in getattr(value, "tiers", ()))})
    return Listing(
        seller, info, at, context, price, tuple((start, _rates_at(info.id, price, start + 1)) for start in starts)
    )


def _rates_at(model_id: str, price: ModelPrice, input_tokens: int) -> Rates:
    """The rates of `price` for a request of `input_tokens`."""

    def rate(key: str, per: Decimal) -> Decimal | None:
        value: Any = getattr(price, key)
        if value is None:
            return None
        if not isinstance(value, Decimal):
            active = [tier.price for tier in value.tiers if input_tokens > tier.start]
            value = active[-1] if active else value.base
        return value / per

    return Rates(
        input=rate("input_mtok", _MILLION) or _NOTHING,
        output=rate("output_mtok", _MILLION) or _NOTHING,
        cache_read=rate("cache_read_mtok", _MILLION),
        cache_write=rate("cache_write_mtok", _MILLION),
        cache_write_1h=rate("cache_write_1h_mtok", _MILLION),
        reasoning=rate("output_reasoning_mtok", _MILLION),
        web_search=rate("web_searches_kcount", _THOUSAND),
    )


def is_priced_by_tokens(listing: Listing) -> bool:
    """Whether tokens have a price. A model listed as free has, of 0; one whose entry names no price has none."""
    price = listing.price
    return price.input_mtok is not None or price.output_mtok is not None or is_free(listing)


def is_free(listing: Listing) -> bool:
    """Whether the list has the model as one that costs nothing, as OpenRouter's `…:free` are."""
    return not vars(listing.price) and listing.info.id.endswith(":free")


class ListCost(NamedTuple):
    """A price by the list's own arithmetic, in USD."""

    input_usd: Decimal
    """Cache reads and writes included."""
    output_usd: Decimal
    total_usd: Decimal


def calculate(listing: Listing, usage: Usage, units: Sequence[tuple[str, int | float]]) -> ListCost | str:
    """What `usage` costs, with `units` in place of its own; in words, why that is not known."""
    if listing.price.cache_write_mtok is None:
        # Where writing is not billed, how long the cache lives is not either.
        units = [(unit, amount) for unit, amount in units if unit != _LONG_CACHE_WRITES]
    for unit, amount in units:
        if amount and not _is_priced(listing.price, unit):
            return f"no price for {unit} of {listing.provider.id}/{listing.info.id}"
    from genai_prices import Usage as ListUsage

    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.web_searches,
    }
    given = {name: amount for name, amount in counts.items() if amount} | dict(units)
    try:
        priced = listing.info.calc_price(
            ListUsage(**given),
            listing.provider,
            genai_request_timestamp=listing.at,
            price_context=listing.context or None,
        )
    except ValueError as error:
        return f"inconsistent usage: {error}"
    return ListCost(priced.input_price, priced.output_price, priced.total_price)


def _is_priced(price: ModelPrice, unit: str) -> bool:
    """Whether `price` says what `unit` costs: by name, or as a part of something it names.

    Audio and video tokens cost several times what text does, so the price of a model's text is none for them.
    """
    by_unit, by_price_key = _dimensions()
    own = by_unit.get(unit)
    if own is None:
        return False
    inherits = own.get("modality") in _PRICED_AS_TEXT or own["family"] != "tokens"
    return any(
        priced.items() <= own.items() and (inherits or "modality" in priced)
        for key in vars(price)
        if (priced := by_price_key.get(key)) is not None
    )


@cache
def _dimensions() -> tuple[dict[str, Mapping[str, str]], dict[str, Mapping[str, str]]]:
    """What a unit counts (`input_audio_tokens`: tokens, input, audio), by the unit's name and by its price's."""
    from genai_prices.data_units import unit_data

    return (
        {name: unit["dimensions"] for name, unit in unit_data.items()},
        {unit["price_key"]: unit["dimensions"] for unit in unit_data.values()},
    )
