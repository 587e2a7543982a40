"""What calls would have cost on another model: its prices, with the token counts that model needs for the same work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.savings.rates import PriceOverrides, rate_columns
from tierwise.savings.ratios import TokenRatios
from tierwise.savings.traffic import Flags, Floats, Ints, Labels, Traffic


@dataclass(frozen=True, slots=True)
class Repriced:
    """The cost of calls on another model, still open in its token ratios; every array has shape (n,), in USD.

    cost = input * per_input + output_slope * per_output + output_per_call * per_call + fixed
    """

    per_input: Floats
    per_output: Floats
    per_call: Floats
    """Of one more output token in each call."""
    fixed: Floats
    known: Flags
    """False where the model has no price for the call, or the call no token counts; the amounts are 0 there."""

    def cost(self, ratios: TokenRatios) -> Floats:
        return (
            ratios.input * self.per_input
            + ratios.output_slope * self.per_output
            + ratios.output_per_call * self.per_call
            + self.fixed
        )

    def take(self, rows: Flags | Ints) -> Repriced:
        """Those of `rows`, a mask or indices."""
        return Repriced(
            self.per_input[rows], self.per_output[rows], self.per_call[rows], self.fixed[rows], self.known[rows]
        )


def reprice(
    traffic: Traffic,
    model: str | Labels,
    *,
    input_ratio: float | Floats = 1.0,
    cache_kept: float = 0.0,
    at_ns: int | Ints | None = None,
    overrides: PriceOverrides | None = None,
) -> Repriced:
    """What the calls of `traffic` cost on `model`.

    Args:
        model: one for all calls, or one a call.
        input_ratio: one, or one a call; decides which side of a long-context threshold a call falls on.
        cache_kept: share in [0, 1] of the cache reads beyond `warm_read_tokens` that the model's own cache serves too.
            The others are misses: the tokens are written to its cache, where writing is sold, or billed as fresh input.
        at_ns: date of the prices; None: each call's own start.
        overrides: what-if prices.
    """
    n = len(traffic)
    models = Labels((model,), np.zeros(n, dtype=np.int32)) if isinstance(model, str) else model
    rate = rate_columns(
        traffic.provider,
        models,
        traffic.service_tier,
        input_tokens=traffic.input_tokens / traffic.calls * input_ratio,
        at_ns=traffic.start_ns if at_ns is None else np.broadcast_to(np.asarray(at_ns, dtype=np.int64), (n,)),
        overrides=overrides,
    )
    reads, writes, hour_writes = traffic.cache_read_tokens, traffic.cache_write_tokens, traffic.cache_write_1h_tokens
    fresh = traffic.input_tokens - reads - writes
    warm = np.minimum(traffic.warm_read_tokens, reads)
    kept = warm + cache_kept * (reads - warm)
    searches = np.where(traffic.web_searches > 0, traffic.web_searches * rate.web_search, 0.0)
    per_input = (
        fresh * rate.input
        + kept * rate.cache_read
        + (reads - kept) * rate.cache_miss
        + (writes - hour_writes) * rate.cache_write
        + hour_writes * rate.cache_write_1h
    )
    reasoning = traffic.reasoning_tokens
    per_output = (traffic.output_tokens - reasoning) * rate.output + reasoning * rate.reasoning
    # A part above its whole is no token count: fresh input or text that is below 0 would be money given back.
    sound = (fresh >= 0.0) & (reads >= 0.0) & (writes >= hour_writes) & (traffic.output_tokens >= reasoning)
    sound &= (hour_writes >= 0.0) & (reasoning >= 0.0) & (traffic.web_searches >= 0.0)
    known = sound & np.isfinite(per_input) & np.isfinite(per_output) & np.isfinite(searches)

    def where_known(amount: Floats) -> Floats:
        return np.where(known, amount, 0.0)

    return Repriced(
        where_known(per_input),
        where_known(per_output),
        where_known(traffic.calls * rate.output),
        where_known(searches),
        known,
    )
