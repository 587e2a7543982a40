"""Brings a DuckDB file to the schema this tierwise knows: `store/schema/NNN_name.sql`, each applied once, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from tierwise.errors import StoreError, StoreTooNew

if TYPE_CHECKING:
    import duckdb

_VERSION_TABLE = """
CREATE TABLE schema_version (version INTEGER NOT NULL, name VARCHAR NOT NULL, applied_at TIMESTAMP_NS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of DDL."""

    version: int
    name: str
    """File name without `.sql`."""
    ddl: str


def known_migrations() -> list[Migration]:
    """What `store/schema/` holds, in order."""
    folder = files("tierwise.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        Migration(int(name[:3]), name.removesuffix(".sql"), (folder / name).read_text(encoding="utf-8"))
        for name in names
    ]


def migrate(connection: duckdb.DuckDBPyConnection, *, origin: str, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, all of it or nothing.

    Raises:
        StoreTooNew: a newer tierwise has been here.
        StoreError: the file holds something else than a tierwise store.
    """
    with_tables = _table_names(connection)
    applied = _version(connection, origin, migrations) if "schema_version" in with_tables else 0
    if applied == 0 and with_tables - {"schema_version"}:
        raise StoreError(
            f"{origin} holds other tables ({', '.join(sorted(with_tables)[:3])} …) and no tierwise store; "
            "give tierwise a file of its own"
        )
    missing = [migration for migration in migrations if migration.version > applied]
    if not missing:
        return
    connection.execute("BEGIN TRANSACTION")
    try:
        if "schema_version" not in with_tables:
            connection.execute(_VERSION_TABLE)
        for migration in missing:
            connection.execute(migration.ddl)
            connection.execute(
                "INSERT INTO schema_version VALUES (?, ?, now()::TIMESTAMP_NS)", [migration.version, migration.name]
            )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def require_current(connection: duckdb.DuckDBPyConnection, *, origin: str, migrations: Sequence[Migration]) -> None:
    """Refuse a file, opened for reading only, whose schema is not the one this tierwise knows."""
    known = migrations[-1].version
    applied = _version(connection, origin, migrations) if "schema_version" in _table_names(connection) else 0
    if applied < known:
        raise StoreError(
            f"{origin} has schema version {applied}, this tierwise reads version {known}; "
            "open it once for writing (any tierwise command does) to bring it up to date"
        )


def _version(connection: duckdb.DuckDBPyConnection, origin: str, migrations: Sequence[Migration]) -> int:
    known = migrations[-1].version
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchall()[0]
    if version > known:
        raise StoreTooNew(
            f"{origin} has schema version {version}, this tierwise knows version {known}: the file was written by a "
            "newer tierwise; upgrade with: pip install --upgrade tierwise"
        )
    return int(version)


def _table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    return {name for (name,) in rows}
