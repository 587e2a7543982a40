"""What prompt caching would save where calls of a use case use none: reads less the cost of writing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tierwise import prices
from tierwise.evidence.estimate import ENOUGH, Estimate
from tierwise.price_overrides import Rates
from tierwise.recommend.levers.lever import Lever, View, sql_scope, total_of
from tierwise.recommend.levers.units import UNITS, by_use_case, spend_of

_SHORTEST_PREFIX = 1024
"""Providers cache no shorter prefix."""


def find(view: View) -> list[Lever]:
    """One a use case and model that sends its input uncached, at a provider that sells cache reads cheaper."""
    table = view.rows_of("lever_cache", units=UNITS)
    spend = spend_of(view)
    found: list[Lever] = []
    for (provider, model, use_case_id), rows in by_use_case(table).items():
        lever = _lever(view, provider, model, use_case_id, rows, spend.get((provider, model, use_case_id)))
        found += [] if lever is None else [lever]
    return found


def _lever(
    view: View, provider: str, model: str, use_case_id: str, rows: list[dict[str, Any]], scope: dict[str, Any] | None
) -> Lever | None:
    shortest, seen = rows[0]["shortest_input_tokens"], rows[0]["cached_prefix_tokens"]
    prefix = float(shortest if seen is None else min(seen, shortest))
    rates = prices.rates(provider, model, input_tokens=int(prefix), at_ns=int(view.until.timestamp() * 1e9))
    if rates is None or rates.cache_read is None or prefix < _SHORTEST_PREFIX or scope is None:
        return None
    plain = np.array([row["plain_calls"] for row in rows], dtype=np.float64)
    followed = np.array([row["followed_calls"] for row in rows], dtype=np.float64)
    per_read, per_write = saved_per_token(rates)
    saving = total_of(
        prefix * (followed * per_read - (plain - followed) * per_write), n=int(plain.sum()), seed=view.seed
    )
    if plain.sum() < ENOUGH or (isinstance(saving, Estimate) and saving.value <= 0.0):
        return None
    if isinstance(saving, Estimate) and seen is None:
        saving = replace(
            saving, low=min(0.0, saving.low), method=f"upper bound from the shortest input; {saving.method}"
        )
    hits = float(followed.sum() / plain.sum())
    return Lever(
        kind="cache_prefix",
        provider=provider,
        request_model=model,
        use_case_id=use_case_id,
        use_case_name=scope["use_case_name"],
        target=None,
        calls=int(plain.sum()),
        spend_usd=scope["spend_usd"],
        window_days=view.window_days,
        window_saving=saving,
        at_most=seen is None,
        action="put what all requests share at their beginning, marked for the cache where the provider asks for it",
        findings=(
            f"{int(plain.sum()):,} calls read nothing from a prompt cache and write nothing to one",
            f"{hits:.0%} of them come within five minutes of the one before, so that a cache would be warm",
            f"the shortest input has {shortest:,} tokens"
            if seen is None
            else f"calls of the use case that use the cache read {seen:,.0f} tokens from it",
        ),
        assumptions=(
            f"{prefix:,.0f} tokens are the same in every request"
            + (": no prefix they share can be longer, and it may be shorter" if seen is None else ""),
            "a cache entry lives five minutes from its last use; every call that finds none writes it",
            f"prices of {view.until:%Y-%m-%d}; prompts are not stored, so what they share is not looked at",
        ),
        as_of=view.until,
        sql={
            "calls": (
                "SELECT count(*) FROM traffic() WHERE priced AND input_tokens IS NOT NULL AND cache_read_tokens = 0 "
                f"AND cache_write_tokens = 0 AND {sql_scope(view, provider, model, use_case_id)}"
            ),
            "spend_usd": f"SELECT sum(cost_usd) FROM traffic() WHERE {sql_scope(view, provider, model, use_case_id)}",
        },
    )


def saved_per_token(rates: Rates) -> tuple[float, float]:
    """USD that a token read from the cache saves, and that one written to it costs more."""
    fresh = float(rates.input)
    read = fresh if rates.cache_read is None else float(rates.cache_read)
    write = fresh if rates.cache_write is None else float(rates.cache_write)
    return fresh - read, write - fresh
