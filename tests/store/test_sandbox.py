from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.errors import QueryError
from tierwise.store.duckdb import DuckDBStore


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM parquet_scan('/etc/passwd')",
        "COPY llm_calls TO 'made.csv'",
        "COPY (SELECT 1) TO 'made.csv'",
        "EXPORT DATABASE 'made'",
        "ATTACH 'made.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA enable_profiling",
        "SET memory_limit = '9GB'",
        "RESET lock_configuration",
        "SET VARIABLE x = 1",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "CREATE TEMP TABLE t AS SELECT 1",
        "INSERT INTO audit_log VALUES (now(), 'x', 'x', 'x', '{}')",
        "UPDATE landed SET sequence = 9",
        "DROP TABLE llm_calls",
        "WITH x AS (SELECT 1) DELETE FROM landed",
        "EXPLAIN ANALYZE DELETE FROM landed",
        "SELECT * FROM force_checkpoint()",
        "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = 'made-log')",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        'SELECT * FROM "ARROW_SCAN"(1, 2, 3)',
        "SELECT (SELECT count(*) FROM system.main.checkpoint())",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "WITH x AS (FROM landed, LATERAL (FROM glob('*'))) FROM x",
        "SELECT * FROM text",
    ],
)
def test_statement_is_refused(
    untouched: DuckDBStore, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL neither writes nor reaches files, settings, extensions or Python variables."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(QueryError):
        untouched.sql(text)

    assert untouched.landed_sequence() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("FROM landed", 1),
        ("SELECT 1 -- with a remark", 1),
        ("SELECT 1;", 1),
        ("WITH x AS (SELECT 1) SELECT * FROM x", 1),
        ("VALUES (1), (2)", 2),
        ("DESCRIBE landed", 1),
        ("SHOW TABLES", 16),
        ("SELECT * FROM traffic(since := 5), unnest([1, 2])", 0),
        ("SELECT database_size FROM pragma_database_size()", 1),
        ("SUMMARIZE landed", 1),
        ("SELECT a.* FROM range(5) a ORDER BY ALL DESC", 5),
    ],
)
def test_reading_works(untouched: DuckDBStore, text: str, rows: int) -> None:
    """Every way to ask without changing anything works."""
    assert untouched.sql(text).num_rows == rows


def test_order_survives_the_limits(untouched: DuckDBStore) -> None:
    """The statement's own order is the order of the rows."""
    table = untouched.sql("SELECT range AS n FROM range(50000) ORDER BY n DESC")

    assert table["n"].to_pylist() == list(range(49_999, -1, -1))


def test_huge_result_is_refused(untouched: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are too large together are refused before they fill the untouched."""
    monkeypatch.setattr("tierwise.store.sandbox.MAX_RESULT_BYTES", 1024 * 1024)

    with pytest.raises(QueryError, match="1 MiB"):
        untouched.sql("SELECT repeat('x', 1000) AS x FROM range(5000)")
