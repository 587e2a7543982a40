"""Verdicts of people on pairs in SQL, with the scores they give; inside the caller's transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tierwise.call import Evaluation
from tierwise.errors import Conflict, StoreError
from tierwise.store import landing, records

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

EVALUATION: Final = "review"
"""Name of the scores that reviews give; their source is `human`."""

Side = Literal["strong", "weak"]
Verdict = Literal["strong", "weak", "both_good", "both_bad", "skip"]
Reason = Literal["random", "disagreement"]
Shown = Literal["content", "link"]

SCORES: Final[dict[Verdict, tuple[float | None, float | None]]] = {
    "strong": (1.0, 0.0),
    "weak": (0.0, 1.0),
    "both_good": (1.0, 1.0),
    "both_bad": (0.0, 0.0),
    "skip": (None, None),
}
"""Verdict → scores of the strong and of the weak answer; skipping scores neither."""


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """One verdict on one pair."""

    id: str
    trace_id: str
    span_id: str
    shadow_trace_id: str
    shadow_span_id: str
    first: Side
    """Whose answer was shown as A."""
    verdict: Verdict
    reason: Reason
    """What the pair was drawn for."""
    propensity: float
    """Probability, before the draw, that the pair was drawn; in (0, 1]."""
    shown: Shown
    """What the reviewer went by."""
    reviewer: str
    reviewed_ns: int
    """Nanoseconds since 1970, UTC."""

    def __post_init__(self) -> None:
        for name, kind in (("first", Side), ("verdict", Verdict), ("reason", Reason), ("shown", Shown)):
            if (value := getattr(self, name)) not in get_args(kind):
                raise StoreError(f"a review's {name} is {value!r}; allowed: {', '.join(get_args(kind))}")
        if not 0.0 < self.propensity <= 1.0:
            raise StoreError(f"a review's propensity is {self.propensity!r}; it lies above 0 and is at most 1")

    @property
    def pair(self) -> tuple[str, str]:
        """What the pair is known by: the ids of its shadow call."""
        return self.shadow_trace_id, self.shadow_span_id

    def evaluations(self) -> tuple[Evaluation, Evaluation]:
        """The scores of the strong and of the weak answer."""
        strong, weak = SCORES[self.verdict]
        return (
            self._evaluation(self.trace_id, self.span_id, strong),
            self._evaluation(self.shadow_trace_id, self.shadow_span_id, weak),
        )

    def _evaluation(self, trace_id: str, span_id: str, score: float | None) -> Evaluation:
        return Evaluation(trace_id, span_id, EVALUATION, "human", score, self.reviewed_ns, label=self.verdict)


def add(cursor: duckdb.DuckDBPyConnection, reviews: Sequence[ReviewRecord]) -> int:
    """Keep verdicts with their scores and audit rows; see `Store.add_reviews()`."""
    added = 0
    for review in reviews:
        if cursor.execute("SELECT 1 FROM reviews WHERE id = ?", [review.id]).fetchall():
            continue
        values = asdict(review)
        names = ", ".join("reviewed_at" if name == "reviewed_ns" else name for name in values)
        marks = ", ".join("make_timestamp_ns(?)" if name == "reviewed_ns" else "?" for name in values)
        cursor.execute(f"INSERT INTO reviews ({names}) VALUES ({marks})", list(values.values()))
        landing.land(cursor, evaluations=review.evaluations())
        records.audit(cursor, "review.recorded", _detail(values), who=review.reviewer, why="")
        added += 1
    return added


def undo(cursor: duckdb.DuckDBPyConnection, review_id: str, *, who: str, now_ns: int) -> None:
    """Take a verdict back with its scores; see `Store.undo_review()`."""
    found = cursor.execute(
        """
        SELECT trace_id, span_id, shadow_trace_id, shadow_span_id, verdict, reviewer, epoch_ns(reviewed_at),
               undone_at IS NOT NULL
        FROM reviews WHERE id = ?
        """,
        [review_id],
    ).fetchall()
    if not found:
        raise StoreError(f"no review has the id {review_id!r}")
    *calls, verdict, reviewer, reviewed_ns, is_undone = found[0]
    if is_undone:
        raise Conflict(f"the review of {reviewer} was taken back already")
    cursor.execute("UPDATE reviews SET undone_at = make_timestamp_ns(?) WHERE id = ?", [now_ns, review_id])
    for trace_id, span_id in (calls[:2], calls[2:]):
        cursor.execute(
            """
            DELETE FROM evaluations
            WHERE trace_id = ? AND span_id = ? AND name = ? AND source = 'human' AND time = make_timestamp_ns(?)
            """,
            [trace_id, span_id, EVALUATION, reviewed_ns],
        )
    records.audit(cursor, "review.undone", {"id": review_id, "verdict": verdict, "reviewer": reviewer}, who=who, why="")


def _detail(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("reviewer", "reviewed_ns")}
