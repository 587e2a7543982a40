"""What a call costs, by the price list and the user's own prices, discounts and surcharges.

The price list is slow to import, so in the user's app it loads on a background thread
(`warm_up()`, `when_ready()`); the collector and the command line load it at once (`load()`). What a model's calls cost
is resolved once per quarter of an hour and kept, so that pricing a call is a handful of multiplications; a property
test holds the result to genai-prices' own `calc_price`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tierwise import price_list
from tierwise.call import Cost, Usage
from tierwise.price_list import Listing
from tierwise.price_overrides import Rates
from tierwise.tariffs import Tariff, configure, discount, find_tariff, price_version, resolve, tariffs, times

__all__ = [
    "LOADING",
    "configure",
    "cost",
    "load",
    "long_context_from",
    "price",
    "price_version",
    "rates",
    "ready",
    "warm_up",
    "when_ready",
]

LOADING = "price list loading"
"""`tierwise.unpriced.reason` of a call that ended before the price list was there; the collector prices it."""

_MAX_WAITING = 2048
_NOTHING = Decimal(0)


def price(
    provider: str,
    model: str,
    usage: Usage,
    *,
    at_ns: int,
    service_tier: str | None = None,
    batch: bool = False,
    response_model: str | None = None,
    region: str | None = None,
) -> tuple[Cost | None, str | None]:
    """What a call cost in USD, or None and, in words, why that is not known.

    Args:
        provider: `gen_ai.provider.name`.
        model: the model sent; `response_model`, being more exact, is looked up before it.
        usage: input_tokens is the total, cache reads and writes included.
        at_ns: when the call began, ns since the epoch UTC: prices are dated.
        service_tier: as the response names it; `batch` is the same as `batch=True`, and a tier without a price of its
            own gives None, not the standard price.
        region: where the provider says it processed the call, if that may cost more; without a known surcharge, and
            none in the user's file, the cost is None.
    """
    key = (provider, model, response_model, service_tier, batch, region)
    tariff = tariffs.get(key)
    if tariff is None or not tariff.from_ns <= at_ns < tariff.until_ns:
        tariff = find_tariff(key, at_ns)
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if usage.units:
        return _price_units(tariff, usage)
    if input_tokens is None and output_tokens is None:
        return None, "no usage reported"
    if tariff.reason is not None:
        return None, tariff.reason
    if not tariff.is_only_rates:
        return _price_by_list(tariff, usage, (), _NOTHING)
    if input_tokens is None:
        input_tokens = 0
    if output_tokens is None:
        output_tokens = 0
    rates = tariff.rates if input_tokens <= tariff.first_step else tariff.rates_past(input_tokens)
    read, written, reasoning = usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    fresh = input_tokens
    read_usd = written_usd = other_usd = _NOTHING
    if read or written or usage.cache_write_1h_tokens:
        fresh -= read + written
        if fresh < 0:
            return None, (
                f"inconsistent usage: cache reads ({read}) and writes ({written}) exceed input tokens ({input_tokens})"
            )
        one_hour = usage.cache_write_1h_tokens
        if one_hour > written:
            return None, "inconsistent usage: a part exceeds its total"
        read_usd = rates.cache_read * read
        written_usd = rates.cache_write * (written - one_hour) + rates.cache_write_1h * one_hour
    output_usd = rates.output * (output_tokens - reasoning)
    if reasoning:
        if reasoning > output_tokens:
            return None, "inconsistent usage: a part exceeds its total"
        output_usd += rates.reasoning * reasoning
    if usage.web_searches:
        if rates.web_search is None:
            return None, "no price for web searches"
        other_usd = rates.web_search * usage.web_searches
    return Cost(rates.input * fresh, output_usd, read_usd, written_usd, other_usd, price_version()), None


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
    """What a call cost in USD, or None when that is not known: `price` without its reason."""
    return price(
        provider,
        model,
        usage,
        at_ns=at_ns,
        service_tier=service_tier,
        batch=batch,
        response_model=response_model,
    )[0]


def rates(
    provider: str, model: str, *, input_tokens: int, at_ns: int, service_tier: str | None = None, batch: bool = False
) -> Rates | None:
    """USD per token of each class for a request of this size, discounts included; None for an unknown model.

    `input_tokens` matters: past a model's long-context threshold the whole request is priced at the higher rates.
    """
    found = resolve(provider, model, service_tier, batch, at_ns)
    if isinstance(found, str):
        return None
    listed = found if isinstance(found, Rates) else _step(found.steps, input_tokens)
    factor = discount(provider, model)
    return listed if factor == 1 else times(listed, factor)


def _step(steps: tuple[tuple[int, Rates], ...], input_tokens: int) -> Rates:
    """The rates of a request of this size: a step applies past its threshold, to every token of the request."""
    found = steps[0][1]
    for start, step in steps:
        if input_tokens > start:
            found = step
    return found


def long_context_from(
    provider: str, model: str, *, at_ns: int, service_tier: str | None = None, batch: bool = False
) -> int | None:
    """The input tokens past which a request to this model costs other rates; None when its size does not matter."""
    found = resolve(provider, model, service_tier, batch, at_ns)
    return found.steps[1][0] if isinstance(found, Listing) and len(found.steps) > 1 else None


# --- usage that is more than tokens of text ---------------------------------------------------------------------------


def _price_units(tariff: Tariff, usage: Usage) -> tuple[Cost | None, str | None]:
    """The price of audio, images, characters and other units, by the user's own prices first, then by the list."""
    own_usd = _NOTHING
    left: list[tuple[str, int | float]] = []
    for unit, amount in usage.units:
        each = tariff.own_unit_price(unit)
        if each is None:
            left.append((unit, amount))
        else:
            own_usd += each * Decimal(str(amount)) * tariff.factor
    listed = tuple(left)
    if not listed and not usage.input_tokens and not usage.output_tokens:
        return Cost(_NOTHING, _NOTHING, other_usd=own_usd, price_version=price_version()), None
    return _price_by_list(tariff, usage, listed, own_usd)


