"""Prices for many calls at once: one look-up per model, quarter of an hour and size bracket instead of one per call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tierwise import prices
from tierwise.price_overrides import Rates
from tierwise.savings.traffic import Floats, Ints, Labels, row_groups

PriceOverrides = Mapping[tuple[str, str], Rates]
"""(provider, model) → what-if prices that beat the price list."""

_QUARTER_HOUR_NS = 15 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class RateColumns:
    """USD per token of each class (per search for `web_search`), shape (n,) each; NaN in a row without a price."""

    input: Floats
    output: Floats
    cache_read: Floats
    cache_write: Floats
    cache_write_1h: Floats
    reasoning: Floats
    web_search: Floats
    """NaN also where the model sells no searches."""
    cache_miss: Floats
    """What a token costs that was read from the cache elsewhere: the price of writing it where that is sold, else that
    of fresh input."""


def rate_columns(
    provider: Labels,
    model: Labels,
    service_tier: Labels,
    *,
    input_tokens: Floats,
    at_ns: Ints,
    overrides: PriceOverrides | None = None,
) -> RateColumns:
    """The rates of each request, shape (n,) each.

    Args:
        input_tokens: shape (n,); past a model's long-context threshold the whole request is priced higher. NaN: 0.
        at_ns: shape (n,); prices are dated.
        overrides: what-if prices.
    """
    n = len(input_tokens)
    columns = np.full((n, 8), np.nan)
    size = np.nan_to_num(input_tokens).astype(np.int64)
    # Prices change on quarter-hour boundaries at the finest, as tierwise.prices holds them.
    quarter = at_ns // _QUARTER_HOUR_NS
    keys = np.stack([provider.codes, model.codes, service_tier.codes, quarter], axis=1).astype(np.int64)
    for rows in row_groups(keys):
        first = rows[0]
        provider_name, model_name, tier = provider[first], model[first], service_tier[first]
        if not provider_name or not model_name:
            continue
        if overrides is not None and (own := overrides.get((provider_name, model_name))) is not None:
            columns[rows] = _as_floats(own)
            continue
        batch = tier == "batch"

        def look_up(
            tokens: int,
            provider_name: str = provider_name,
            model_name: str = model_name,
            at: int = int(at_ns[first]),
            tier: str | None = None if batch else tier,
            batch: bool = batch,
        ) -> Rates | None:
            return prices.rates(
                provider_name, model_name, input_tokens=tokens, at_ns=at, service_tier=tier, batch=batch
            )

        by_size = rows[np.argsort(size[rows], kind="stable")]
        for bracket, rates in _brackets(size[by_size], look_up):
            if rates is not None:
                columns[by_size[bracket]] = _as_floats(rates)
    return RateColumns(*columns.T)


def _brackets(sizes: npt.NDArray[np.int64], look_up: Callable[[int], Rates | None]) -> list[tuple[slice, Rates | None]]:
    """Ascending `sizes` cut where the rates change: equal rates at both ends of a run mean the same rates within it."""
    found: list[tuple[slice, Rates | None]] = []
    pending = [(0, len(sizes))]
    while pending:
        start, stop = pending.pop()
        low, high = look_up(int(sizes[start])), look_up(int(sizes[stop - 1]))
        if low == high:
            found.append((slice(start, stop), low))
        else:
            middle = int(np.searchsorted(sizes, (int(sizes[start]) + int(sizes[stop - 1])) // 2, side="right"))
            pending += [(start, middle), (middle, stop)]
    return found


def _as_floats(rates: Rates) -> tuple[float, ...]:
    fresh, output = float(rates.input), float(rates.output)
    write = fresh if rates.cache_write is None else float(rates.cache_write)
    return (
        fresh,
        output,
        fresh if rates.cache_read is None else float(rates.cache_read),
        write,
        write if rates.cache_write_1h is None else float(rates.cache_write_1h),
        output if rates.reasoning is None else float(rates.reasoning),
        np.nan if rates.web_search is None else float(rates.web_search),
        write,
    )
