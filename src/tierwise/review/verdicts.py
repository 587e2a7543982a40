"""What a person decides about a pair: recorded with the scores it gives, and taken back."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Literal

from tierwise.errors import StoreError
from tierwise.review.queue import QueueItem
from tierwise.store.reviews import ReviewRecord, Shown, Verdict

if TYPE_CHECKING:
    from tierwise.store import Store

Choice = Literal["a", "b", "tie", "bad", "skip"]
"""What a reviewer says: A or B is better, both are good, both are bad, or it cannot be decided."""

_OTHERS: dict[str, Verdict] = {"tie": "both_good", "bad": "both_bad", "skip": "skip"}


def verdict_of(item: QueueItem, choice: Choice) -> Verdict:
    """Whose answer a choice is for."""
    return item.side(choice) if choice in ("a", "b") else _OTHERS[choice]


def record(
    store: Store, item: QueueItem, choice: Choice, *, reviewer: str, shown: Shown, now_ns: int | None = None
) -> ReviewRecord:
    """Keep a verdict: one row in `reviews`, a score for each answer, one line in the audit log.

    Args:
        shown: what the reviewer went by.
        now_ns: nanoseconds since 1970; by default the present moment. The same verdict at the same time is kept once.
    """
    reviewed_ns = time.time_ns() if now_ns is None else now_ns
    review = ReviewRecord(
        id=hashlib.sha256(f"{item.key}\0{reviewer}\0{reviewed_ns}".encode()).hexdigest()[:16],
        trace_id=item.trace_id,
        span_id=item.span_id,
        shadow_trace_id=item.shadow_trace_id,
        shadow_span_id=item.shadow_span_id,
        first=item.first,
        verdict=verdict_of(item, choice),
        reason=item.draw.reason,
        propensity=item.draw.propensity,
        shown=shown,
        reviewer=reviewer,
        reviewed_ns=reviewed_ns,
    )
    store.add_reviews([review])
    return review


def undo_last(store: Store, reviewer: str) -> dict[str, Any]:
    """Take back the newest verdict of `reviewer` that stands; the row of the named query `reviews` that it is.

    Raises:
        StoreError: there is none.
    """
    standing = (row for row in store.query("reviews", reviewer=reviewer).to_pylist() if row["undone_at"] is None)
    newest = next(standing, None)
    if newest is None:
        raise StoreError(f"{reviewer} has no review to take back")
    store.undo_review(newest["id"], who=reviewer)
    return newest
