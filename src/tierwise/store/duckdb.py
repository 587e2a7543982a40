"""The store in one DuckDB file, or in memory. The file belongs to this process while it is open for writing."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
import pyarrow as pa

from tierwise.errors import QueryError, StoreError, StoreLocked
from tierwise.store import (
    PolicyRecord,
    RecommendationKind,
    budgets,
    landing,
    migrations,
    named,
    records,
    retention,
    rollup,
    sandbox,
    use_cases,
)
from tierwise.store import reviews as verdicts

if TYPE_CHECKING:
    from tierwise.call import Evaluation
    from tierwise.store.landing import Landed
    from tierwise.store.retention import Removed
    from tierwise.store.reviews import ReviewRecord
    from tierwise.store.rows import CallRecord, SpanRecord

_CONFIG: Final[dict[str, Any]] = {
    # Files stay readable by DuckDB 1.5.
    "storage_compatibility_version": "v1.5.0",
    # SQL from a person or the network reaches this database and nothing else; see `tierwise.store.sandbox`.
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    # A checkpoint rewrites the part-full row group and stalls commits meanwhile; the lander picks its moment.
    "checkpoint_threshold": "256MB",
    "memory_limit": "2GB",
    # What a query spills must not take the disk from the write-ahead log.
    "max_temp_directory_size": "4GB",
    "lock_configuration": "true",
}


class DuckDBStore:
    """A `Store` on DuckDB. Each call works on a cursor of its own, so threads do not wait for each other."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, url: str) -> None:
        self._connection = connection
        self._url = url
        self._wanted: dict[str, frozenset[str]] = {}
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: str | Path | None, *, read_only: bool = False) -> Self:
        """Open or create the file at `path`; None: a database in memory.

        Raises:
            StoreLocked: another process holds the file.
            StoreTooNew: the file was written by a newer tierwise.
        """
        origin = "memory:" if path is None else f"duckdb:{path}"
        connection = _connect(path, read_only=read_only)
        try:
            check = migrations.require_current if read_only else migrations.migrate
            check(connection, origin=origin, migrations=migrations.known_migrations())
        except duckdb.Error as error:
            connection.close()
            raise StoreError(f"{origin}: {error}") from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, origin)

    @property
    def url(self) -> str:
        return self._url

    @contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A cursor for one use by one thread. Errors of the engine leave it as `StoreError`."""
        try:
            cursor = self._connection.cursor()
        except duckdb.Error as error:
            raise StoreError(f"{self._url} is closed") from error
        try:
            yield cursor
        except duckdb.Error as error:
            raise StoreError(str(error)) from error
        finally:
            cursor.close()

    @contextmanager
    def _transaction(self) -> Generator[duckdb.DuckDBPyConnection]:
        # Writers read, judge and write (which version is in force, which call is stored already): one at a time.
        with self._writing, self.cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def query(self, name: str, /, **parameters: Any) -> pa.Table:
        text = named.text(name)
        if name not in self._wanted:
            (statement,) = duckdb.extract_statements(text)
            self._wanted[name] = frozenset(statement.named_parameters)
        values = named.bind(name, parameters, wanted=self._wanted[name] - rollup.ROLLED)
        try:
            with self.cursor() as cursor:
                if given_by_us := self._wanted[name] & rollup.ROLLED:
                    values |= rollup.rolled_spans(cursor, given_by_us, values)
                return cursor.sql(text, params=values).to_arrow_table()
        except StoreError as error:
            raise QueryError(f"query {name!r}: {error}") from error

    def sql(self, text: str, *, max_rows: int = 100_000, timeout_s: float = 30.0) -> pa.Table:
        with self.cursor() as cursor:
            return sandbox.run(cursor, text, max_rows=max_rows, timeout_s=timeout_s)

    def current_policy(self) -> PolicyRecord | None:
        with self.cursor() as cursor:
            return next(iter(records.policies(cursor, limit=1)), None)

    def policy_history(self) -> list[PolicyRecord]:
        with self.cursor() as cursor:
            return records.policies(cursor)

    def put_policy(
        self, text: str, *, who: str, why: str, action: str = "apply", based_on: int | None = None
    ) -> PolicyRecord:
        with self._transaction() as cursor:
            return records.put_policy(cursor, text, who=who, why=why, action=action, based_on=based_on)

    def recommendations(self, kind: RecommendationKind = "model") -> list[dict[str, Any]]:
        with self.cursor() as cursor:
            return records.recommendations(cursor, kind)

    def save_recommendations(self, items: Sequence[Mapping[str, Any]], kind: RecommendationKind = "model") -> None:
        with self._transaction() as cursor:
            records.save_recommendations(cursor, items, kind)

    def set_recommendation_state(
        self, recommendation_id: str, state: str, *, who: str, why: str, expected: str | None = None
    ) -> None:
        with self._transaction() as cursor:
            records.set_recommendation_state(cursor, recommendation_id, state, who=who, why=why, expected=expected)

    def audit(self, action: str, detail: Mapping[str, Any], *, who: str, why: str) -> None:
        with self._transaction() as cursor:
            records.audit(cursor, action, detail, who=who, why=why)

    def audit_log(self) -> list[dict[str, Any]]:
        with self.cursor() as cursor:
            return records.audit_log(cursor)

    def edit_use_case(
        self, kind: str, use_case_id: str, value: str, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        with self._transaction() as cursor:
            return use_cases.add(cursor, kind, use_case_id, value, who=who, why=why, based_on=based_on)

    def undo_use_case_edit(self, number: int, *, who: str, why: str) -> None:
        with self._transaction() as cursor:
            use_cases.undo(cursor, number, who=who, why=why)

    def put_budget(
        self, scope: str, value: str, monthly_usd: Decimal, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        with self._transaction() as cursor:
            return budgets.put(cursor, scope, value, monthly_usd, who=who, why=why, based_on=based_on)

    def remove_budget(self, budget_id: str, *, who: str, why: str, based_on: int) -> None:
        with self._transaction() as cursor:
            budgets.remove(cursor, budget_id, who=who, why=why, based_on=based_on)

    def add_alerts(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        with self._transaction() as cursor:
            return budgets.add_alerts(cursor, items)

    def add_calls(self, calls: Sequence[CallRecord], spans: Sequence[SpanRecord] = ()) -> int:
        return self.land(calls=calls, spans=spans).calls

    def add_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        self.land(evaluations=evaluations)

    def add_reviews(self, reviews: Sequence[ReviewRecord]) -> int:
        with self._transaction() as cursor:
            return verdicts.add(cursor, reviews)

    def undo_review(self, review_id: str, *, who: str) -> None:
        with self._transaction() as cursor:
            verdicts.undo(cursor, review_id, who=who, now_ns=time.time_ns())

    def land(
        self,
        *,
        calls: Sequence[CallRecord] = (),
        spans: Sequence[SpanRecord] = (),
        evaluations: Sequence[Evaluation] = (),
        sequence: int | None = None,
    ) -> Landed:
        """Land what arrived in one transaction; see `landing.land()`."""
        with self._transaction() as cursor:
            return landing.land(cursor, calls=calls, spans=spans, evaluations=evaluations, sequence=sequence)

    def landed_sequence(self) -> int:
        """The last write-ahead sequence whose spans are stored; 0 before the first."""
        with self.cursor() as cursor:
            ((sequence,),) = cursor.execute("SELECT sequence FROM landed").fetchall()
        return int(sequence)

    def roll_up(self, *, limit: int = 1) -> int:
        """Add up days that have ended, in one transaction; see `rollup.roll_up()`."""
        with self._transaction() as cursor:
            return rollup.roll_up(cursor, now=datetime.now(UTC), limit=limit)

    def delete_oldest(self, before_ns: int, *, limit: int) -> Removed:
        """Delete in one transaction; see `retention.delete_oldest()`."""
        with self._transaction() as cursor:
            return retention.delete_oldest(cursor, before_ns, limit=limit)

    def oldest_share_ends(self, share: float) -> int | None:
        """See `retention.oldest_share_ends()`."""
        with self.cursor() as cursor:
            return retention.oldest_share_ends(cursor, share)

    def data_bytes(self) -> int:
        """Bytes of the file that hold rows; see `retention.data_bytes()`. 0 in memory."""
        with self.cursor() as cursor:
            return retention.data_bytes(cursor)

    def checkpoint(self) -> None:
        """Move what the engine's own log holds into the file."""
        with self.cursor() as cursor:
            cursor.execute("CHECKPOINT")

    def close(self) -> None:
        self._connection.close()


def _connect(path: str | Path | None, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    if path is None:
        # Without a file there is no folder of ours to spill into.
        return duckdb.connect(":memory:", config={**_CONFIG, "temp_directory": ""})
    file = Path(path)
    if read_only and not file.exists():
        raise StoreError(f"{file}: no such file")
    try:
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(file), read_only=read_only, config=_CONFIG)
    except duckdb.Error as error:
        if "set lock" in str(error):
            raise StoreLocked(
                f"{file} is open in another process, and DuckDB lets only one in. Stop that process, or start "
                "`tierwise collect` on the file and open its address (http://127.0.0.1:4318) instead"
            ) from error
        raise StoreError(f"{file}: {error}") from error
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from error
