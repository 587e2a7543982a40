"""Carrying records between stores; the same against an engine is in test_clickhouse.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pyarrow as pa
import pytest

from tierwise.errors import Conflict
from tierwise.store.clickhouse_http import ClickHouse
from tierwise.store.clickhouse_records import KEYS, SharedRecords
from tierwise.store.duckdb import DuckDBStore


class Table:
    """The shared table, in memory, as far as `SharedRecords` asks for it."""

    def __init__(self) -> None:
        self.rows_written: list[dict[str, Any]] = []
        self._moment = itertools.count(1)

    def run(self, statement: str) -> None:
        assert statement.strip().startswith("CREATE TABLE IF NOT EXISTS tierwise_records")

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        moment = next(self._moment)
        self.rows_written += [{**row, "written_ns": moment} for row in rows]

    def rows(self, statement: str, **parameters: Any) -> pa.Table:
        if "argMin(writer" in statement:
            found = [row for row in self.rows_written if (row["name"], row["key"]) == tuple(parameters.values())]
            return pa.table({"writer": [min(found, key=lambda row: row["written_ns"])["writer"]]})
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.rows_written:
            groups.setdefault((row["name"], row["key"]), []).append(row)
        return pa.Table.from_pylist(
            [
                {
                    "name": name,
                    "key": key,
                    "newest": of[-1]["row"],
                    "oldest": of[0]["row"],
                    "last_ns": of[-1]["written_ns"],
                }
                for (name, key), of in groups.items()
            ]
        )


@pytest.fixture
def table() -> Table:
    """A shared table."""
    return Table()


def shared(table: Table, writer: str) -> SharedRecords:
    return SharedRecords(cast("ClickHouse", table), writer=writer)


def change(store: DuckDBStore, records: SharedRecords, *statements: str) -> None:
    """Run statements, and publish what they changed."""
    with store.cursor() as cursor:
        before = records.snapshot(cursor)
        for statement in statements:
            cursor.execute(statement)
        records.publish(before, records.snapshot(cursor))


_POLICY = "INSERT INTO policies VALUES (1, 'text', 'hash', '{}', 'why', 'apply', '2026-11-20 12:00:00.123456789')"


def test_rows_travel_unchanged(table: Table, memory: DuckDBStore, untouched: DuckDBStore) -> None:
    """A row arrives as it was, to the nanosecond, however often it is fetched."""
    one, other = shared(table, "one"), shared(table, "other")
    change(memory, one, _POLICY.format("ana"))
    store = DuckDBStore.open(None)

    with store.cursor() as cursor:
        other.fetch(cursor)
        other.fetch(cursor)

    assert store.sql("FROM policies").to_pylist() == memory.sql("FROM policies").to_pylist()
    store.close()


def test_newest_counts_and_what_is_gone_is_gone(table: Table, memory: DuckDBStore) -> None:
    """A changed recommendation arrives in its newest form, and one that is deleted disappears."""
    records = shared(table, "one")
    insert = (
        "INSERT INTO recommendations (id, state, content, created_at, updated_at) "
        "VALUES ('{}', 'unproven', '{{}}', now(), now())"
    )
    change(memory, records, insert.format("r1"), insert.format("r2"))
    change(memory, records, "UPDATE recommendations SET state = 'certified' WHERE id = 'r1'")
    change(memory, records, "DELETE FROM recommendations WHERE id = 'r2'")
    store = DuckDBStore.open(None)

    with store.cursor() as cursor:
        shared(table, "other").fetch(cursor)

    assert store.sql("SELECT id, state FROM recommendations").to_pylist() == [{"id": "r1", "state": "certified"}]
    store.close()


def test_first_of_two_policies_counts(table: Table, memory: DuckDBStore) -> None:
    """Of two policies with one version the first written counts, and its rival is told."""
    change(memory, shared(table, "one"), _POLICY.format("ana"))
    store = DuckDBStore.open(None)

    with pytest.raises(Conflict, match="came first"):
        change(store, shared(table, "other"), _POLICY.format("ben"))
    fresh = DuckDBStore.open(None)
    with fresh.cursor() as cursor:
        shared(table, "third").fetch(cursor)

    assert fresh.sql("SELECT who FROM policies").to_pylist() == [{"who": "ana"}]
    store.close()
    fresh.close()


def test_no_change_writes_nothing(table: Table, memory: DuckDBStore) -> None:
    """Where nothing changed, nothing is written."""
    change(memory, shared(table, "one"), "SELECT 1")

    assert table.rows_written == []


def test_every_table_of_records_is_shared(untouched: DuckDBStore) -> None:
    """A table is shared, or it is made of the spans, or it is this file's own."""
    tables = {row["name"] for row in untouched.sql("SELECT table_name AS name FROM duckdb_tables()").to_pylist()}
    made_of_spans = {"llm_calls", "spans", "daily_traffic", "daily_days"}
    own = {"landed", "schema_version"}

    assert tables - made_of_spans - own <= KEYS.keys(), tables - made_of_spans - own - KEYS.keys()
    with untouched.cursor() as cursor:
        for name, key in KEYS.items():
            columns = {column for column, *_ in cursor.execute(f"DESCRIBE {name}").fetchall()}
            assert columns >= set(key), name
