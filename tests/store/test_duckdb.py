from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tierwise.errors import StoreError, StoreLocked, StoreTooNew
from tierwise.store import open_store
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

MakeCall = Callable[..., CallRecord]

HOLD_FILE = """
import sys
from tierwise.store.duckdb import DuckDBStore
store = DuckDBStore.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


class TestOpen:
    def test_what_is_stored_is_there_after_opening_again(self, tmp_path: Path, make_call: MakeCall) -> None:
        """A file keeps its calls over a close."""
        path = tmp_path / "folder" / "calls.duckdb"
        store = DuckDBStore.open(path)
        store.add_calls([make_call(1)])
        store.close()

        again = DuckDBStore.open(path)

        assert again.query("calls").num_rows == 1
        again.close()

    def test_file_is_readable_by_duckdb_1_5(self, tmp_path: Path) -> None:
        """The file's format is 1.5's, whatever DuckDB writes it."""
        store = DuckDBStore.open(tmp_path / "calls.duckdb")

        tags = store.sql("SELECT tags['storage_version'] AS version FROM duckdb_databases() WHERE NOT internal")

        assert tags["version"].to_pylist()[0].startswith("v1.5.0")
        store.close()

    def test_one_process_may_open_a_file_twice(self, tmp_path: Path, make_call: MakeCall) -> None:
        """Two stores on one file in one process share it, and either may be closed first."""
        path = tmp_path / "calls.duckdb"
        first, second = DuckDBStore.open(path), DuckDBStore.open(path)

        first.add_calls([make_call(1)])
        first.close()

        assert second.query("calls").num_rows == 1
        second.close()

    def test_file_held_by_another_process_is_locked(self, tmp_path: Path) -> None:
        """Opening a file that another process holds says that it is held and what to do."""
        path = tmp_path / "calls.duckdb"
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_FILE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(StoreLocked, match="tierwise collect"):
            open_store(f"duckdb:{path}")

        holder.communicate()
        open_store(f"duckdb:{path}").close()

    def test_newer_schema_is_refused(self, tmp_path: Path) -> None:
        """A file written by a newer tierwise is refused with both versions and the way out."""
        path = tmp_path / "calls.duckdb"
        DuckDBStore.open(path).close()
        with duckdb.connect(str(path)) as connection:
            connection.execute("INSERT INTO schema_version VALUES (999, 'future', now()::TIMESTAMP_NS)")

        with pytest.raises(StoreTooNew, match=r"999.*version \d+.*upgrade"):
            open_store(f"duckdb:{path}")

    def test_reading_only_leaves_room_for_other_readers(self, tmp_path: Path) -> None:
        """A file opened for reading only answers queries and refuses to write."""
        path = tmp_path / "calls.duckdb"
        DuckDBStore.open(path).close()

        store = open_store(f"duckdb:{path}", read_only=True)

        assert store.query("calls").num_rows == 0
        with pytest.raises(StoreError, match="read-only"):
            store.audit("x", {}, who="ana", why="")
        store.close()

    def test_reading_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        """A file that is not there is not made by a reader."""
        with pytest.raises(StoreError, match="no such file"):
            open_store(f"duckdb:{tmp_path / 'none.duckdb'}", read_only=True)

        assert list(tmp_path.iterdir()) == []

    def test_something_else_than_a_database_is_an_error(self, tmp_path: Path) -> None:
        """A file of another kind is a StoreError that names it."""
        path = tmp_path / "notes.txt"
        path.write_text("not a database at all" * 1000)

        with pytest.raises(StoreError, match=r"notes\.txt"):
            open_store(f"duckdb:{path}")

    @pytest.mark.parametrize("url", ["calls.duckdb", "duckdb:", "memory:x", "postgres://x", ""])
    def test_unknown_url_is_refused(self, url: str) -> None:
        """A URL of no known kind is answered with the kinds there are."""
        with pytest.raises(StoreError, match="duckdb:PATH"):
            open_store(url)

    def test_closed_store_says_so(self, memory: DuckDBStore) -> None:
        """Using a closed store is a StoreError; closing twice is fine."""
        memory.close()
        memory.close()

        with pytest.raises(StoreError, match="closed"):
            memory.current_policy()


def test_reading_goes_on_while_writing(memory: DuckDBStore, make_call: MakeCall) -> None:
    """Readers see whole landings, and only more of them over time, while calls land."""
    landed = threading.Event()
    counts: list[int] = []

    def read() -> None:
        while not landed.is_set():
            counts.append(memory.query("overview_totals")["calls"].to_pylist()[0])

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 400, 20):
        memory.add_calls([make_call(number) for number in range(start + 1, start + 21)])
    landed.set()
    reader.join()

    assert counts == sorted(counts)
    assert all(count % 20 == 0 for count in counts)
    assert memory.query("overview_totals")["calls"].to_pylist() == [400]
