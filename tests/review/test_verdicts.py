from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.errors import StoreError
from tierwise.review.queue import read_queue
from tierwise.review.verdicts import record, undo_last, verdict_of

from .conftest import NOW_NS

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs


@pytest.fixture
def filled(store: DuckDBStore, add_pairs: AddPairs) -> DuckDBStore:
    add_pairs(200, weak_scores=lambda number: 0.0)
    return store


def test_letters_become_sides(filled: DuckDBStore) -> None:
    """A choice is for the answer that was shown under the letter, whichever model gave it."""
    for item in read_queue(filled, now_ns=NOW_NS).waiting:
        assert verdict_of(item, "a") == item.first != verdict_of(item, "b")
        assert [verdict_of(item, choice) for choice in ("tie", "bad", "skip")] == ["both_good", "both_bad", "skip"]


def test_a_verdict_carries_its_draw(filled: DuckDBStore) -> None:
    """What is recorded has the propensity, the reason, the order shown and who, and counts once however often sent."""
    item = read_queue(filled, now_ns=NOW_NS).waiting[0]

    review = record(filled, item, "b", reviewer="ada", shown="content", now_ns=NOW_NS)
    again = record(filled, item, "b", reviewer="ada", shown="content", now_ns=NOW_NS)

    assert review == again
    (row,) = filled.query("reviews").to_pylist()
    assert (row["propensity"], row["reason"]) == (item.draw.propensity, item.draw.reason)
    assert (row["first"], row["verdict"], row["shown"]) == (item.first, item.side("b"), "content")


def test_the_last_verdict_of_a_person_is_taken_back(filled: DuckDBStore) -> None:
    """Undo takes the reviewer's own newest verdict that stands, then the one before, and then there is none."""
    first, second, third = read_queue(filled, now_ns=NOW_NS).waiting[:3]
    record(filled, first, "a", reviewer="ada", shown="link", now_ns=NOW_NS)
    record(filled, second, "a", reviewer="ada", shown="link", now_ns=NOW_NS + 1000)
    record(filled, third, "a", reviewer="grace", shown="link", now_ns=NOW_NS + 2000)

    undone = [undo_last(filled, "ada")["shadow_span_id"] for _ in range(2)]

    assert undone == [second.shadow_span_id, first.shadow_span_id]
    with pytest.raises(StoreError, match="ada has no review"):
        undo_last(filled, "ada")
    assert [item.key for item in read_queue(filled, now_ns=NOW_NS).waiting[:3]] == [
        first.key,
        second.key,
        read_queue(filled, now_ns=NOW_NS).waiting[2].key,
    ]
