"""Savings of moves, with every interval drawn from the same resampled conversations."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.savings.moves import Move, Pricing, adjusted_cost
from tierwise.savings.resample import interval, resample_counts, unit_sums, units_of
from tierwise.savings.traffic import PICO, Flags, Floats, Traffic


class Outcome:
    """The traffic as it was and as it would have been, resampled once for every figure asked of it."""

    def __init__(
        self,
        traffic: Traffic,
        plan: Sequence[Move],
        pricing: Pricing,
        *,
        draws: int,
        level: float,
        rng: np.random.Generator,
    ) -> None:
        self.plan = plan
        self._traffic = traffic
        self._level = level
        self._unit, self._units = units_of(traffic.block, traffic.blocks, rng=rng)
        self._counts = resample_counts(self._units, draws=draws, rng=rng)
        self.cost = adjusted_cost(traffic, pricing)
        """What each call cost at the assumed prices, in USD, shape (n,); NaN where not priced."""
        self.baseline_usd = self._baseline(pricing)
        self._savings = [self._saving_of(move) for move in plan]

    def _baseline(self, pricing: Pricing) -> Decimal:
        exact = self._traffic.total_usd()
        if pricing.as_billed:
            return exact
        return exact + to_usd(float(np.nansum(self.cost - self._traffic.cost)))

    def _saving_of(self, move: Move) -> tuple[float, Floats]:
        """The saving of a move, and what it is in each draw, shape (draws,)."""
        weight = move.probability * move.repriced.known
        columns = np.stack(
            [
                weight * (self.cost[move.rows] - move.repriced.fixed),
                weight * move.repriced.per_input,
                weight * move.repriced.per_output,
            ],
            axis=1,
        )
        sums = unit_sums(columns, self._unit[move.rows], self._units)
        stays, inputs, outputs = sums.sum(axis=0)
        drawn = self._counts @ sums
        ratios = move.ratios
        return (
            float(stays - ratios.input * inputs - ratios.output * outputs),
            drawn[:, 0] - ratios.input_draws * drawn[:, 1] - ratios.output_draws * drawn[:, 2],
        )

    def saving(self, rule: int | None = None, rows: Flags | None = None) -> Estimate | NotEnoughData:
        """USD saved over the window by one rule, by everything when None; exactly 0 where nothing moves.

        Args:
            rows: the calls that the rule decides about, all when None; without any there is no number.
        """
        if not (len(self.cost) if rows is None else rows.any()):
            return NotEnoughData(0, ENOUGH, "calls in scope")
        chosen = self._chosen(rule)
        if not chosen:
            return self._nothing("USD")
        return self._estimate(chosen, "USD")

    def saving_share(self, rule: int | None = None, rows: Flags | None = None) -> Estimate | NotEnoughData:
        """The same as a share of what the calls of `rows` cost, of all calls when None."""
        cost = np.nan_to_num(self.cost if rows is None else np.where(rows, self.cost, 0.0))
        if cost.sum() <= 0.0:
            return NotEnoughData(0, 1, "priced calls with a cost")
        chosen = self._chosen(rule)
        return self._estimate(chosen, "share", per=cost) if chosen else self._nothing("share")

    def saving_per_call(self) -> Estimate | NotEnoughData:
        """USD saved per call that moves."""
        if not self.plan:
            return NotEnoughData(0, ENOUGH, "conversations with priced calls that would move")
        moved = np.zeros(len(self.cost))
        for move in self.plan:
            moved[move.rows[move.repriced.known]] = 1.0
        return self._estimate(range(len(self.plan)), "USD", per=moved)

    def _chosen(self, rule: int | None) -> list[int]:
        return [place for place, move in enumerate(self.plan) if rule is None or move.rule == rule]

    def _nothing(self, unit: str) -> Estimate:
        return Estimate(0.0, 0.0, 0.0, self._level, 0, 0.0, "no call moves", unit)

    def _estimate(self, chosen: Sequence[int], unit: str, per: Floats | None = None) -> Estimate | NotEnoughData:
        """The saving of the `chosen` moves, divided by the sum of `per`, shape (n,), where it is given."""
        rows = np.unique(np.concatenate([self.plan[place].rows[self.plan[place].repriced.known] for place in chosen]))
        blocks = len(np.unique(self._traffic.block[rows]))
        if blocks < ENOUGH:
            return NotEnoughData(blocks, ENOUGH, "conversations with priced calls that would move")
        value = sum(self._savings[place][0] for place in chosen)
        drawn = np.sum([self._savings[place][1] for place in chosen], axis=0)
        if per is not None:
            whole = self._counts @ unit_sums(per[:, None], self._unit, self._units)[:, 0]
            value /= float(per.sum())
            drawn = drawn[whole > 0.0] / whole[whole > 0.0]
        return interval(value, drawn, level=self._level, n=len(rows), units=blocks, unit=unit)

    def exact_saving(self) -> Decimal:
        """The point estimate of everything saved, to 1e-12 USD; 0 when nothing moves."""
        return to_usd(sum((value for value, _ in self._savings), 0.0))


def unpriceable(plan: Sequence[Move], calls: int) -> Flags:
    """Which of the traffic's calls would move but have no price on the other model, shape (calls,)."""
    rows = np.zeros(calls, dtype=bool)
    for move in plan:
        rows[move.rows[~move.repriced.known]] = True
    return rows


def to_usd(amount: float) -> Decimal:
    """A float amount as a Decimal of whole 1e-12 USD."""
    return Decimal(round(amount * PICO)) / PICO
