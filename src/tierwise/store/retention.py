"""Deletes calls, spans and evaluations past an age, or the oldest past a size; nothing else is ever deleted.

Policies, recommendations and the audit log stay. So do the pairs (calls and their shadows, with what they scored) of
the use cases of enforced recommendations: they are the evidence for what is in force. A shadow, an evaluation and a
review go with their call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tierwise.errors import StoreError
from tierwise.store import rollup

if TYPE_CHECKING:
    import duckdb

    from tierwise.store.duckdb import DuckDBStore

_ROWS_AT_ONCE: Final = 20_000
"""Calls, or spans, of one transaction: landing waits for no more than that."""
_PAUSE_S: Final = 0.05
"""Between two transactions, so that what waits to be landed comes first."""
_SIZE_ROUNDS: Final = 4
_CHECKPOINT_TRIES: Final = 40
_SLACK: Final = 0.9
"""Past the size, the data is brought below this share of it, so that not every hour has something to delete."""
DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows were deleted."""

    calls: int = 0
    """Shadow calls among them."""
    spans: int = 0
    evaluations: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.calls + other.calls, self.spans + other.spans, self.evaluations + other.evaluations)

    def __bool__(self) -> bool:
        return bool(self.calls or self.spans or self.evaluations)


def prune(
    store: DuckDBStore,
    *,
    days: float | None,
    size: int | None,
    now_ns: int,
    pause: Callable[[float], object] = time.sleep,
) -> Removed:
    """Delete what is older than `days`, then the oldest until the data takes no more than `size` bytes.

    The file may stay as large as it was: room in it is used again before it grows.

    Args:
        now_ns: nanoseconds since 1970.
        pause: called with seconds between two transactions; a true answer ends the work.

    Raises:
        StoreError: the engine failed; what was deleted before stays deleted.
    """
    removed = Removed()
    if days is not None:
        removed += _delete_before(store, now_ns - round(days * DAY_NS), pause)
    if removed and not _checkpoint(store, pause):
        return removed
    if size is None:
        return removed
    for _ in range(_SIZE_ROUNDS):
        used = store.data_bytes()
        if used <= size:
            break
        cutoff_ns = store.oldest_share_ends(1 - _SLACK * size / used)
        more = Removed() if cutoff_ns is None else _delete_before(store, cutoff_ns, pause)
        if not more:
            break
        removed += more
        if not _checkpoint(store, pause):
            break
    return removed


def _checkpoint(store: DuckDBStore, pause: Callable[[float], object]) -> bool:
    """Give the room of what was deleted back; False when others are in the way all the time, as it may be next time."""
    for _ in range(_CHECKPOINT_TRIES):
        try:
            store.checkpoint()
        except StoreError:
            if pause(_PAUSE_S):
                return False
        else:
            return True
    return False


def _delete_before(store: DuckDBStore, before_ns: int, pause: Callable[[float], object]) -> Removed:
    removed = Removed()
    while more := store.delete_oldest(before_ns, limit=_ROWS_AT_ONCE):
        removed += more
        if pause(_PAUSE_S):
            break
    return removed


