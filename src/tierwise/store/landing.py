"""Lands calls, spans and evaluations in one transaction: each once, whoever reported it and however often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tierwise import semconv as sc
from tierwise.store import rollup
from tierwise.store.rows import (
    CALL_SCHEMA,
    CallRecord,
    SpanRecord,
    call_table,
    evaluation_table,
    span_table,
)
from tierwise.store.twins import Sighting, find_twins, merge

if TYPE_CHECKING:
    import duckdb

    from tierwise.call import Evaluation

_SAME_CALL_NS: Final = 5_000_000_000
"""Instrumentations stacked on one call start within moments of each other; the search for a stored twin looks no
further, so that its cost does not grow with the store."""
_LONGEST_STREAM_NS: Final = 600_000_000_000
"""How far it looks back from a span without a length, which reports a stream when it has ended."""

_CALL_COLUMNS: Final = ", ".join(CALL_SCHEMA.names)
_INSERT_CALLS: Final = f"""
INSERT INTO llm_calls ({_CALL_COLUMNS})
SELECT * REPLACE (attributes::JSON::VARIANT AS attributes) FROM arriving_calls
"""
_INSERT_SPANS: Final = """
INSERT INTO spans
FROM arriving_spans
ANTI JOIN (
    SELECT trace_id, span_id FROM spans
    WHERE start_time >= (SELECT min(start_time) FROM arriving_spans)
      AND start_time <= (SELECT max(start_time) FROM arriving_spans)
) AS stored USING (trace_id, span_id)
"""
_INSERT_EVALUATIONS: Final = """
INSERT INTO evaluations
SELECT arriving.* FROM arriving_evaluations AS arriving
ANTI JOIN (
    FROM evaluations
    WHERE time >= (SELECT min(time) FROM arriving_evaluations)
      AND time <= (SELECT max(time) FROM arriving_evaluations)
) AS stored
    ON stored.time = arriving.time AND stored.name = arriving.name AND stored.source = arriving.source
   AND ((stored.trace_id = arriving.trace_id AND stored.span_id = arriving.span_id)
        OR stored.response_id = arriving.response_id)
"""
_WAITS_FOR_ITS_CALL: Final = "(evaluations.span_id = '' OR evaluations.source = 'feedback')"
"""Feedback is given where the answer is used, which is seldom inside the call's own span."""
_ARRIVING_IS_WAITED_FOR: Final = f"""
SELECT count(*) FROM evaluations JOIN arriving_calls USING (response_id) WHERE {_WAITS_FOR_ITS_CALL}
"""
_POINT_TO_CALL: Final = f"""
UPDATE evaluations SET trace_id = found.trace_id, span_id = found.span_id
FROM llm_calls AS found
WHERE found.response_id = evaluations.response_id AND {_WAITS_FOR_ITS_CALL}
  AND NOT EXISTS (
      FROM llm_calls AS own WHERE own.trace_id = evaluations.trace_id AND own.span_id = evaluations.span_id
  )
"""
_STORED_NEARBY: Final = """
WITH nearby AS (
    SELECT trace_id, span_id, parent_span_id, service_name, instrumentation, operation, request_model, requested_model,
           response_id, epoch_ns(start_time), epoch_ns(end_time)
    FROM llm_calls
    WHERE start_time BETWEEN make_timestamp_ns(?) AND make_timestamp_ns(?)
)
SELECT * FROM nearby SEMI JOIN arriving_marks USING (trace_id)
UNION
SELECT * FROM nearby SEMI JOIN arriving_marks USING (response_id)
UNION
SELECT nearby.* FROM nearby
SEMI JOIN (
    SELECT DISTINCT service_name, operation, instrumentation, response_id IS NULL AS is_nameless FROM arriving_marks
) AS arriving
    ON nearby.service_name = arriving.service_name AND nearby.operation = arriving.operation
   AND nearby.instrumentation <> arriving.instrumentation
   AND (nearby.response_id IS NULL OR arriving.is_nameless)
"""
"""What may be a twin of an arriving call: in its trace, with its response id, or beside it where an id is missing."""
_ABSORBED: Final = """
SELECT trace_id, span_id FROM spans
SEMI JOIN arriving_keys USING (trace_id, span_id)
WHERE start_time BETWEEN make_timestamp_ns(?) AND make_timestamp_ns(?)
"""
_ONE_CALL: Final = f"""
SELECT {_CALL_COLUMNS} FROM (SELECT * REPLACE (attributes::JSON AS attributes) FROM llm_calls)
WHERE trace_id = $trace_id AND span_id = $span_id AND start_time = make_timestamp_ns($start_ns)
"""


