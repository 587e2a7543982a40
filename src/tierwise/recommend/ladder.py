"""Cheaper models that could stand in for one: their price today, and what is known about their abilities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

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


@dataclass(frozen=True, slots=True)
class Tokens:
    """What calls took, in all."""

    calls: int
    fresh_input: float
    cache_read: float
    cache_write: float
    output: float
    """Without reasoning."""
    reasoning: float

    @property
    def mean_input(self) -> int:
        """Per call, which decides the price bracket."""
        return int((self.fresh_input + self.cache_read + self.cache_write) / self.calls) if self.calls else 0


def tokens_of(traffic: Traffic) -> Tokens:
    """The tokens of the calls that reported them."""
    known = np.isfinite(traffic.input_tokens) & np.isfinite(traffic.output_tokens)
    reads, writes = float(traffic.cache_read_tokens[known].sum()), float(traffic.cache_write_tokens[known].sum())
    reasoning = float(traffic.reasoning_tokens[known].sum())
    return Tokens(
        calls=traffic.count(known),
        fresh_input=float(traffic.input_tokens[known].sum()) - reads - writes,
        cache_read=reads,
        cache_write=writes,
        output=float(traffic.output_tokens[known].sum()) - reasoning,
        reasoning=reasoning,
    )


def ladder(tokens: Tokens, provider: str, model: str, *, now: datetime, wanted: Iterable[str] = ()) -> list[Rung]:
    """Models that cost less than `model` for these tokens, cheapest first.

    Args:
        wanted: models to look at beside those that the capability table proposes.
    """
    present = price_of(tokens, provider, model, now=now)
    if not present:
        return []
    rungs: list[Rung] = []
    for name in models_to_try(provider, model, now=now, wanted=wanted):
        price = price_of(tokens, provider, name, now=now)
        if price is not None and price <= _WORTH_IT * present:
            rungs.append(Rung(name, price / present))
    return sorted(rungs, key=lambda rung: rung.price_ratio)


def models_to_try(provider: str, model: str, *, now: datetime, wanted: Iterable[str] = ()) -> list[str]:
    """Models at the same provider that could stand in for `model`, `wanted` ones first, whatever they cost."""
    names = dict.fromkeys((*wanted, *_candidates(provider, model, now.timestamp())))
    return [name for name in names if name != model]


@lru_cache(maxsize=256)
def _candidates(provider: str, model: str, now_s: float) -> tuple[str, ...]:
    return tuple(candidates(provider, model, now_s=now_s))


def proposed(rungs: list[Rung], provider: str, model: str, *, now: datetime) -> Rung | None:
    """The rung to try first: a newer generation of the same model, which is the least of changes; else, of those within
    twice the price of the cheapest, the newest generation."""
    if not rungs:
        return None
    successors = [rung for rung in rungs if is_successor(model, rung.model)]
    if successors:
        return max(successors, key=lambda rung: (_generation(rung.model), -rung.price_ratio))
    newest_first = {name: place for place, name in enumerate(_candidates(provider, model, now.timestamp()))}
    near = [rung for rung in rungs if rung.price_ratio <= _NEAR * rungs[0].price_ratio]
    return min(near, key=lambda rung: (newest_first.get(rung.model, len(newest_first)), rung.price_ratio))


def is_successor(model: str, other: str) -> bool:
    """Whether `other` is a newer generation of `model`: the same name with a higher version."""
    return _family(model) == _family(other) and _generation(other) > _generation(model) != ()


_DATE = re.compile(r"[-@]\d{4}-\d{2}-\d{2}$|[-@]\d{8}(?:-v\d+(?::\d+)?)?$")
_VERSION = re.compile(r"\d{1,2}(?:[.-]\d{1,2}(?!\d))*")


def _family(model: str) -> str:
    """A name without its version and date: `claude-haiku` for `claude-haiku-4-5-20251001`."""
    return _VERSION.sub("", _DATE.sub("", model), count=1).replace("--", "-").strip("-")


def _generation(model: str) -> tuple[int, ...]:
    """The version in a name: (4, 5) for `claude-haiku-4-5-20251001`; empty without one."""
    found = _VERSION.search(_DATE.sub("", model))
    return () if found is None else tuple(int(part) for part in re.split(r"[.-]", found[0]))


def price_of(tokens: Tokens, provider: str, model: str, *, now: datetime) -> float | None:
    """USD for all `tokens` on `model` today, at the mean request size; None for a model without a price."""
    rates = prices.rates(provider, model, input_tokens=tokens.mean_input, at_ns=int(now.timestamp() * 1e9))
    return None if rates is None else _cost(tokens, rates)


def _cost(tokens: Tokens, rates: Rates) -> float:
    fresh, output = float(rates.input), float(rates.output)
    return (
        tokens.fresh_input * fresh
        + tokens.cache_read * (fresh if rates.cache_read is None else float(rates.cache_read))
        + tokens.cache_write * (fresh if rates.cache_write is None else float(rates.cache_write))
        + tokens.output * output
        + tokens.reasoning * (output if rates.reasoning is None else float(rates.reasoning))
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
    largest = float(np.nanmax(traffic.largest_input_tokens, initial=0.0))
    fits = "fits" if largest <= there.max_input_tokens else "does not fit"
    notes.append(f"the largest request seen, {largest:,.0f} tokens, {fits} the {there.max_input_tokens:,} it takes")
    longest = float(np.nanmax(traffic.largest_output_tokens, initial=0.0))
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
    refused = traffic.count(traffic.decision.equal("refused"))
    if refused:
        notes.append(f"{refused:,} calls in the window could not go where a rule would have sent them")
    return tuple(notes)
