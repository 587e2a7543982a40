"""SQL from a person or the network: one statement that reads the store, within limits, and can do nothing else.

The engine's own settings keep it from files, extensions and Python variables, and a read-only transaction from writing.
What they leave open is closed here: functions in FROM that change the engine, or take memory addresses.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from tierwise.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RESULT_BYTES: Final = 512 * 1024 * 1024
"""Arrow results live outside the engine's memory limit, so their bytes are counted here."""

_FUNCTIONS_IN_FROM: Final = frozenset(
    {
        "paid_calls",
        "selected_calls",
        "traffic",
        "duckdb_columns",
        "duckdb_databases",
        "duckdb_functions",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pragma_database_size",
        "pragma_show",
        "pragma_storage_info",
        "pragma_table_info",
        "range",
        "repeat",
        "summary",
        "unnest",
    }
)


def run(cursor: duckdb.DuckDBPyConnection, text: str, *, max_rows: int, timeout_s: float) -> pa.Table:
    """The rows of one reading statement; see `Store.sql()`."""
    timer = threading.Timer(timeout_s, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        _check(cursor, text)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        return _bounded(_variants_as_json(cursor.sql(text)), max_rows)
    except duckdb.InterruptException as error:
        raise QueryError(f"the query ran past {timeout_s:g} s; narrow it or raise the limit") from error
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    finally:
        timer.cancel()


def _check(cursor: duckdb.DuckDBPyConnection, text: str) -> None:
    ((serialized,),) = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
    parsed: dict[str, Any] = json.loads(serialized)
    if parsed["error"]:
        if parsed.get("error_type") == "not implemented":
            raise QueryError("only statements that read are run: SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE")
        raise QueryError(str(parsed["error_message"]))
    if len(parsed["statements"]) != 1:
        raise QueryError(f"{len(parsed['statements'])} statements were given; exactly one is run")
    for name in _functions_in_from(parsed["statements"]):
        if name.lower() not in _FUNCTIONS_IN_FROM:
            allowed = ", ".join(sorted(_FUNCTIONS_IN_FROM))
            raise QueryError(f"the function {name}() cannot stand in FROM; these can: {allowed}")


def _functions_in_from(tree: Any) -> Iterator[str]:
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                yield str(node["function"]["function_name"])
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node


def _variants_as_json(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    kinds = [str(kind) for kind in relation.types]
    if "VARIANT" not in kinds:
        return relation
    quoted = ['"' + column.replace('"', '""') + '"' for column in relation.columns]
    return relation.project(
        ", ".join(
            f"{column}::JSON AS {column}" if kind == "VARIANT" else column
            for column, kind in zip(quoted, kinds, strict=True)
        )
    )


def _bounded(relation: duckdb.DuckDBPyRelation, max_rows: int) -> pa.Table:
    reader = relation.to_arrow_reader(10_000)
    batches: list[pa.RecordBatch] = []
    rows = bytes_held = 0
    for batch in reader:
        rows += batch.num_rows
        bytes_held += batch.nbytes
        if rows > max_rows:
            raise QueryError(f"the result has more than {max_rows:,} rows; add LIMIT or aggregate")
        if bytes_held > MAX_RESULT_BYTES:
            raise QueryError(f"the result is larger than {MAX_RESULT_BYTES >> 20} MiB; name fewer columns or add LIMIT")
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)