@dataclass(frozen=True, slots=True)
class Landed:
    """What one landing added."""

    calls: int = 0
    spans: int = 0
    evaluations: int = 0
    repeated_calls: int = 0
    """Calls left out because they are stored already."""
    merged_calls: int = 0
    """Calls that were another instrumentation's view of a call, and became one row with it."""


def land(
    cursor: duckdb.DuckDBPyConnection,
    *,
    calls: Sequence[CallRecord] = (),
    spans: Sequence[SpanRecord] = (),
    evaluations: Sequence[Evaluation] = (),
    sequence: int | None = None,
) -> Landed:
    """Land what arrived, inside the caller's transaction.

    Args:
        sequence: last write-ahead sequence that this completes.

    A span is known by trace and span id. Of several instrumentations' views of one call, tierwise's row wins and takes
    over what only the others knew; they stay as plain spans, so that the trace keeps its shape.
    """
    stored = _stored_sightings(cursor, calls)
    arriving = _not_stored(cursor, calls, stored)
    twins = find_twins(stored, arriving)
    merged = [merge(*_winner_and_others(cursor, group)) for group in twins]
    replaced = [sighting for group in twins for sighting in group if sighting.arriving is None]
    twin_keys = {sighting.key for group in twins for sighting in group}
    table = call_table([record for record in arriving if (record.trace_id, record.span_id) not in twin_keys])
    if merged:
        _delete_calls(cursor, replaced)
        table = pa.concat_tables([table, pa.Table.from_pylist(merged, schema=CALL_SCHEMA)])
        spans = [*spans, *(sighting.as_span() for group in twins for sighting in group[1:])]

    rollup.forget_days(cursor, _days_of(table) | {_day(sighting.start_ns) for sighting in replaced})
    landed = Landed(
        calls=_land_calls(cursor, table) - len(replaced),
        spans=_run_on(cursor, _INSERT_SPANS, "arriving_spans", span_table(_unique_spans(spans))),
        evaluations=_land_evaluations(cursor, evaluations),
        repeated_calls=len(calls) - len(arriving),
        merged_calls=sum(len(group) - 1 for group in twins),
    )
    if sequence is not None:
        cursor.execute("UPDATE landed SET sequence = ?", [sequence])
    return landed


def _days_of(calls: pa.Table) -> set[date]:
    """The days (UTC) in which calls began."""
    return set(calls["start_time"].cast(pa.date32(), safe=False).unique().to_pylist())


def _day(at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).date()


def _land_calls(cursor: duckdb.DuckDBPyConnection, table: pa.Table) -> int:
    count = _run_on(cursor, _INSERT_CALLS, "arriving_calls", table)
    if count and _run_on(cursor, _ARRIVING_IS_WAITED_FOR, "arriving_calls", table):
        cursor.execute(_POINT_TO_CALL)
    return count


def _land_evaluations(cursor: duckdb.DuckDBPyConnection, evaluations: Sequence[Evaluation]) -> int:
    unique = {
        (item.trace_id, item.span_id, item.response_id, item.name, item.source, item.time_ns): item
        for item in evaluations
    }
    table = evaluation_table(list(unique.values()))
    count = _run_on(cursor, _INSERT_EVALUATIONS, "arriving_evaluations", table)
    if any(item.response_id and (not item.span_id or item.source == "feedback") for item in evaluations):
        cursor.execute(_POINT_TO_CALL)
    return count


