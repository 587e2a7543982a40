"""What finding out costs: shadow calls and calls of judges as billed, reviewers at the price a person gives."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Flags, exact_usd


@dataclass(frozen=True, slots=True)
class ScoringPrices:
    """USD for scoring one pair; None: nobody said, and it is not counted."""

    judge_usd: Decimal | None = None
    review_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EvaluationCost:
    """The cost of evidence, in USD."""

    usd: Decimal
    uncounted: tuple[str, ...]
    """What is not in it, in words."""


def evaluation_cost(
    shadows: Pairs,
    scored: Pairs,
    prices: ScoringPrices,
    *,
    since_ns: int = 0,
    judge_calls_usd: Decimal | None = None,
) -> EvaluationCost:
    """Shadow calls from `since_ns` on, and the scoring of their pairs.

    Args:
        shadows: each pair once.
        scored: a row a pair and evaluation.
        judge_calls_usd: what the calls that the judge made were billed; counted where no price for a pair is given.
            None: no such call is known.
    """
    usd = cost_of(shadows, shadows.start_ns >= since_ns)
    uncounted: list[str] = []
    recent = scored.start_ns >= since_ns
    billed = judge_calls_usd if prices.judge_usd is None else None
    if billed is not None:
        usd += billed
    for source, each, what, option in (
        ("judge", prices.judge_usd, "judged", "--judge-usd"),
        ("human", prices.review_usd, "reviewed by people", "--review-usd"),
    ):
        pairs = int((recent & scored.evaluation_source.equal(source)).sum())
        if each is not None:
            usd += pairs * each
        elif pairs and not (source == "judge" and billed is not None):
            uncounted.append(f"the cost of {pairs:,} pairs {what} is not counted: give it with {option}")
    return EvaluationCost(usd, tuple(uncounted))


def cost_of(shadows: Pairs, rows: Flags | None = None) -> Decimal:
    """What the shadow calls were billed, USD; those of `rows` where given."""
    cost = shadows.weak_cost if rows is None else shadows.weak_cost[rows]
    return exact_usd(np.rint(np.nan_to_num(cost) * 1e12).astype(np.int64))
