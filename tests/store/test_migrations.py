from __future__ import annotations

import duckdb
import pytest

from tierwise.errors import StoreError
from tierwise.store.migrations import Migration, known_migrations, migrate

FIRST = Migration(1, "001_first", "CREATE TABLE first (x INTEGER)")
SECOND = Migration(2, "002_second", "CREATE TABLE second (x INTEGER)")
BROKEN = Migration(3, "003_broken", "CREATE TABLE third (x INTEGER); CREATE TABLE broken (x NO_SUCH_TYPE)")


def table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_files_are_numbered_without_gaps() -> None:
    """The schema's files are numbered 1, 2, 3 …"""
    versions = [migration.version for migration in known_migrations()]

    assert versions == list(range(1, len(versions) + 1))


def test_older_file_gets_what_is_missing() -> None:
    """What was applied before is not applied again; what is missing is."""
    connection = duckdb.connect()
    migrate(connection, origin="test", migrations=[FIRST])
    connection.execute("INSERT INTO first VALUES (7)")

    migrate(connection, origin="test", migrations=[FIRST, SECOND])

    assert table_names(connection) == {"first", "second", "schema_version"}
    assert connection.execute("SELECT x FROM first").fetchall() == [(7,)]
    assert connection.execute("SELECT version, name FROM schema_version ORDER BY ALL").fetchall() == [
        (1, "001_first"),
        (2, "002_second"),
    ]


def test_failing_step_leaves_the_file_as_it_was() -> None:
    """Steps are applied together or not at all."""
    connection = duckdb.connect()
    migrate(connection, origin="test", migrations=[FIRST])

    with pytest.raises(duckdb.Error):
        migrate(connection, origin="test", migrations=[FIRST, SECOND, BROKEN])

    assert table_names(connection) == {"first", "schema_version"}
    assert connection.execute("SELECT max(version) FROM schema_version").fetchall() == [(1,)]


def test_somebody_elses_database_is_left_alone() -> None:
    """A database with other tables and no tierwise schema is refused."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE customers (x INTEGER)")

    with pytest.raises(StoreError, match="customers"):
        migrate(connection, origin="test", migrations=[FIRST])

    assert table_names(connection) == {"customers"}
