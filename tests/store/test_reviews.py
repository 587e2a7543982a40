"""Verdicts of people on pairs, in every kind of store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tierwise.errors import Conflict, StoreError
from tierwise.store import Store
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.reviews import ReviewRecord
from tierwise.store.rows import CallRecord

MakeCall = Callable[..., CallRecord]
NOON_NS = 1_790_000_000_000_000_000
REVIEW = ReviewRecord(
    id="r1",
    trace_id=f"{1:032x}",
    span_id=f"{1:016x}",
    shadow_trace_id=f"{2:032x}",
    shadow_span_id=f"{2:016x}",
    first="weak",
    verdict="strong",
    reason="random",
    propensity=0.03,
    shown="content",
    reviewer="ada",
    reviewed_ns=NOON_NS + 60_000_000_000,
)


def add_pair(store: Store, make_call: MakeCall) -> None:
    """Call 1, and call 2 that shadows it."""
    store.add_calls([make_call(1), make_call(2, request_model="gpt-5.4-mini", shadow_of=f"{1:032x}-{1:016x}")])


def scores(store: Store) -> list[tuple[Any, ...]]:
    rows = store.query("pairs", source="human").to_pylist()
    return [(row["evaluation_name"], row["strong_score"], row["weak_score"], row["review_propensity"]) for row in rows]


def test_a_verdict_scores_both_answers(store: Store, make_call: MakeCall) -> None:
    """A review is a row with its propensity, a human score for each answer, and a line in the audit log."""
    add_pair(store, make_call)

    assert store.add_reviews([REVIEW]) == 1

    assert scores(store) == [("review", 1.0, 0.0, 0.03)]
    (row,) = store.query("reviews").to_pylist()
    assert (row["first"], row["verdict"], row["propensity"], row["undone_at"]) == ("weak", "strong", 0.03, None)
    (entry,) = store.audit_log()
    assert (entry["who"], entry["action"], entry["detail"]["verdict"]) == ("ada", "review.recorded", "strong")


def test_the_same_verdict_counts_once(store: Store, make_call: MakeCall) -> None:
    """A verdict that arrives again, by its id, changes nothing."""
    add_pair(store, make_call)
    store.add_reviews([REVIEW])

    assert store.add_reviews([REVIEW, replace(REVIEW, verdict="weak")]) == 0

    assert scores(store) == [("review", 1.0, 0.0, 0.03)]
    assert len(store.audit_log()) == 1


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("weak", (0.0, 1.0)), ("both_good", (1.0, 1.0)), ("both_bad", (0.0, 0.0)), ("skip", None)],
)
def test_what_a_verdict_scores(
    store: Store, make_call: MakeCall, verdict: Any, expected: tuple[float, float] | None
) -> None:
    """The better answer scores 1 and the other 0, equals score alike, and skipping scores nothing."""
    add_pair(store, make_call)

    store.add_reviews([replace(REVIEW, verdict=verdict)])

    assert [row[1:3] for row in scores(store)] == ([] if expected is None else [expected])


def test_a_verdict_is_taken_back(store: Store, make_call: MakeCall) -> None:
    """Undoing removes the scores, keeps the review with its end, and says who did it; a second time is a conflict."""
    add_pair(store, make_call)
    store.add_reviews([REVIEW])

    store.undo_review("r1", who="grace")

    assert scores(store) == []
    (row,) = store.query("reviews").to_pylist()
    assert row["undone_at"] is not None
    assert store.audit_log()[0]["action"] == "review.undone"
    assert store.audit_log()[0]["who"] == "grace"
    with pytest.raises(Conflict, match="taken back already"):
        store.undo_review("r1", who="grace")
    with pytest.raises(StoreError, match="no review has the id"):
        store.undo_review("r9", who="grace")


def test_undoing_leaves_the_other_persons_score(store: Store, make_call: MakeCall) -> None:
    """Of two people's verdicts on a pair only the one taken back goes."""
    add_pair(store, make_call)
    store.add_reviews([REVIEW, replace(REVIEW, id="r2", reviewer="grace", verdict="both_good", reviewed_ns=NOON_NS)])

    store.undo_review("r1", who="ada")

    assert [row[1:3] for row in scores(store)] == [(1.0, 1.0)]


@pytest.mark.parametrize(
    ("field", "value"), [("verdict", "maybe"), ("first", "b"), ("propensity", 0.0), ("propensity", 1.5)]
)
def test_a_review_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    """A verdict, side or probability that does not exist is named with what is allowed."""
    with pytest.raises(StoreError, match=field):
        replace(REVIEW, **{field: value})  # type: ignore[arg-type]


def test_reviews_go_with_their_calls(memory: DuckDBStore, make_call: MakeCall) -> None:
    """When a pair is deleted for its age, its reviews are."""
    add_pair(memory, make_call)
    memory.add_reviews([REVIEW])

    memory.delete_oldest(NOON_NS + 10**18, limit=100)

    assert memory.sql("SELECT count(*) AS n FROM reviews")["n"].to_pylist() == [0]
