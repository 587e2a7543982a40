"""The store on a ClickHouse that OpenTelemetry's exporter fills: their spans are read, nothing of theirs is written.

ClickHouse keeps the spans and finds those that may be calls. They are read through the same dialects, prices and
inference as a collector's, into a DuckDB file of this machine, where every query runs as it is written. What is decided
goes back, into one small table of ours; see docs/adr/011-one-query-two-engines.md.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tierwise.errors import StoreError, StoreLocked
from tierwise.store import landing
from tierwise.store.clickhouse_http import ClickHouse, ClickHouseAddress
from tierwise.store.clickhouse_records import SharedRecords
from tierwise.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    import duckdb

    from tierwise.store.rows import CallRecord, SpanRecord

_DAY_NS: Final = 86_400_000_000_000
_LATE_NS: Final = 900_000_000_000
"""Spans come when they end, so the last quarter of an hour is read again; what is there already is left as it is."""
_REFRESH_S: Final = 15.0


class ClickHouseStore(DuckDBStore):
    """A `Store` whose calls come from ClickHouse, and whose records are shared there."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: ClickHouse, *, refresh_s: float) -> None:
        super().__init__(connection, source.address.url)
        self._source = source
        self._shared = SharedRecords(source, writer=uuid.uuid4().hex)
        self._refresh_s = refresh_s
        self._refreshed_at = float("-inf")
        self._recent: dict[tuple[str, str], int] = {}
        """(trace id, span id) → start, of spans that were read and will be come upon again."""
        self._following = threading.RLock()
        self._inside = threading.local()

    @classmethod
    def connect(cls, url: str, *, password: str | None = None, refresh_s: float = _REFRESH_S) -> Self:
        """The store at a `clickhouse://` URL, with its calls up to now.

        Args:
            password: taken where the URL has none.
            refresh_s: how old what was read may be before a query reads on.

        Raises:
            StoreError: the URL is wrong, nobody answers, or there is no table of spans.
            StoreLocked: another process has this machine's copy of the calls open.
        """
        address = ClickHouseAddress.parse(url, password=password)
        source = ClickHouse(address)
        if not source.has_column(address.traces, "SpanAttributes"):
            raise StoreError(
                f"ClickHouse at {address.host}:{address.port} has no table {address.database}.{address.traces} with "
                "SpanAttributes; name the exporter's table: clickhouse://HOST/DATABASE?traces=TABLE"
            )
        file = Path(address.mirror) if address.mirror else _default_mirror(address)
        try:
            mirror = DuckDBStore.open(file)
        except StoreLocked as error:
            raise StoreLocked(
                f"{file}, which holds the calls read from ClickHouse, is open in another process; stop that, or give "
                "this one a file of its own: clickhouse://…?mirror=PATH"
            ) from error
        store = cls(mirror._connection, source, refresh_s=refresh_s)
        try:
            store.follow()
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        self.follow()
        with super().cursor() as cursor:
            yield cursor

    @contextmanager
    def _transaction(self) -> Generator[duckdb.DuckDBPyConnection]:
        self.follow(records_too=True)
        with self._following, self._not_again(), super()._transaction() as cursor:
            before = self._shared.snapshot(cursor)
            yield cursor
            # Before the commit: what cannot be shared does not happen here either.
            self._shared.publish(before, self._shared.snapshot(cursor))

    def add_calls(self, calls: Sequence[CallRecord], spans: Sequence[SpanRecord] = ()) -> int:
        """Refused: calls come from the table of spans, which is not ours to write.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            f"{self.url} is read, not written: send calls to the OpenTelemetry collector that fills its table"
        )

    def follow(self, *, records_too: bool = False) -> None:
        """Read what has come since the last time.

        Args:
            records_too: look for what others have decided, however lately that was done.
        """
        if getattr(self._inside, "depth", 0):
            return
        with self._following, self._not_again():
            is_due = time.monotonic() - self._refreshed_at >= self._refresh_s
            if is_due:
                self._read_spans()
                self._refreshed_at = time.monotonic()
            if is_due or records_too:
                with super()._transaction() as cursor:
                    self._shared.fetch(cursor)

    @contextmanager
    def _not_again(self) -> Generator[None]:
        self._inside.depth = getattr(self._inside, "depth", 0) + 1
        try:
            yield
        finally:
            self._inside.depth -= 1

    def _read_spans(self) -> None:
        # A room above: what makes calls of spans is the collector's, and the same here.
        from tierwise.ingest.arrivals import read_evaluations, read_spans
        from tierwise.ingest.clickhouse_spans import evaluation_events, span_pages

        with super().cursor() as cursor:
            ((newest_ns,),) = cursor.execute("SELECT epoch_ns(max(start_time)) FROM llm_calls").fetchall()
        since_ns = max(0, time.time_ns() - self._source.address.days * _DAY_NS)
        if newest_ns is not None:
            since_ns = max(since_ns, newest_ns - _LATE_NS)
        self._recent = {key: start_ns for key, start_ns in self._recent.items() if start_ns >= since_ns}
        for page in span_pages(self._source, since_ns=since_ns, known=self._recent):
            brought = read_spans(page)
            with super()._transaction() as cursor:
                landing.land(cursor, calls=brought.calls)
            late_ns = page[-1].start_ns - _LATE_NS if page else 0
            self._recent = {key: start_ns for key, start_ns in self._recent.items() if start_ns >= late_ns}
            self._recent.update(((span.trace_id, span.span_id), span.start_ns) for span in page)
        evaluations = read_evaluations(evaluation_events(self._source, since_ns=since_ns))
        if evaluations:
            with super()._transaction() as cursor:
                landing.land(cursor, evaluations=evaluations)


def _default_mirror(address: ClickHouseAddress) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = blake2b(address.url.encode(), digest_size=8).hexdigest()
    return cache / "tierwise" / f"clickhouse-{name}.duckdb"
