"""Cheaper models that could stand in for one: their price today, and what is known about their abilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tierwise import prices
from tierwise.price_overrides import Rates
from tierwise.routing.capabilities import candidates, lookup
from tierwise.savings.traffic import Traffic

_WORTH_IT = 0.95
"""A model that costs more than this share of the present one is not a saving that anybody would review."""
_NEAR = 2.0

_ABILITIES = {
    "tools": "call tools",
    "parallel_tools": "call tools in parallel",
    "forced_tools": "let itself be made to call a tool",
    "structured_output": "do structured output",
    "images": "read images",
    "pdf": "read files",
    "audio_input": "read audio",
    "audio_output": "write audio",
    "web_search": "search the web",
    "prefill": "continue an answer that the request begins",
    "sampling": "take sampling parameters such as temperature",
    "mid_system": "take system messages inside a conversation",
}


@dataclass(frozen=True, slots=True)
class Rung:
    """A model that costs less for the calls in question."""

    model: str
    price_ratio: float
    """Its price over the present model's, for the tokens these calls took, at today's prices."""


def ladder(traffic: Traffic, provider: str, model: str, *, now: datetime, wanted: Iterable[str] = ()) -> list[Rung]:
    """Models that cost less than `model` for the calls of `traffic`, cheapest first.

    Args:
        wanted: models to look at beside those that the capability table proposes.
    """
    now_s = now.timestamp()
    present = price_of(traffic, provider, model, now=now)
    if not present:
        return []
    rungs: list[Rung] = []
    for name in dict.fromkeys((*wanted, *candidates(provider, model, now_s=now_s))):
        price = None if name == model else price_of(traffic, provider, name, now=now)
        if price is not None and price <= _WORTH_IT * present:
            rungs.append(Rung(name, price / present))
    return sorted(rungs, key=lambda rung: rung.price_ratio)


def proposed(rungs: list[Rung], provider: str, model: str, *, now: datetime) -> Rung | None:
    """The rung to try first: of those within twice the price of the cheapest, the newest generation."""
    if not rungs:
        return None
    newest_first = {name: place for place, name in enumerate(candidates(provider, model, now_s=now.timestamp()))}
    near = [rung for rung in rungs if rung.price_ratio <= _NEAR * rungs[0].price_ratio]
    return min(near, key=lambda rung: (newest_first.get(rung.model, len(newest_first)), rung.price_ratio))


def price_of(traffic: Traffic, provider: str, model: str, *, now: datetime) -> float | None:
    """USD for all tokens of `traffic` on `model` today, at the mean request size; None for a model without a price."""
    input_tokens = traffic.input_tokens[np.isfinite(traffic.input_tokens)]
    size = int(input_tokens.mean()) if len(input_tokens) else 0
    rates = prices.rates(provider, model, input_tokens=size, at_ns=int(now.timestamp() * 1e9))
    return None if rates is None else _cost(traffic, rates)


def _cost(traffic: Traffic, rates: Rates) -> float:
    def rate(value: object, otherwise: object) -> float:
        return float(str(otherwise if value is None else value))

    reads, writes = float(traffic.cache_read_tokens.sum()), float(traffic.cache_write_tokens.sum())
    fresh = float(np.nansum(traffic.input_tokens)) - reads - writes
    reasoning = float(traffic.reasoning_tokens.sum())
    output = float(np.nansum(traffic.output_tokens)) - reasoning
    return (
        fresh * float(rates.input)
        + reads * rate(rates.cache_read, rates.input)
        + writes * rate(rates.cache_write, rates.input)
        + output * float(rates.output)
        + reasoning * rate(rates.reasoning, rates.output)
    )


def compatibility(traffic: Traffic, provider: str, model: str, target: str, *, now: datetime) -> tuple[str, ...]:
    """What to know about `target` before calls to `model` go there, in words.

    Each request is checked again, in full, when it is made: one that the target cannot serve stays where it is.
    """
    there, here = lookup(provider, target), lookup(provider, model)
    if there is None:
        return (
            f"{target} is not in the capability table: it takes no calls unless the rule says allow_unknown_target",
        )
    notes: list[str] = []
    largest = float(np.nanmax(traffic.input_tokens, initial=0.0))
    fits = "fits" if largest <= there.max_input_tokens else "does not fit"
    notes.append(f"the largest request seen, {largest:,.0f} tokens, {fits} the {there.max_input_tokens:,} it takes")
    longest = float(np.nanmax(traffic.output_tokens, initial=0.0))
    if longest > there.max_output_tokens:
        notes.append(
            f"it writes at most {there.max_output_tokens:,} tokens; the longest answer seen has {longest:,.0f}"
        )
    if here is not None:
        notes += [
            f"unlike {model} it does not {words}"
            for feature, words in _ABILITIES.items()
            if feature in here.features and feature not in there.features
        ]
    if "reasoning" in there.features and (here is None or "reasoning" not in here.features):
        notes.append("it reasons before it answers: requests with a small output limit stay where they are")
    if there.retires_at_s is not None:
        days = (there.retires_at_s - now.timestamp()) / 86_400
        notes.append(f"it is retired in {days:,.0f} days" if days > 0 else "it is no longer served")
    refused = int(traffic.decision.equal("refused").sum())
    if refused:
        notes.append(f"{refused:,} calls in the window could not go where a rule would have sent them")
    return tuple(notes)
