"""Days of calls added up, so that a page over months reads thousands of rows and not millions.

`daily_traffic` holds whole days (UTC) and `daily_days` which of them are good. A day is rolled up after it has ended; a
call that lands in it later, or is deleted, takes it off the list in the same transaction, and it is rolled up anew.
Queries read days that are good from there and everything else from the calls, so they are exact at every moment.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import duckdb

ROLLED: Final = frozenset({"rolled_from", "rolled_until", "rolled_before_from", "rolled_before_until"})
"""Parameters of named queries that the store gives: between them, days are read as rolled up; the last two are for the
period of equal length before the one asked for."""

_NEVER_NS: Final = 2**62
_DAY: Final = timedelta(days=1)
_DAY_NS: Final = 86_400_000_000_000
_OLDEST: Final = timedelta(days=800)
"""Days before that are never rolled up: a wrong clock may have written calls of any year."""

_DAYS_TO_ROLL_UP: Final = """
WITH ended AS (
    SELECT DISTINCT start_time::DATE AS day FROM llm_calls
    WHERE start_time >= make_timestamp_ns($oldest_ns) AND start_time < make_timestamp_ns($today_ns)
)
SELECT day, ended.day IS NOT NULL AS has_calls
FROM (SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY))::DATE AS day FROM ended)
LEFT JOIN ended USING (day)
ANTI JOIN daily_days USING (day)
ORDER BY day
"""
_ROLL_UP: Final = "INSERT INTO daily_traffic BY NAME SELECT * FROM cells_of($since, $until)"
_FORGET: Final = ("DELETE FROM daily_days WHERE day IN ?", "DELETE FROM daily_traffic WHERE day IN ?")
_LONGEST_RUN: Final = """
SELECT epoch_ns(min(day)::TIMESTAMP_NS), epoch_ns(max(day)::TIMESTAMP_NS)
FROM (
    SELECT day, day - row_number() OVER (ORDER BY day)::INTEGER AS run FROM daily_days
    WHERE ($since IS NULL OR day::TIMESTAMP_NS >= make_timestamp_ns($since::BIGINT))
      AND ($until IS NULL OR (day + 1)::TIMESTAMP_NS <= make_timestamp_ns($until::BIGINT))
)
GROUP BY run
ORDER BY count(*) DESC, run
LIMIT 1
"""


def forget_days(cursor: duckdb.DuckDBPyConnection, days: Collection[date]) -> None:
    """Calls of these days come or go: what they add up to is no longer good.

    The day after goes too: the answer to a request may have begun after midnight, and costs what the attempts before it
    did.
    """
    ((newest,),) = cursor.execute("SELECT max(day) FROM daily_days").fetchall()
    stale = {later for day in days for later in (day, day + _DAY)}
    if newest is not None and min(stale, default=date.max) <= newest:
        for statement in _FORGET:
            cursor.execute(statement, [sorted(stale)])


def roll_up(cursor: duckdb.DuckDBPyConnection, *, now: datetime, limit: int) -> int:
    """Add up days that have ended and are not good, the oldest first, inside the caller's transaction.

    Args:
        now: aware.
        limit: most days with calls at once.

    Returns:
        How many days with calls were rolled up; as many as `limit`: there may be more.
    """
    today = now.astimezone(UTC).date()
    bounds = {"today_ns": _nanoseconds(today), "oldest_ns": _nanoseconds(today - _OLDEST)}
    done = 0
    for day, has_calls in cursor.execute(_DAYS_TO_ROLL_UP, bounds).fetchall():
        if has_calls:
            if done == limit:
                break
            done += 1
            cursor.execute(_ROLL_UP, {"since": _nanoseconds(day), "until": _nanoseconds(day + _DAY)})
        cursor.execute("INSERT INTO daily_days VALUES (?)", [day])
    return done


def rolled_spans(
    cursor: duckdb.DuckDBPyConnection, wanted: Collection[str], parameters: Mapping[str, Any]
) -> dict[str, int]:
    """Values for those of `ROLLED` that are wanted: the longest run of good days inside a query's `since` and `until`.

    Where there is none, the run is empty and lies after everything.
    """
    since, until = parameters.get("since"), parameters.get("until")
    found: dict[str, int] = {}
    if "rolled_from" in wanted:
        found["rolled_from"], found["rolled_until"] = _longest_run(cursor, since, until)
    if "rolled_before_from" in wanted:
        run = (_NEVER_NS, _NEVER_NS)
        if since is not None:
            run = _longest_run(cursor, since - ((time.time_ns() if until is None else until) - since), since)
        found["rolled_before_from"], found["rolled_before_until"] = run
    return found


def _longest_run(cursor: duckdb.DuckDBPyConnection, since: int | None, until: int | None) -> tuple[int, int]:
    runs = cursor.execute(_LONGEST_RUN, {"since": since, "until": until}).fetchall()
    return (runs[0][0], runs[0][1] + _DAY_NS) if runs else (_NEVER_NS, _NEVER_NS)


def _nanoseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
