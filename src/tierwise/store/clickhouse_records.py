"""What people and evidence decide, in one small table beside the spans, `tierwise_records`, so that a team shares it.

Rows of ClickHouse are not changed in place: a record is written again when it changes, and the newest counts. Policies,
scores and the audit log never change, so there the first counts, which settles who came first where two wrote at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tierwise.errors import Conflict
from tierwise.store.clickhouse_http import ClickHouse

if TYPE_CHECKING:
    import duckdb

TABLE: Final = "tierwise_records"
_CREATE: Final = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    name LowCardinality(String),
    key String,
    row String,
    written_ns Int64,
    writer String
) ENGINE = MergeTree ORDER BY (name, key, written_ns)
"""
_CHANGED: Final = f"""
SELECT name, key, argMax(row, (written_ns, writer)) AS newest, argMin(row, (written_ns, writer)) AS oldest,
       max(written_ns) AS last_ns
FROM {TABLE}
WHERE (name, key) IN (SELECT name, key FROM {TABLE} WHERE written_ns > {{since:Int64}})
GROUP BY name, key
ORDER BY min(written_ns)
"""
_FIRST_WRITER: Final = f"""
SELECT argMin(writer, (written_ns, writer)) AS writer FROM {TABLE}
WHERE name = {{name:String}} AND key = {{key:String}}
"""
_OVERLAP_NS: Final = 60_000_000_000
"""Clocks of those who write differ by less."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "policies": ("version",),
    "recommendations": ("id",),
    "evaluations": ("trace_id", "span_id", "response_id", "name", "source", "time"),
    "audit_log": ("time", "who", "action", "detail"),
    "reviews": ("id",),
    "use_case_edits": ("id",),
    "use_case_map": ("observed_use_case_id",),
    "use_case_labels": ("use_case_id",),
    "budgets": ("id",),
    "alerts": ("id",),
}
"""Tables that are shared, and what tells their rows apart."""
_FIRST_COUNTS: Final = frozenset({"policies", "evaluations", "audit_log"})

Snapshot = dict[tuple[str, str], str]
"""(table, key) → row, both as JSON."""


class SharedRecords:
    """Carries the shared tables between ClickHouse and a DuckDB of this process."""

    def __init__(self, source: ClickHouse, *, writer: str) -> None:
        """
        Args:
            writer: names this process, so that of two who write at once each knows whether it was first.
        """
        self._source = source
        self._writer = writer
        self._seen_ns = 0
        source.run(_CREATE)

    def fetch(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Bring what others have written since the last time; inside the caller's transaction."""
        changed = self._source.rows(_CHANGED, since=self._seen_ns - _OVERLAP_NS).to_pylist()
        for found in changed:
            name = found["name"]
            if name not in KEYS:
                continue
            row = found["oldest" if name in _FIRST_COUNTS else "newest"]
            if row:
                _put(cursor, name, json.loads(row))
            else:
                _delete(cursor, name, json.loads(found["key"]))
            self._seen_ns = max(self._seen_ns, found["last_ns"])

    def snapshot(self, cursor: duckdb.DuckDBPyConnection) -> Snapshot:
        """Every row of the shared tables as this transaction sees it."""
        found: Snapshot = {}
        for name, key in KEYS.items():
            columns = [column for column, *_ in cursor.execute(f"DESCRIBE {name}").fetchall()]
            texts = ", ".join(f"{column}::VARCHAR" for column in columns)
            for values in cursor.execute(f"SELECT {texts} FROM {name}").fetchall():
                row = dict(zip(columns, values, strict=True))
                found[name, json.dumps([row[column] for column in key])] = json.dumps(row, ensure_ascii=False)
        return found

    def publish(self, before: Snapshot, after: Snapshot) -> None:
        """Write what changed between two snapshots.

        Raises:
            Conflict: another process made the same version of the policy first.
        """
        gone = dict.fromkeys(before.keys() - after.keys(), "")
        changed = gone | {key: row for key, row in after.items() if before.get(key) != row}
        if not changed:
            return
        now_ns = time.time_ns()
        self._source.insert(
            TABLE,
            [
                {"name": name, "key": key, "row": row, "written_ns": now_ns, "writer": self._writer}
                for (name, key), row in changed.items()
            ],
        )
        for name, key in changed:
            if name == "policies" and self._source.rows(_FIRST_WRITER, name=name, key=key)["writer"][0].as_py() != (
                self._writer
            ):
                raise Conflict("another version of the policy came first; look at the current one and decide again")


def _delete(cursor: duckdb.DuckDBPyConnection, name: str, key: list[str | None]) -> None:
    same = " AND ".join(f"{column}::VARCHAR IS NOT DISTINCT FROM ?" for column in KEYS[name])
    cursor.execute(f"DELETE FROM {name} WHERE {same}", key)


def _put(cursor: duckdb.DuckDBPyConnection, name: str, row: dict[str, str | None]) -> None:
    columns, values = ", ".join(row), list(row.values())
    marks = ", ".join("?" * len(values))
    if name not in _FIRST_COUNTS or name == "policies":
        cursor.execute(f"INSERT OR REPLACE INTO {name} ({columns}) VALUES ({marks})", values)
        return
    if name == "evaluations":
        # A score that waited for its call points to it since, so that its response may be all that is the same.
        same = (
            "time = ?::TIMESTAMP_NS AND name = ? AND source = ? AND ((trace_id = ? AND span_id = ?) OR response_id = ?)"
        )
        key = [row[column] for column in ("time", "name", "source", "trace_id", "span_id", "response_id")]
    else:
        same = " AND ".join(f"{column}::VARCHAR IS NOT DISTINCT FROM ?" for column in KEYS[name])
        key = [row[column] for column in KEYS[name]]
    cursor.execute(
        f"INSERT INTO {name} ({columns}) SELECT {marks} WHERE NOT EXISTS (FROM {name} WHERE {same})", [*values, *key]
    )
