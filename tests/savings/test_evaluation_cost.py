from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tierwise.savings.evaluation_cost import ScoringPrices, cost_of, evaluation_cost
from tierwise.savings.pairs import Pairs, read_pairs

if TYPE_CHECKING:
    from conftest import Worlds


def scored_by(worlds: Worlds, source: str) -> Pairs:
    table = worlds.make(1).pairs
    at = table.column_names.index("evaluation_source")
    return read_pairs(table.set_column(at, "evaluation_source", pa.array([source] * len(table))))


def test_shadow_calls_are_counted_as_billed(worlds: Worlds) -> None:
    """The sum of what shadow calls were billed, to the last digit; a check costs nothing."""
    table = worlds.make(1).pairs
    pairs = scored_by(worlds, "check")

    found = evaluation_cost(pairs, pairs, ScoringPrices())

    assert found.usd == cost_of(pairs) == sum(table["weak_cost_usd"].to_pylist(), Decimal(0))
    assert found.uncounted == ()


@pytest.mark.parametrize(
    ("source", "prices", "option"),
    [
        ("judge", ScoringPrices(judge_usd=Decimal("0.02")), "--judge-usd"),
        ("human", ScoringPrices(review_usd=Decimal("0.02")), "--review-usd"),
    ],
)
def test_scoring_counts_where_its_price_is_known(
    worlds: Worlds, source: str, prices: ScoringPrices, option: str
) -> None:
    """Given a price, each scored pair costs it; without one, the words say what is not counted."""
    pairs = scored_by(worlds, source)

    priced, unpriced = (evaluation_cost(pairs, pairs, each) for each in (prices, ScoringPrices()))

    assert priced.usd - unpriced.usd == len(pairs) * Decimal("0.02")
    assert priced.uncounted == ()
    (line,) = unpriced.uncounted
    assert option in line


def test_only_the_window_counts(worlds: Worlds) -> None:
    """Pairs from before the window were paid before it."""
    pairs = scored_by(worlds, "judge")
    later = int(pairs.start_ns.max()) + 1

    found = evaluation_cost(pairs, pairs, ScoringPrices(judge_usd=Decimal(1)), since_ns=later)

    assert found.usd == 0


def test_calls_of_the_judge_are_counted_as_billed(worlds: Worlds) -> None:
    """What the judge's own calls were billed stands in for a price a pair, and a price that is given beats it."""
    pairs = scored_by(worlds, "judge")
    billed = Decimal("1.25")

    found = evaluation_cost(pairs, pairs, ScoringPrices(), judge_calls_usd=billed)
    priced = evaluation_cost(pairs, pairs, ScoringPrices(judge_usd=Decimal("0.02")), judge_calls_usd=billed)

    assert found.usd - cost_of(pairs) == billed
    assert found.uncounted == ()
    assert priced.usd - cost_of(pairs) == len(pairs) * Decimal("0.02")