_ENFORCED_USE_CASES: Final = """
SELECT content ->> '$.scope.use_case_id' FROM recommendations WHERE state = 'enforced'
"""
_DOOMED: Final = f"""
CREATE OR REPLACE TEMP TABLE doomed AS
WITH evidence AS (
    SELECT strong.trace_id, strong.span_id, weak.trace_id AS shadow_trace_id, weak.span_id AS shadow_span_id
    FROM llm_calls AS strong
    JOIN llm_calls AS weak ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
    WHERE strong.start_time < make_timestamp_ns($before_ns)
      AND weak.start_time < make_timestamp_ns($before_ns + {DAY_NS})
      AND strong.use_case_id IN ({_ENFORCED_USE_CASES})
),
kept AS (
    SELECT trace_id, span_id FROM evidence UNION SELECT shadow_trace_id, shadow_span_id FROM evidence
)
SELECT trace_id, span_id, start_time
FROM llm_calls ANTI JOIN kept USING (trace_id, span_id)
WHERE start_time < make_timestamp_ns($before_ns)
ORDER BY start_time
LIMIT $limit
"""
_DOOMED_SHADOWS: Final = """
INSERT INTO doomed
SELECT weak.trace_id, weak.span_id, weak.start_time
FROM llm_calls AS weak
JOIN doomed ON weak.shadow_of_trace_id = doomed.trace_id AND weak.shadow_of_span_id = doomed.span_id
ANTI JOIN doomed AS already ON already.trace_id = weak.trace_id AND already.span_id = weak.span_id
WHERE weak.start_time <= make_timestamp_ns($latest_ns)
"""
_EVALUATIONS: Final = """
DELETE FROM evaluations USING doomed
WHERE evaluations.trace_id = doomed.trace_id AND evaluations.span_id = doomed.span_id
"""
_REVIEWS: Final = """
DELETE FROM reviews USING doomed
WHERE reviews.shadow_trace_id = doomed.trace_id AND reviews.shadow_span_id = doomed.span_id
"""
_CALLS: Final = """
DELETE FROM llm_calls USING doomed
WHERE llm_calls.trace_id = doomed.trace_id AND llm_calls.span_id = doomed.span_id
  AND llm_calls.start_time <= make_timestamp_ns($latest_ns)
"""
"""With the time, because by that alone the engine knows which parts of the table need not be looked at."""
_ORPHANS: Final = """
DELETE FROM evaluations
WHERE time < make_timestamp_ns($before_ns)
  AND NOT EXISTS (
      SELECT 1 FROM llm_calls AS own WHERE own.trace_id = evaluations.trace_id AND own.span_id = evaluations.span_id
  )
"""
"""Evaluations whose call never came."""
_SPANS: Final = """
DELETE FROM spans
WHERE start_time < make_timestamp_ns($before_ns)
  AND start_time <= (
      SELECT max(start_time) FROM (
          SELECT start_time FROM spans WHERE start_time < make_timestamp_ns($before_ns) ORDER BY start_time LIMIT $limit
      )
  )
"""
_ROOM: Final = """
SELECT
    (SELECT block_size * used_blocks FROM pragma_database_size()),
    (SELECT coalesce(sum(count), 0)::BIGINT
     FROM (FROM pragma_storage_info('llm_calls') UNION ALL FROM pragma_storage_info('spans'))
     WHERE column_name = 'trace_id' AND segment_type <> 'VALIDITY'),
    (SELECT count(*) FROM llm_calls) + (SELECT count(*) FROM spans)
"""
_SHARE_ENDS: Final = """
SELECT epoch_ns(quantile_disc(start_time, $share))
FROM (SELECT start_time FROM llm_calls UNION ALL SELECT start_time FROM spans)
"""


def delete_oldest(cursor: duckdb.DuckDBPyConnection, before_ns: int, *, limit: int) -> Removed:
    """Delete the oldest of what began before `before_ns`, inside the caller's transaction.

    Args:
        limit: of calls and of spans; shadows and evaluations of those calls come on top.
    """
    cursor.execute(_DOOMED, {"before_ns": before_ns, "limit": limit})
    ((doomed_until_ns,),) = cursor.execute("SELECT epoch_ns(max(start_time)) FROM doomed").fetchall()
    if doomed_until_ns is None:
        calls, evaluations = 0, _count(cursor, _ORPHANS, before_ns=before_ns)
    else:
        # A shadow runs in the background right after its call.
        latest_ns = doomed_until_ns + DAY_NS
        cursor.execute(_DOOMED_SHADOWS, {"latest_ns": latest_ns})
        days = cursor.execute("SELECT DISTINCT start_time::DATE FROM doomed").fetchall()
        rollup.forget_days(cursor, [day for (day,) in days])
        evaluations = _count(cursor, _EVALUATIONS)
        calls = _count(cursor, _CALLS, latest_ns=latest_ns)
        cursor.execute(_REVIEWS)
    cursor.execute("DROP TABLE doomed")
    return Removed(calls, _count(cursor, _SPANS, before_ns=before_ns, limit=limit), evaluations)


def oldest_share_ends(cursor: duckdb.DuckDBPyConnection, share: float) -> int | None:
    """Before when that share of the calls and spans began, in nanoseconds since 1970; None when there are none."""
    ((ends,),) = cursor.execute(_SHARE_ENDS, {"share": min(1.0, max(0.0, share))}).fetchall()
    return None if ends is None else int(ends)


def data_bytes(cursor: duckdb.DuckDBPyConnection) -> int:
    """Bytes of the file that hold rows; room that was freed, and is used again, is left out.

    The engine gives room back by whole row groups (122,880 rows), so what deleted rows still take in one is taken off
    by their share of the rows.
    """
    ((size, stored, live),) = cursor.execute(_ROOM).fetchall()
    return round(size * live / stored) if stored else 0


def _count(cursor: duckdb.DuckDBPyConnection, statement: str, **parameters: int) -> int:
    ((count,),) = cursor.execute(statement, parameters or None).fetchall()
    return int(count)
