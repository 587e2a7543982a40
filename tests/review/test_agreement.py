from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.review.agreement import read_summary
from tierwise.review.queue import read_queue
from tierwise.review.verdicts import record

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs


def test_people_are_counted_and_checks_compared(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Verdicts are counted by kind, and a check that says what people say agrees in full, on the pairs drawn at
    random."""
    add_pairs(2500, weak_scores=lambda number: float(number % 4 > 0))
    waiting = read_queue(store).waiting
    for item in waiting:
        number = int(item.shadow_span_id, 16) - 10_000
        better = "a" if item.first == "strong" else "b"
        record(store, item, "tie" if number % 4 else better, reviewer="ada", shown="link")

    summary = read_summary(store)

    assert summary.reviewed == len(waiting)
    assert summary.verdicts["strong"] + summary.verdicts["both_good"] == len(waiting)
    (check,) = summary.evaluations
    assert (check.evaluation, check.source, check.pairs) == ("right", "check", len(waiting))
    assert check.at_random == sum(item.draw.reason == "random" for item in waiting) < len(waiting)
    assert isinstance(check.agreement.observed, Estimate)
    assert check.agreement.observed.value == 1.0
    assert isinstance(check.leniency, Estimate)
    assert check.leniency.value == pytest.approx(0.0)
    assert isinstance(summary.prefers_first, Estimate)
    assert summary.to_dict()["evaluations"][0]["kappa"]["value"] == 1.0


def test_few_reviews_give_no_agreement(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Below 30 pairs drawn at random there is no figure, and skipped pairs are counted apart."""
    add_pairs(200)
    first, second, *_ = read_queue(store).waiting
    record(store, first, "tie", reviewer="ada", shown="link")
    record(store, second, "skip", reviewer="ada", shown="link")

    summary = read_summary(store)

    assert (summary.reviewed, summary.verdicts["skip"]) == (2, 1)
    assert isinstance(summary.evaluations[0].agreement.observed, NotEnoughData)
    assert isinstance(summary.prefers_first, NotEnoughData)
