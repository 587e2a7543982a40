"""What a certificate would take: further pairs, dollars and days, each with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, cluster_codes, grouped_sums, probability, same_length, scores, weights
from tierwise.evidence.e_process import STAKES, log_capital, log_mixture
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.retention import share_of_largest

MOST_PAIRS = 100_000
"""A forecast of more pairs than this is not a plan."""

_EQUAL_QUALITY = ((1.0, 1.0, 0.88), (1.0, 0.0, 0.02), (0.0, 1.0, 0.02), (0.0, 0.0, 0.08))
"""Weak score, strong score and share of the pairs: what is assumed before there are pairs."""
_IMAGINED = ((1.0, 0.0, 0.5), (0.0, 1.0, 0.5))
"""Half a pair won and half a pair lost: a small sample without disagreement does not promise that none will come."""
_LOOK_GROWTH = 1.08
_MICRO_USD = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in USD between its bounds."""

    value: Decimal
    low: Decimal
    high: Decimal | None
    """None when too many forecasts never end."""

    def to_dict(self) -> dict[str, str | None]:
        """The fields as JSON values; amounts are decimal strings."""
        return {
            "value": str(self.value),
            "low": str(self.low),
            "high": None if self.high is None else str(self.high),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes to certify a cheaper model."""

    pairs: Estimate | NotEnoughData
    """Further pairs: median of the forecasts, with the bounds between which `confidence_level` of them lie. An infinite
    upper bound: more than the rest never end. NotEnoughData, saying why, when less than half of them end."""
    cost_usd: Money | None
    """Of these pairs; None when their price is unknown or they have no number."""
    days: Estimate | NotEnoughData
    """At the current traffic and sampling rate; NotEnoughData when no call is sampled or the pairs have no number."""
    chance: float
    """Share of the forecasts that certify within `MOST_PAIRS` further pairs."""
    basis: str
    """What the forecasts rest on, in words."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "pairs": self.pairs.to_dict(),
            "cost_usd": None if self.cost_usd is None else self.cost_usd.to_dict(),
            "days": self.days.to_dict(),
            "chance": self.chance,
            "basis": self.basis,
        }

    def describe(self) -> str:
        """One line for a person, such as "about 140 more pairs [60, 420], $1.20 [0.51, 3.60], 9.1 days [3.9, 27]"."""
        if isinstance(self.pairs, NotEnoughData):
            return self.pairs.why
        parts = [f"about {_span(self.pairs)} more pairs"]
        if self.cost_usd is not None:
            high = "∞" if self.cost_usd.high is None else f"{self.cost_usd.high:,.2f}"
            parts.append(f"${self.cost_usd.value:,.2f} [{self.cost_usd.low:,.2f}, {high}]")
        parts.append(f"{_span(self.days)} days" if isinstance(self.days, Estimate) else self.days.why)
        return ", ".join(parts)


def plan(
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    *,
    rho: float = 0.95,
    alpha: float = 0.05,
    weight: npt.ArrayLike | None = None,
    max_weight: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    calls_per_day: float,
    sample: float,
    usd_per_pair: Decimal | None,
    seed: int,
    level: float = 0.8,
    draws: int = 400,
) -> Plan:
    """Forecast what certification takes, from the pairs so far and what lies beyond them.

    Each forecast draws the shares of outcomes that the pairs so far leave possible (a Bayesian bootstrap: Rubin, Annals
    of Statistics 9, 1981), then new pairs with these shares until the e-process, which goes on from where it stands,
    reaches 1 / alpha. So the interval covers both what the model's quality may be and the luck of the pairs to come.
    Below 30 units it is the plan at equal quality, from the beginning: strong right on 90%, each alone on 2%.

    Args:
        weak, strong, rho, alpha, weight, max_weight, cluster: as in `certify`.
        calls_per_day: of the traffic that is sampled.
        sample: the share of calls that become scored pairs, 0 to 1.
        usd_per_pair: what one more pair costs; None when unknown.
        level: of the intervals.

    Raises: ValueError as `certify` does, and for a rate that cannot be.
    """
    weak_scores, strong_scores = scores("weak", weak), scores("strong", strong)
    pairs = len(weak_scores)
    same_length(pairs, strong=strong_scores)
    probability("alpha", alpha)
    probability("level", level)
    if not calls_per_day >= 0.0:
        raise ValueError(f"calls_per_day is {calls_per_day}; it is 0 or more")
    if not 0.0 <= sample <= 1.0:
        raise ValueError(f"sample is {sample}; it is a share of the calls, 0 to 1")
    share = share_of_largest(weights(weight, pairs), max_weight)
    code, units = cluster_codes(cluster, pairs)
    size = np.bincount(code, minlength=units)
    gains = grouped_sums(code, share * (weak_scores / rho - strong_scores), units) / size
    rng = np.random.default_rng(seed)
    if units < ENOUGH:
        more = _forecasts(_outcomes(_EQUAL_QUALITY, rho), np.zeros(len(STAKES)), alpha, draws, rng, certain=True)
        more = np.maximum(more, ENOUGH) - units
        pairs_per_unit, basis = 1.0, f"{units} independent pairs so far: what it takes at equal quality"
    else:
        values, counts = np.unique(gains, return_counts=True)
        imagined, half = _outcomes(_IMAGINED, rho)
        capital = log_capital(gains)
        rows = (
            np.concatenate([values, imagined * float(share.mean())]),
            np.concatenate([counts.astype(np.float64), half]),
        )
        more = _forecasts(rows, capital, alpha, draws, rng, certain=False)
        pairs_per_unit, basis = pairs / units, f"the outcomes of {units:,} independent pairs so far"
    return _plan(np.ceil(more * pairs_per_unit), pairs, calls_per_day * sample, usd_per_pair, level, basis)


