"""What a call costs: the only importer of genai-prices, plus the user's own prices and discounts.

The price list is slow to import, so in the user's app it loads on a background thread
(`warm_up()`, `when_ready()`); the collector and the command line load it at once (`load()`). A model's prices are
resolved once per quarter of an hour and kept, so that pricing a call is a handful of multiplications; a property test
holds the result to genai-prices' own `calc_price`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise.call import Cost, Usage
from tierwise.price_overrides import Overrides, Rates, read_overrides

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

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

_STANDARD_TIERS = frozenset({None, "", "auto", "default", "standard", "standard_only"})
_QUARTER_HOUR_NS = 15 * 60 * 1_000_000_000
_MAX_RESOLVED = 4096
_MAX_WAITING = 2048
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


def cost(
    provider: str,
    model: str,
    usage: Usage,
    *,
    at_ns: int,
    service_tier: str | None = None,
    batch: bool = False,
    response_model: str | None = None,
) -> Cost | None:
    """What a call cost in USD, or None when that is not known (`unpriced_reason` says why).

    Args:
        provider: `gen_ai.provider.name`.
        model: the model sent; `response_model`, being more exact, is looked up before it.
        usage: input_tokens is the total, cache reads and writes included.
        at_ns: when the call began, ns since the epoch UTC: prices are dated.
        service_tier: as the response names it; a tier without a price of its own gives None, not the standard price.
    """
    priced = _price(provider, model, usage, at_ns, service_tier, batch, response_model)
    return priced if isinstance(priced, Cost) else None


def unpriced_reason(
    provider: str,
    model: str,
    usage: Usage,
    *,
    at_ns: int,
    service_tier: str | None = None,
    batch: bool = False,
    response_model: str | None = None,
) -> str:
    """Why `cost` with these arguments is None, in words; empty when it is not."""
    priced = _price(provider, model, usage, at_ns, service_tier, batch, response_model)
    return priced if isinstance(priced, str) else ""


LOADING = "price list loading"
"""`tierwise.unpriced.reason` of a call that ended before the price list was there; the collector prices it."""


def _price(
    provider: str,
    model: str,
    usage: Usage,
    at_ns: int,
    service_tier: str | None,
    batch: bool,
    response_model: str | None,
) -> Cost | str:
    if usage.input_tokens is None and usage.output_tokens is None:
        return "no usage reported"
    if service_tier == "batch":
        service_tier, batch = None, True
    tier = None if service_tier in _STANDARD_TIERS else service_tier
    input_tokens = usage.input_tokens or 0
    names = dict.fromkeys(name for name in (response_model, model) if name)
    rates: Rates | str = f"no price for {provider}/{model}"
    for name in names:
        rates = _rates(provider, name, input_tokens, at_ns, tier, batch)
        if isinstance(rates, Rates):
            break
    if isinstance(rates, str):
        return rates
    return _multiply(rates, usage, _discount(provider, model, response_model))


def _multiply(rates: Rates, usage: Usage, factor: Decimal) -> Cost | str:
    input_tokens, output_tokens = usage.input_tokens or 0, usage.output_tokens or 0
    fresh = input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    if fresh < 0:
        return (
            f"inconsistent usage: cache reads ({usage.cache_read_tokens}) and writes ({usage.cache_write_tokens}) "
            f"exceed input tokens ({input_tokens})"
        )
    one_hour = usage.cache_write_1h_tokens
    if one_hour > usage.cache_write_tokens or usage.reasoning_tokens > output_tokens:
        return "inconsistent usage: a part exceeds its total"
    if usage.web_searches and rates.web_search is None:
        return "no price for web searches"

    read_rate = rates.input if rates.cache_read is None else rates.cache_read
    write_rate = rates.input if rates.cache_write is None else rates.cache_write
    one_hour_rate = write_rate if rates.cache_write_1h is None else rates.cache_write_1h
    reasoning_rate = rates.output if rates.reasoning is None else rates.reasoning
    return Cost(
        input_usd=fresh * rates.input * factor,
        output_usd=((output_tokens - usage.reasoning_tokens) * rates.output + usage.reasoning_tokens * reasoning_rate)
        * factor,
        cache_read_usd=usage.cache_read_tokens * read_rate * factor,
        cache_write_usd=((usage.cache_write_tokens - one_hour) * write_rate + one_hour * one_hour_rate) * factor,
        other_usd=usage.web_searches * (rates.web_search or Decimal(0)) * factor,
        price_version=price_version(),
    )


def rates(
    provider: str, model: str, *, input_tokens: int, at_ns: int, service_tier: str | None = None, batch: bool = False
) -> Rates | None:
    """USD per token of each class for a request of this size, discounts included; None for an unknown model.

    `input_tokens` matters: past a model's long-context threshold the whole request is priced at the higher rates.
    """
    tier = None if service_tier in _STANDARD_TIERS else service_tier
    found = _rates(provider, model, input_tokens, at_ns, tier, batch)
    if isinstance(found, str):
        return None
    factor = _discount(provider, model, None)
    if factor == 1:
        return found
    parts = {name: getattr(found, name) for name in ("cache_read", "cache_write", "cache_write_1h", "reasoning")}
    return replace(
        found,
        input=found.input * factor,
        output=found.output * factor,
        web_search=None if found.web_search is None else found.web_search * factor,
        **{name: None if rate is None else rate * factor for name, rate in parts.items()},
    )


# --- resolving the price list -----------------------------------------------------------------------------------------

_resolved: dict[tuple[Any, ...], tuple[tuple[int, Rates], ...] | str] = {}


def _rates(provider: str, model: str, input_tokens: int, at_ns: int, tier: str | None, batch: bool) -> Rates | str:
    if _overrides is not None and (own := _overrides.models.get((provider, model))) is not None:
        return own
    key = (provider, model, tier, batch, at_ns // _QUARTER_HOUR_NS)
    steps = _resolved.get(key)
    if steps is None:
        if len(_resolved) >= _MAX_RESOLVED:
            _resolved.clear()
        steps = _resolved[key] = _resolve(provider, model, tier, batch, at_ns)
    if isinstance(steps, str):
        return steps
    found = steps[0][1]
    for start, step in steps:
        # A tier applies past its threshold, to every token of the request.
        if input_tokens > start:
            found = step
    return found


def _resolve(
    provider: str, model: str, tier: str | None, batch: bool, at_ns: int
) -> tuple[tuple[int, Rates], ...] | str:
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import TieredPrices

    provider_id = _PROVIDER_IDS.get(provider, provider)
    try:
        _, info = get_snapshot().find_provider_model(
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
    for name, value in context.items():
        # genai-prices answers an unknown context with the standard price: that would be a made-up number.
        if not any(
            variant.when.get(name) == value and (variant.constraint is None or variant.constraint.active(at))
            for variant in info.price_variants or ()
        ):
            return f"no price for {provider}/{model} at {name} {value!r}"
    price = info.get_prices(at, context or None)
    if price.input_mtok is None and price.output_mtok is None:
        return f"{provider}/{model} is not priced by tokens"
    starts = sorted({0} | {tier.start for p in vars(price).values() if isinstance(p, TieredPrices) for tier in p.tiers})
    return tuple((start, _rates_at(price, start + 1)) for start in starts)


def _rates_at(price: ModelPrice, input_tokens: int) -> Rates:
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
        input=rate("input_mtok", _MILLION) or Decimal(0),
        output=rate("output_mtok", _MILLION) or Decimal(0),
        cache_read=rate("cache_read_mtok", _MILLION),
        cache_write=rate("cache_write_mtok", _MILLION),
        cache_write_1h=rate("cache_write_1h_mtok", _MILLION),
        reasoning=rate("output_reasoning_mtok", _MILLION),
        web_search=rate("web_searches_kcount", _THOUSAND),
    )


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
    """Take prices and discounts from a TOML file over the list's; None: the list as it is.

    Raises:
        SettingsError: the file is missing, not TOML, or holds a value we cannot use.
    """
    global _overrides, _version
    _overrides = None if path is None else read_overrides(Path(path))
    _version = None
    _resolved.clear()


def _discount(provider: str, model: str, response_model: str | None) -> Decimal:
    if _overrides is None:
        return Decimal(1)
    for name in (response_model, model, None):
        if (factor := _overrides.discounts.get((provider, name))) is not None:
            return factor
    return Decimal(1)


# --- loading ----------------------------------------------------------------------------------------------------------

_loaded = threading.Event()
_lock = threading.Lock()
_waiting: list[Callable[[], None]] = []
_thread: threading.Thread | None = None


def _begin_in_child() -> None:
    """In a forked child: the lock may be held by a thread, and callbacks wait for one, that stayed with the parent."""
    global _lock, _thread
    _lock = threading.Lock()
    _thread = None
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def load() -> None:
    """Load the price list now, in this thread."""
    import genai_prices.data_snapshot

    genai_prices.data_snapshot.get_snapshot()
    _loaded.set()
    _run_waiting()


def ready() -> bool:
    """Whether the price list is loaded, so that `cost` will not wait for it."""
    return _loaded.is_set()


def warm_up() -> None:
    """Start loading the price list on a daemon thread, unless it is loaded or loading."""
    global _thread
    with _lock:
        if _loaded.is_set() or (_thread is not None and _thread.is_alive()):
            return
        _thread = threading.Thread(target=load, name="tierwise-prices", daemon=True)
        _thread.start()


def when_ready(callback: Callable[[], None]) -> bool:
    """Run `callback` once the price list is loaded: at once if it is, else on the loading thread.

    Returns: False when too many wait already and the callback will not run.
    """
    with _lock:
        if not _loaded.is_set():
            if len(_waiting) >= _MAX_WAITING:
                return False
            _waiting.append(callback)
            return True
    callback()
    return True


def _run_waiting() -> None:
    with _lock:
        callbacks = _waiting[:]
        _waiting.clear()
    for callback in callbacks:
        callback()