def _run_on(cursor: duckdb.DuckDBPyConnection, statement: str, name: str, table: pa.Table) -> int:
    """The count that a statement over `table`, known to it as `name`, answers with; 0 for an empty table."""
    if not table.num_rows:
        return 0
    cursor.register(name, table)
    try:
        ((count,),) = cursor.execute(statement).fetchall()
    finally:
        cursor.unregister(name)
    return int(count)


def _unique_spans(spans: Sequence[SpanRecord]) -> list[SpanRecord]:
    return list({(record.trace_id, record.span_id): record for record in spans}.values())


def _stored_sightings(cursor: duckdb.DuckDBPyConnection, calls: Sequence[CallRecord]) -> list[Sighting]:
    if not calls:
        return []
    reports_an_end = any(record.start_ns == record.end_ns for record in calls)
    window = [
        min(record.start_ns for record in calls) - (_LONGEST_STREAM_NS if reports_an_end else _SAME_CALL_NS),
        max(record.end_ns for record in calls) + _SAME_CALL_NS,
    ]
    marks = pa.table(
        {
            "trace_id": [record.trace_id for record in calls],
            "response_id": pa.array([record.call.response_id for record in calls], pa.string()),
            "service_name": [record.service_name for record in calls],
            "operation": [record.call.operation for record in calls],
            "instrumentation": [record.instrumentation for record in calls],
        }
    )
    return [Sighting(*row) for row in _rows_matching(cursor, _STORED_NEARBY, "arriving_marks", marks, window)]


def _not_stored(
    cursor: duckdb.DuckDBPyConnection, calls: Sequence[CallRecord], stored: Iterable[Sighting]
) -> list[CallRecord]:
    """The first of each call that is not in the store, neither as a call nor absorbed into another's row."""
    known = {sighting.key for sighting in stored}
    unique: dict[tuple[str, str], CallRecord] = {}
    for record in calls:
        key = (record.trace_id, record.span_id)
        if key not in known:
            unique.setdefault(key, record)
    # tierwise's own row always wins, so it is never absorbed.
    others = {key: record for key, record in unique.items() if record.instrumentation != sc.SCOPE_NAME}
    if others:
        keys = pa.table({"trace_id": [key[0] for key in others], "span_id": [key[1] for key in others]})
        starts = [record.start_ns for record in others.values()]
        for key in _rows_matching(cursor, _ABSORBED, "arriving_keys", keys, [min(starts), max(starts)]):
            del unique[key]
    return list(unique.values())


def _rows_matching(
    cursor: duckdb.DuckDBPyConnection, statement: str, name: str, table: pa.Table, window: list[int]
) -> list[Any]:
    cursor.register(name, table)
    try:
        return cursor.execute(statement, window).fetchall()
    finally:
        cursor.unregister(name)


def _winner_and_others(
    cursor: duckdb.DuckDBPyConnection, group: Sequence[Sighting]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    winner, *others = [_row_of(cursor, sighting) for sighting in group]
    return winner, others


def _row_of(cursor: duckdb.DuckDBPyConnection, sighting: Sighting) -> dict[str, Any]:
    if sighting.arriving is not None:
        table = call_table([sighting.arriving])
    else:
        key = {"trace_id": sighting.trace_id, "span_id": sighting.span_id, "start_ns": sighting.start_ns}
        table = cursor.sql(_ONE_CALL, params=key).to_arrow_table()
    # Times as integers: a Python datetime would cut the nanoseconds off.
    for name in ("start_time", "end_time"):
        position = table.column_names.index(name)
        table = table.set_column(position, name, table[name].cast(pa.int64()))
    (row,) = table.to_pylist()
    return row


def _delete_calls(cursor: duckdb.DuckDBPyConnection, sightings: Iterable[Sighting]) -> None:
    for sighting in sightings:
        cursor.execute(
            "DELETE FROM llm_calls WHERE trace_id = ? AND span_id = ? AND start_time = make_timestamp_ns(?)",
            [sighting.trace_id, sighting.span_id, sighting.start_ns],
        )