def _outcomes(rows: tuple[tuple[float, float, float], ...], rho: float) -> tuple[Floats, Floats]:
    weak, strong, share = np.array(rows).T
    return weak / rho - strong, share


def _forecasts(
    rows: tuple[Floats, Floats], start: Floats, alpha: float, draws: int, rng: np.random.Generator, *, certain: bool
) -> Floats:
    """Further units to certification in each forecast, shape (draws,), infinite beyond `MOST_PAIRS`.

    The units between two looks come as counts; looks lie 8% apart, which is little beside the spread of the forecasts.

    Args:
        rows: gains and how often each was seen, shape (outcomes,) each.
        start: log capital of each stake so far, shape (stakes,).
        certain: the counts are shares, not a sample of them.
    """
    gains, counts = rows
    shares = np.tile(counts / counts.sum(), (draws, 1)) if certain else rng.dirichlet(counts, size=draws)
    shares = shares / shares.sum(axis=1, keepdims=True)
    growth = np.log1p(gains[:, None] * STAKES)
    capital = np.tile(start, (draws, 1))
    reached = np.where(log_mixture(capital) >= -math.log(alpha), 0.0, np.inf)
    done = 0
    while done < MOST_PAIRS and np.isinf(reached).any():
        step = max(1, math.ceil(done * (_LOOK_GROWTH - 1.0)))
        running = np.isinf(reached)
        capital[running] += rng.multinomial(step, shares[running]) @ growth
        done += step
        reached[running & (log_mixture(capital) >= -math.log(alpha))] = done
    return reached


def _plan(
    more: Floats, pairs: int, pairs_per_day: float, usd_per_pair: Decimal | None, level: float, basis: str
) -> Plan:
    chance = float(np.isfinite(more).mean())
    value, low, high = np.quantile(more, [0.5, 0.5 - 0.5 * level, 0.5 + 0.5 * level], method="higher")
    if not math.isfinite(value):
        why = f"at the quality seen so far, {chance:.0%} of the forecasts certify within {MOST_PAIRS:,} pairs"
        nothing = NotEnoughData(pairs, pairs + MOST_PAIRS, why)
        return Plan(nothing, None, nothing, chance, basis)
    needed = Estimate(
        value=float(value),
        low=float(low),
        high=float(high),
        confidence_level=level,
        n=pairs,
        effective_n=float(pairs),
        method=f"{len(more):,} forecasts of the e-process, from {basis}",
        unit="pairs",
    )
    cost = None
    if usd_per_pair is not None:
        ends = math.isfinite(high)
        cost = Money(_usd(value, usd_per_pair), _usd(low, usd_per_pair), _usd(high, usd_per_pair) if ends else None)
    days = NotEnoughData(0, 1, "no call is sampled")
    if pairs_per_day > 0.0:
        days = needed.scaled(1.0 / pairs_per_day, "days")
    return Plan(needed, cost, days, chance, basis)


def _usd(count: float, usd_per_pair: Decimal) -> Decimal:
    return (int(count) * usd_per_pair).quantize(_MICRO_USD)


def _span(estimate: Estimate) -> str:
    ends = [f"{end:,.0f}" if end >= 10 else f"{end:.2g}" for end in (estimate.value, estimate.low)]
    high = (
        "∞" if math.isinf(estimate.high) else f"{estimate.high:,.0f}" if estimate.high >= 10 else f"{estimate.high:.2g}"
    )
    return f"{ends[0]} [{ends[1]}, {high}]"
