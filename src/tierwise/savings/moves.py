"""The calls that a policy sends elsewhere than they went, and what they cost there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tierwise.savings.assignment import Assignment
from tierwise.savings.follow_up import StrongShare
from tierwise.savings.pairs import Pairs
from tierwise.savings.rates import PriceOverrides
from tierwise.savings.ratios import TokenRatios, token_ratios
from tierwise.savings.reprice import Repriced, reprice
from tierwise.savings.traffic import Floats, Indices, Traffic, one_vocabulary, row_groups


@dataclass(frozen=True, slots=True)
class Pricing:
    """Which prices and which cache a simulation assumes."""

    at_ns: int | None = None
    """Date of the prices; None: each call's own start, which keeps what was billed."""
    overrides: PriceOverrides | None = None
    """What-if prices."""
    cache_kept: float = 0.0
    """Share in [0, 1] of cache reads that the other model's own cache serves too, beyond those of what the call before
    in the conversation had sent."""

    @property
    def as_billed(self) -> bool:
        """Whether calls that stay where they are keep their billed cost."""
        return self.at_ns is None and not self.overrides


@dataclass(frozen=True, slots=True)
class Move:
    """Calls that would go from one model to another, and their cost there."""

    rows: Indices
    """Which calls of the traffic."""
    probability: Floats
    """Of going there, in (0, 1], shape of rows."""
    rule: int
    """Place among `Policy.rules`; -1 for calls that no rule takes and that go back to the model asked for."""
    from_model: str
    to_model: str
    ratios: TokenRatios
    repriced: Repriced
    """Shape of rows."""
    beside: StrongShare | None = None
    """Of what the calls cost where they were, paid beside; None where only the other model is asked."""

    def expected_calls(self, traffic: Traffic) -> float:
        """How many calls go, in expectation."""
        return float(self.probability @ traffic.calls[self.rows])


def adjusted_cost(traffic: Traffic, pricing: Pricing) -> Floats:
    """What each call costs on the model it went to at the prices of `pricing`, in USD, shape (n,); NaN unpriced.

    What was billed stays the anchor: only the difference between the two price lists is added, so that a discount or a
    provider's own figure is kept.
    """
    billed = traffic.cost
    if pricing.as_billed:
        return billed
    then = reprice(traffic, traffic.request_model, cache_kept=1.0)
    now = reprice(traffic, traffic.request_model, cache_kept=1.0, at_ns=pricing.at_ns, overrides=pricing.overrides)
    change = (now.per_input - then.per_input) + (now.per_output - then.per_output) + (now.fixed - then.fixed)
    return billed + np.where(then.known & now.known, change, 0.0)


def moves(
    traffic: Traffic,
    assignment: Assignment,
    shadows: Pairs,
    *,
    pricing: Pricing,
    draws: int,
    rng: np.random.Generator,
    beside: Mapping[int, StrongShare] | None = None,
) -> list[Move]:
    """Every move that `assignment` means, priced; calls without a cost or that are settled stay where they are.

    Token ratios are those of the call's use case, from all pairs between the same models: see `ratios`.

    Args:
        beside: rule → how much of the requested model's cost it pays beside its first model's.
    """
    names, (sent, asked, target) = one_vocabulary(traffic.request_model, traffic.requested_model, assignment.target)
    nowhere = names.index(None) if None in names else -1
    movable = traffic.priced & ~assignment.settled
    to_target = movable & (target != nowhere) & (target != sent) & (assignment.probability > 0.0)
    to_asked = movable & (asked != sent) & (assignment.probability < 1.0)

    found: list[Move] = []
    for rows, destination, probability in (
        (to_target.nonzero()[0], target, assignment.probability),
        (to_asked.nonzero()[0], asked, 1.0 - assignment.probability),
    ):
        lanes = np.stack([traffic.provider.codes[rows], sent[rows], destination[rows]], axis=1).astype(np.int64)
        for at in row_groups(lanes):
            lane = rows[at]
            from_model, to_model = names[sent[lane[0]]], names[destination[lane[0]]]
            if from_model is not None and to_model is not None:
                found += _of_lane(
                    traffic, lane, assignment, probability, shadows, from_model, to_model, pricing, draws, rng
                )
    for place, move in enumerate(found):
        asks_first = move.to_model != names[asked[move.rows[0]]]
        if beside is not None and asks_first and move.rule in beside:
            found[place] = replace(move, beside=beside[move.rule])
    return sorted(found, key=lambda move: (move.rule, int(move.rows[0])))


def _of_lane(
    traffic: Traffic,
    lane: Indices,
    assignment: Assignment,
    probability: Floats,
    shadows: Pairs,
    from_model: str,
    to_model: str,
    pricing: Pricing,
    draws: int,
    rng: np.random.Generator,
) -> Iterator[Move]:
    """The calls that go from one model to another, a move for each rule and use case."""
    use_case = traffic.use_case_id.take(lane)
    ratios = token_ratios(
        shadows,
        provider=traffic.provider[lane[0]] or "",
        from_model=from_model,
        to_model=to_model,
        use_cases=_mean_output(traffic.take(lane)),
        draws=draws,
        rng=rng,
    )
    input_ratio = np.ones(len(use_case.values))
    for code, name in enumerate(use_case.values):
        if name in ratios:
            input_ratio[code] = ratios[name].input
    repriced = reprice(
        traffic.take(lane),
        to_model,
        input_ratio=input_ratio[use_case.codes],
        cache_kept=pricing.cache_kept,
        at_ns=pricing.at_ns,
        overrides=pricing.overrides,
    )
    for at in row_groups(np.stack([assignment.rule[lane], use_case.codes], axis=1).astype(np.int64)):
        rows = lane[at]
        yield Move(
            rows=rows,
            probability=probability[rows],
            rule=int(assignment.rule[rows[0]]),
            from_model=from_model,
            to_model=to_model,
            ratios=ratios[use_case[at[0]]],
            repriced=repriced.take(at),
        )


def _mean_output(traffic: Traffic) -> dict[str | None, float]:
    """The mean number of output tokens of a call of each use case; 0 where none was reported."""
    codes, known = traffic.use_case_id.codes, np.isfinite(traffic.output_tokens)
    tokens = np.bincount(codes[known], traffic.output_tokens[known], minlength=len(traffic.use_case_id.values))
    calls = np.bincount(codes[known], traffic.calls[known], minlength=len(traffic.use_case_id.values))
    return {
        traffic.use_case_id.values[code]: float(tokens[code] / calls[code]) if calls[code] else 0.0
        for code in np.unique(codes)
    }
