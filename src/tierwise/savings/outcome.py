"""Savings of moves, with every interval drawn from the same resampled conversations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.savings.moves import Move, Pricing, adjusted_cost
from tierwise.savings.resample import interval, resample_counts, unit_sums, units_of
from tierwise.savings.traffic import PICO, Flags, Floats, Indices, Traffic


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
        self._rng = rng
        self._traffic = traffic
        self._level = level
        self._unit, self._units = units_of(traffic.block, traffic.blocks, rng=rng)
        self._counts = resample_counts(self._units, draws=draws, rng=rng)
        self.cost = adjusted_cost(traffic, pricing)
        """What each call cost at the assumed prices, in USD, shape (n,); NaN where not priced."""
        self.baseline_usd = self._baseline(pricing)
        self._savings, self._drawn = self._saved()
        self._by_rule: dict[int, list[int]] = {}
        for place, move in enumerate(plan):
            self._by_rule.setdefault(move.rule, []).append(place)

    def _baseline(self, pricing: Pricing) -> Decimal:
        exact = self._traffic.total_usd()
        if pricing.as_billed:
            return exact
        return exact + to_usd(float(np.nansum(self.cost - self._traffic.cost)))

    def _saved(self) -> tuple[Floats, Floats]:
        """What each move saves, shape (moves,), and what it does in each draw, shape (moves, draws)."""
        moves, draws = len(self.plan), len(self._counts)
        if not moves:
            return np.zeros(0), np.zeros((0, draws))
        rows = np.concatenate([move.rows for move in self.plan])
        cell = np.repeat(np.arange(moves), [len(move.rows) for move in self.plan]) * self._units + self._unit[rows]
        weight = np.concatenate([move.probability * move.repriced.known for move in self.plan])

        def parts(name: str) -> Floats:
            return np.concatenate([getattr(move.repriced, name) for move in self.plan])

        def ratios(name: str) -> Floats:
            return np.stack([getattr(move.ratios, name) for move in self.plan])

        stays = weight * (self.cost[rows] - parts("fixed"))
        beside = [(0.0, np.zeros(draws)) if (it := move.beside) is None else (it.value, it.draws) for move in self.plan]
        saved, drawn = np.zeros(moves), np.zeros((moves, draws))
        for amount, ratio, ratio_draws in (
            (stays, -1.0, -1.0),
            (weight * parts("per_input"), ratios("input"), ratios("input_draws")),
            (weight * parts("per_output"), ratios("output_slope"), ratios("slope_draws")),
            (weight * parts("per_call"), ratios("output_per_call"), ratios("per_call_draws")),
            (
                weight * np.nan_to_num(self.cost[rows]),
                np.array([value for value, _ in beside]),
                np.stack([drawn for _, drawn in beside]),
            ),
        ):
            sums = np.bincount(cell, amount, minlength=moves * self._units).reshape(moves, self._units)
            saved -= ratio * sums.sum(axis=1)
            drawn -= ratio_draws * (sums @ self._counts.T)
        spread = np.array([self._draw_spread(move) for move in self.plan])
        if spread.any():
            drawn += spread[:, None] * self._rng.standard_normal((moves, draws))
        return saved, drawn

    def _draw_spread(self, move: Move) -> float:
        """Standard deviation of what a move saves over who is drawn into its share, in USD; 0 when all go or none.

        Conversations are drawn, each whole. A row of several calls is taken for as many conversations, which is what is
        known of it.
        """
        again, ratios = move.repriced, move.ratios
        there = again.fixed + again.per_input * ratios.input + again.per_output * ratios.output_slope
        there = there + again.per_call * ratios.output_per_call
        here = np.nan_to_num(self.cost[move.rows]) * (1.0 - (0.0 if move.beside is None else move.beside.value))
        saved = np.where(again.known, here - np.nan_to_num(there), 0.0)
        calls, chance = self._traffic.calls[move.rows], move.probability * (1.0 - move.probability)
        if (calls > 1.0).any():
            return math.sqrt(float((chance * saved**2 / calls).sum()))
        _, conversation = np.unique(self._traffic.block[move.rows], return_inverse=True)
        # Within a conversation all calls of a move have one probability, but for those whose arm is known.
        whole = np.bincount(conversation, np.sqrt(chance) * saved)
        return math.sqrt(float(whole @ whole))

    def saving(self, rule: int | None = None, rows: Indices | None = None) -> Estimate | NotEnoughData:
        """USD saved over the window by one rule, by everything when None; exactly 0 where nothing moves.

        Args:
            rows: the calls that the rule decides about, all when None; without any there is no number.
        """
        if not len(self.cost if rows is None else rows):
            return NotEnoughData(0, ENOUGH, "calls in scope")
        chosen = self._chosen(rule)
        if not chosen:
            return self._nothing("USD")
        return self._estimate(chosen, "USD")

    def saving_share(self, rule: int | None = None, rows: Indices | None = None) -> Estimate | NotEnoughData:
        """The same as a share of what the calls of `rows` cost, of all calls when None."""
        rows = np.arange(len(self.cost)) if rows is None else rows
        cost = np.nan_to_num(self.cost[rows])
        if cost.sum() <= 0.0:
            return NotEnoughData(0, 1, "priced calls with a cost")
        chosen = self._chosen(rule)
        return self._estimate(chosen, "share", per=(rows, cost)) if chosen else self._nothing("share")

    def saving_per_call(self, rule: int | None = None, from_model: str | None = None) -> Estimate | NotEnoughData:
        """USD saved per call that moves, from `from_model` alone where that is given."""
        chosen = [place for place in self._chosen(rule) if from_model in (None, self.plan[place].from_model)]
        if not chosen:
            return NotEnoughData(0, ENOUGH, "conversations with priced calls that would move")
        rows = self._moved(chosen)
        return self._estimate(chosen, "USD", per=(rows, self._traffic.calls[rows]))

    def of_rule(self, rule: int) -> list[int]:
        """Which moves of the plan a rule makes."""
        return self._by_rule.get(rule, [])

    def _chosen(self, rule: int | None) -> list[int]:
        return list(range(len(self.plan))) if rule is None else self.of_rule(rule)

    def _moved(self, chosen: Sequence[int]) -> Indices:
        """The calls of the `chosen` moves that have a price where they go."""
        return np.unique(np.concatenate([self.plan[place].rows[self.plan[place].repriced.known] for place in chosen]))

    def _nothing(self, unit: str) -> Estimate:
        return Estimate(0.0, 0.0, 0.0, self._level, 0, 0.0, "no call moves", unit)

    def _estimate(
        self, chosen: Sequence[int], unit: str, per: tuple[Indices, Floats] | None = None
    ) -> Estimate | NotEnoughData:
        """The saving of the `chosen` moves, divided by the sum of an amount `per` row where it is given."""
        rows = self._moved(chosen)
        blocks = len(np.unique(self._traffic.block[rows]))
        if blocks < ENOUGH:
            return NotEnoughData(blocks, ENOUGH, "conversations with priced calls that would move")
        value = float(self._savings[chosen].sum())
        drawn = self._drawn[chosen].sum(axis=0)
        if per is not None:
            at, amount = per
            whole = self._counts @ unit_sums(amount[:, None], self._unit[at], self._units)[:, 0]
            value /= float(amount.sum())
            drawn = drawn[whole > 0.0] / whole[whole > 0.0]
        return interval(value, drawn, level=self._level, n=self._traffic.count(rows), units=blocks, unit=unit)

    def exact_saving(self) -> Decimal:
        """The point estimate of everything saved, to 1e-12 USD; 0 when nothing moves."""
        return to_usd(float(self._savings.sum()))


def unpriceable(plan: Sequence[Move], calls: int) -> Flags:
    """Which of the traffic's calls would move but have no price on the other model, shape (calls,)."""
    rows = np.zeros(calls, dtype=bool)
    for move in plan:
        rows[move.rows[~move.repriced.known]] = True
    return rows


def to_usd(amount: float) -> Decimal:
    """A float amount as a Decimal of whole 1e-12 USD."""
    return Decimal(round(amount * PICO)) / PICO