def _price_by_list(
    tariff: Tariff, usage: Usage, units: tuple[tuple[str, int | float], ...], own_usd: Decimal
) -> tuple[Cost | None, str | None]:
    if tariff.listing is None:
        if tariff.reason is None:
            # A model with the user's own price for all its tokens.
            units = tuple((unit, amount) for unit, amount in units if not unit.endswith("_tokens"))
        if tariff.reason is not None or units:
            return None, tariff.reason or f"no price for {units[0][0]} of {tariff.key[0]}/{tariff.key[1]}"
        provider, model, response_model, service_tier, batch, region = tariff.key
        plain, reason = price(
            provider,
            model,
            replace(usage, units=()),
            at_ns=tariff.from_ns,
            service_tier=service_tier,
            batch=batch,
            response_model=response_model,
            region=region,
        )
        return (None, reason) if plain is None else (replace(plain, other_usd=plain.other_usd + own_usd), None)
    if tariff.reason is not None and (usage.input_tokens or usage.output_tokens):
        return None, tariff.reason
    listed = price_list.calculate(tariff.listing, usage, units)
    if isinstance(listed, str):
        return None, listed
    factor, token_factor = tariff.factor, tariff.token_factor
    rates = tariff.rates_past(usage.input_tokens) if usage.input_tokens else tariff.rates
    read_usd = rates.cache_read * usage.cache_read_tokens
    one_hour = usage.cache_write_1h_tokens
    written_usd = rates.cache_write * (usage.cache_write_tokens - one_hour) + rates.cache_write_1h * one_hour
    return Cost(
        input_usd=listed.input_usd * token_factor - read_usd - written_usd,
        output_usd=listed.output_usd * token_factor,
        cache_read_usd=read_usd,
        cache_write_usd=written_usd,
        other_usd=(listed.total_usd - listed.input_usd - listed.output_usd) * factor + own_usd,
        price_version=price_version(),
    ), None


# --- loading ----------------------------------------------------------------------------------------------------------

_loaded = threading.Event()
_lock = threading.Lock()
_waiting: list[Callable[[], None]] = []
_thread: threading.Thread | None = None
_cannot_load = False
"""Set in a child that was forked in the middle of the import: its locks are held by a thread that stayed behind."""

WAIT_BEFORE_FORK_S = 1.0


def _end_before_fork() -> None:
    """Let an import that is under way end: it takes a fraction of a second, once, after the first call of a process."""
    if _is_loading():
        _loaded.wait(WAIT_BEFORE_FORK_S)


def _is_loading() -> bool:
    thread = _thread
    return not _loaded.is_set() and thread is not None and thread.is_alive()


def _begin_in_child() -> None:
    """In a forked child: the lock may be held by a thread, and callbacks wait for one, that stayed with the parent."""
    global _lock, _thread, _cannot_load
    _cannot_load = _thread is not None and not _loaded.is_set()
    _lock = threading.Lock()
    _thread = None
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_end_before_fork, after_in_child=_begin_in_child)


def load() -> None:
    """Load the price list now, in this thread."""
    price_list.load()
    _loaded.set()
    _run_waiting()


def ready() -> bool:
    """Whether the price list is loaded, so that `cost` will not wait for it."""
    return _loaded.is_set()


def warm_up() -> None:
    """Start loading the price list on a daemon thread, unless it is loaded or loading."""
    global _thread
    with _lock:
        if _cannot_load or _loaded.is_set() or _is_loading():
            return
        _thread = threading.Thread(target=load, name="tierwise-prices", daemon=True)
        _thread.start()


def when_ready(callback: Callable[[], None]) -> bool:
    """Run `callback` once the price list is loaded: at once if it is, else on the loading thread.

    Returns: False when too many wait already, or nothing will be loaded, and the callback will not run.
    """
    with _lock:
        if not _loaded.is_set():
            if _cannot_load or len(_waiting) >= _MAX_WAITING:
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
