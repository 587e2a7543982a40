"""Every page on every kind of store: empty, small, large, stale, unreadable, and written by a newer tierwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from opening import APP, OpenPage

from tierwise.store.duckdb import DuckDBStore

PAGES = sorted(path.stem for path in (APP.parent / "views").glob("*.py"))


def empty(path: Path, populated: Path) -> None:
    DuckDBStore.open(path).close()


def small(path: Path, populated: Path) -> None:
    shutil.copy(populated, path)
    store = DuckDBStore.open(path)
    with store.cursor() as cursor:
        for table in ("llm_calls", "evaluations", "daily_traffic", "daily_days", "recommendations"):
            keep = "WHERE rowid > 0" if table == "llm_calls" else ""
            cursor.execute(f"DELETE FROM {table} {keep}")
    store.close()


def large(path: Path, populated: Path) -> None:
    shutil.copy(populated, path)
    store = DuckDBStore.open(path)
    with store.cursor() as cursor:
        # Two hundred use cases, models and tenants, and fifty thousand calls.
        cursor.execute(
            """
            INSERT INTO llm_calls BY NAME
            SELECT llm_calls.* REPLACE (
                md5(trace_id || copy) AS trace_id, left(md5(span_id || copy), 16) AS span_id,
                use_case_id || copy AS use_case_id, use_case_name || copy AS use_case_name, tenant || copy AS tenant
            )
            FROM llm_calls, range(40) AS copies(copy) WHERE shadow_of_span_id IS NULL AND hash(span_id, copy) % 6 = 0
            """
        )
        cursor.execute("DELETE FROM daily_days")
        cursor.execute("DELETE FROM daily_traffic")
    store.close()


def stale(path: Path, populated: Path) -> None:
    shutil.copy(populated, path)
    store = DuckDBStore.open(path)
    with store.cursor() as cursor:
        cursor.execute("DELETE FROM daily_days")
        cursor.execute("DELETE FROM daily_traffic")
        for column in ("start_time", "end_time"):
            cursor.execute(f"UPDATE llm_calls SET {column} = ({column}::TIMESTAMP - INTERVAL 200 DAY)::TIMESTAMP_NS")
    store.close()


def unreadable(path: Path, populated: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def newer(path: Path, populated: Path) -> None:
    shutil.copy(populated, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (999, '999_of_tomorrow', now()::TIMESTAMP_NS)")


@pytest.mark.parametrize("make", [empty, small, large, stale], ids=lambda make: make.__name__)
def test_every_page_is_drawn(
    make: Callable[[Path, Path], None],
    populated_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    open_page: OpenPage,
) -> None:
    """Whatever the store holds, each page says something, and nothing breaks."""
    make(tmp_path / "calls.duckdb", populated_file)
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{tmp_path / 'calls.duckdb'}")

    for page in PAGES:
        app = open_page(page)

        assert not app.error, (page, app.error[0].value)
        assert app.title
        assert app.subheader or app.metric or app.dataframe or app.caption, page


@pytest.mark.parametrize(
    ("make", "title"),
    [(unreadable, "The store could not answer"), (newer, "The store was written by a newer tierwise")],
    ids=["unreadable", "newer"],
)
def test_every_page_says_why_it_cannot_read(
    make: Callable[[Path, Path], None],
    title: str,
    populated_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    open_page: OpenPage,
) -> None:
    """A store that cannot be read is named on every page, with what to run."""
    make(tmp_path / "calls.duckdb", populated_file)
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{tmp_path / 'calls.duckdb'}")

    for page in PAGES:
        app = open_page(page)

        assert [alert.proto.title for alert in app.error] == [title]
        assert app.button(key="try_again")
