"""The calls that a policy sends elsewhere than they went, and what they cost there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tierwise.routing.policy import Policy
from tierwise.savings.assignment import Assignment, match, scope_of
from tierwise.savings.pairs import Pairs
from tierwise.savings.rates import PriceOverrides
from tierwise.savings.reprice import MIN_PAIRS, Repriced, TokenRatios, reprice, token_ratios
from tierwise.savings.traffic import Flags, Floats, Indices, Traffic, one_vocabulary, row_groups


@dataclass(frozen=True, slots=True)
class Pricing:
    """Which prices and which cache a simulation assumes."""

    at_ns: int | None = None
    """Date of the prices; None: each call's own start, which keeps what was billed."""
    overrides: PriceOverrides | None = None
    """What-if prices."""
    cache_kept: float = 0.0
    """Share in [0, 1] of cache reads that the other model's own cache serves too."""

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
    policy: Policy,
    traffic: Traffic,
    assignment: Assignment,
    shadows: Pairs,
    *,
    pricing: Pricing,
    draws: int,
    rng: np.random.Generator,
) -> list[Move]:
    """Every move that `assignment` means, priced; calls without a cost or that are settled stay where they are.

    Token ratios are those of the call's use case where it has enough pairs, else of all pairs under the same rule and
    between the same models, else a prior.
    """
    names, (sent, asked, target) = one_vocabulary(traffic.request_model, traffic.requested_model, assignment.target)
    nowhere = names.index(None) if None in names else -1
    movable = traffic.priced & ~assignment.settled
    to_target = movable & (target != nowhere) & (target != sent) & (assignment.probability > 0.0)
    to_asked = movable & (asked != sent) & (assignment.probability < 1.0)
    pair_rule = match(policy, scope_of(shadows)).rule

    found: list[Move] = []
    for rows, destination, probability in (
        (to_target.nonzero()[0], target, assignment.probability),
        (to_asked.nonzero()[0], asked, 1.0 - assignment.probability),
    ):
        lanes = np.stack(
            [assignment.rule[rows], traffic.provider.codes[rows], sent[rows], destination[rows]], axis=1
        ).astype(np.int64)
        for at in row_groups(lanes):
            lane = rows[at]
            rule, from_model, to_model = int(lanes[at[0], 0]), names[sent[lane[0]]], names[destination[lane[0]]]
            if from_model is None or to_model is None:
                continue
            of_rule = np.ones(len(shadows), dtype=bool) if rule < 0 else pair_rule == rule
            for group, ratios in _with_ratios(
                traffic, lane, shadows, of_rule, from_model, to_model, draws=draws, rng=rng
            ):
                repriced = reprice(
                    traffic.take(group),
                    to_model,
                    input_ratio=ratios.input,
                    cache_kept=pricing.cache_kept,
                    at_ns=pricing.at_ns,
                    overrides=pricing.overrides,
                )
                found.append(Move(group, probability[group], rule, from_model, to_model, ratios, repriced))
    return found


def _with_ratios(
    traffic: Traffic,
    lane: Indices,
    shadows: Pairs,
    of_rule: Flags,
    from_model: str,
    to_model: str,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Indices, TokenRatios]]:
    """The calls of a lane in groups that share their token ratios."""
    provider = traffic.provider[lane[0]] or ""
    forward = shadows.take(of_rule & shadows.between(from_model, to_model)).with_tokens()
    back = shadows.take(of_rule & shadows.between(to_model, from_model)).with_tokens()
    going_back = len(forward) < MIN_PAIRS <= len(back)
    pairs = back if going_back else forward
    strong, weak = (to_model, from_model) if going_back else (from_model, to_model)

    def ratios(some: Pairs) -> TokenRatios:
        measured = token_ratios(some, provider=provider, strong_model=strong, weak_model=weak, draws=draws, rng=rng)
        return measured.inverse() if going_back else measured

    rest = np.ones(len(lane), dtype=bool)
    if len(pairs) >= MIN_PAIRS:
        use_case = traffic.use_case_id.take(lane)
        for code, count in enumerate(np.bincount(pairs.use_case_id.codes, minlength=len(pairs.use_case_id.values))):
            own = use_case.equal(pairs.use_case_id.values[code])
            if count >= MIN_PAIRS and own.any():
                yield lane[own], ratios(pairs.take(pairs.use_case_id.codes == code))
                rest &= ~own
    if rest.any():
        yield lane[rest], ratios(pairs)
