"""What the calls of a model cost for a quarter of an hour: the price list under the user's own prices."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from tierwise import price_list
from tierwise.price_list import Listing
from tierwise.price_overrides import Overrides, Rates, read_overrides

_STANDARD_TIERS = frozenset({None, "", "auto", "default", "standard", "standard_only"})
_QUARTER_HOUR_NS = 15 * 60 * 1_000_000_000
_MAX_RESOLVED = 4096
_NOTHING = Decimal(0)
_ONE = Decimal(1)


class EffectiveRates(NamedTuple):
    """USD per token, discounts and surcharges included, with the class that a class without a price falls into."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    reasoning: Decimal
    web_search: Decimal | None


class Tariff:
    """What the calls of one model, tier and region cost for a quarter of an hour."""

    __slots__ = (
        "factor",
        "first_step",
        "from_ns",
        "is_only_rates",
        "key",
        "listing",
        "rates",
        "reason",
        "steps",
        "token_factor",
        "until_ns",
    )

    def __init__(self, key: TariffKey, at_ns: int) -> None:
        provider, model, response_model, service_tier, batch, region = key
        self.key = key
        self.from_ns = at_ns - at_ns % _QUARTER_HOUR_NS
        self.until_ns = self.from_ns + _QUARTER_HOUR_NS
        self.listing: Listing | None = None
        """The price list's entry; None for a model with a price of the user's."""
        self.reason: str | None = None
        """Why tokens have no price; None when they have."""
        self.is_only_rates = True
        self.factor = discount(provider, model, response_model)
        if service_tier == "batch":
            service_tier, batch = None, True
        found: Listing | Rates | str = f"no price for {provider}/{model}"
        for name in _names(provider, model, response_model):
            found = resolve(provider, name, service_tier, batch, at_ns)
            if not isinstance(found, str):
                break
        steps: tuple[tuple[int, Rates], ...] = ((0, Rates(_NOTHING, _NOTHING)),)
        if isinstance(found, str):
            self.reason = found
        elif isinstance(found, Rates):
            steps = ((0, found),)
        else:
            self.listing, steps, self.is_only_rates = found, found.steps, found.is_only_rates
            if not price_list.is_priced_by_tokens(found):
                self.reason = f"{provider}/{response_model or model} is not priced by tokens"
        surcharge = _ONE if region is None else _surcharge(provider, model, response_model, region)
        if surcharge is None:
            self.listing = None
            self.reason = f"no price for {provider} in region {region!r}, where it may charge more"
        self.token_factor = self.factor * (surcharge or _ONE)
        self.steps = tuple((start, _effective(step, self.factor, self.token_factor)) for start, step in steps)
        self.rates = self.steps[0][1]
        self.first_step = self.steps[1][0] if len(self.steps) > 1 else sys.maxsize

    def own_unit_price(self, unit: str) -> Decimal | None:
        """The user's price of a unit, in USD each; None when the file has none."""
        if _overrides is None or not _overrides.units:
            return None
        provider, model, response_model, *_ = self.key
        for name in (response_model, model, None):
            if (own := _overrides.units.get((provider, name, unit))) is not None:
                return own
        return None

    def rates_past(self, input_tokens: int) -> EffectiveRates:
        """The rates of a request of this size: a step applies past its threshold, to every token of the request."""
        return next(step for start, step in reversed(self.steps) if input_tokens > start)


def times(listed: Rates, factor: Decimal) -> Rates:
    """Each rate times `factor`."""
    parts = {name: getattr(listed, name) for name in Rates.__slots__}
    return replace(listed, **{name: None if rate is None else rate * factor for name, rate in parts.items()})


def _names(provider: str, model: str, response_model: str | None) -> tuple[str, ...]:
    """The names of a call's model, the most exact first."""
    if response_model is None or response_model == model:
        return (model,)
    if provider != "aws.bedrock":
        return response_model, model
    # Here the answer leaves out whether the request was for one region or for all, which differ in price; an ARN of an
    # application's own may be either.
    return (model,) if model.startswith("arn:") else (model, response_model)


def _effective(listed: Rates, factor: Decimal, token_factor: Decimal) -> EffectiveRates:
    own = listed if token_factor == 1 else times(listed, token_factor)
    write = own.input if own.cache_write is None else own.cache_write
    return EffectiveRates(
        input=own.input,
        output=own.output,
        cache_read=own.input if own.cache_read is None else own.cache_read,
        cache_write=write,
        cache_write_1h=write if own.cache_write_1h is None else own.cache_write_1h,
        reasoning=own.output if own.reasoning is None else own.reasoning,
        web_search=None if listed.web_search is None else listed.web_search * factor,
    )


TariffKey = tuple[str, str, str | None, str | None, bool, str | None]
"""(provider, model, response model, service tier, batch, region)."""
tariffs: dict[TariffKey, Tariff] = {}
"""Those found last; of another time than a call's, they are found anew."""
_resolved: dict[tuple[str, str, str | None, bool, int], Listing | str] = {}


def find_tariff(key: TariffKey, at_ns: int) -> Tariff:
    """The tariff of a key at a time, ns since the epoch UTC, kept for the next call."""
    if len(tariffs) >= _MAX_RESOLVED:
        tariffs.clear()
    tariff = tariffs[key] = Tariff(key, at_ns)
    return tariff


def resolve(provider: str, model: str, service_tier: str | None, batch: bool, at_ns: int) -> Listing | Rates | str:
    """The user's own rates of a model, or its entry in the price list, or why there is none."""
    if _overrides is not None and (own := _overrides.models.get((provider, model))) is not None:
        return own
    tier = None if service_tier in _STANDARD_TIERS else service_tier
    key = (provider, model, tier, batch, at_ns // _QUARTER_HOUR_NS)
    found = _resolved.get(key)
    if found is None:
        if len(_resolved) >= _MAX_RESOLVED:
            _resolved.clear()
        found = _resolved[key] = price_list.find(provider, model, tier, batch, at_ns)
    return found


# --- the user's own prices --------------------------------------------------------------------------------------------

_overrides: Overrides | None = None
_version: str | None = None


def price_version() -> str:
    """Which prices are in force: `genai-prices 0.2.3`, with `+overrides:<digest>` when the user has own ones."""
    global _version
    if _version is None:
        from importlib.metadata import version

        _version = f"genai-prices {version('genai-prices')}"
        if _overrides is not None:
            _version += f"+overrides:{_overrides.digest}"
    return _version


def configure(path: str | Path | None) -> None:
    """Take prices, discounts and surcharges from a TOML file over the list's; None: the list as it is.

    Raises:
        SettingsError: the file is missing, not TOML, or holds a value we cannot use.
    """
    global _overrides, _version
    _overrides = None if path is None else read_overrides(Path(path))
    _version = None
    tariffs.clear()
    _resolved.clear()


_KNOWN_SURCHARGES = {("anthropic", "us"): Decimal("1.1")}
"""(provider, region) → factor for tokens (platform.claude.com, Pricing, Data residency)."""


def _surcharge(provider: str, model: str, response_model: str | None, region: str) -> Decimal | None:
    """What tokens cost more in a region, as a factor; None when that is not known."""
    for name in (response_model, model, None):
        if _overrides is not None and (own := _overrides.surcharges.get((provider, name, region))) is not None:
            return own
    return _KNOWN_SURCHARGES.get((provider, region))


def discount(provider: str, model: str, response_model: str | None = None) -> Decimal:
    """What the user pays of a price, as a factor."""
    if _overrides is None:
        return _ONE
    for name in (response_model, model, None):
        if (factor := _overrides.discounts.get((provider, name))) is not None:
            return factor
    return _ONE
