"""Logs into a store: every row read, priced and landed, or reported with its line and the reason."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tierwise import prices
from tierwise.errors import TierwiseError
from tierwise.imports.formats import FORMATS, Format, otlp
from tierwise.imports.logged import BatchOrder, LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.records import Inferred, inferred, price_order, to_record
from tierwise.imports.rows import Refused, Row, read_rows
from tierwise.imports.sources import Source, opened
from tierwise.ingest.arrivals import read_arrivals
from tierwise.ingest.otlp import Payload
from tierwise.ingest.spans import Span, SpanRefused
from tierwise.instrumentation.content_capture import ContentCapture
from tierwise.instrumentation.sdk import Reply
from tierwise.store.rows import CallRecord, SpanRecord
from tierwise.tasks.memory import TaskMemory

if TYPE_CHECKING:
    from tierwise.store import Store

Item = TypeVar("Item")

BATCH: Final = 10_000
"""Calls landed in one transaction: what is lost, and imported again by the next run, when one is broken off."""
_REMOTE_BATCH: Final = 1_000
"""The same through a collector, whose requests are bounded."""
_IDS_ASKED: Final = 2_000
_KEYS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that was not imported."""

    source: str
    line: int
    reason: str


@dataclass(slots=True)
class Totals:
    """What an import did, so far."""

    rows: int = 0
    """Read, in order or not."""
    calls: int = 0
    """Found in the rows."""
    added: int = 0
    """Calls that are in the store now and were not before."""
    known: int = 0
    """Calls that were in the store, or earlier in the logs, already."""
    spans: int = 0
    """Other spans, around calls."""
    orders: int = 0
    """Requests of batches, which tell what the answers were for."""
    refused: int = 0
    """Rows that could not be read."""
    formats: Counter[str] = field(default_factory=Counter[str])
    """Rows by format."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Rows in order that describe no billable call, by reason."""
    refusals: Counter[str] = field(default_factory=Counter[str])
    """Refused rows by reason, numbers left out."""
    unpriced: Counter[str] = field(default_factory=Counter[str])
    """Calls without a price, by reason."""
    stated: int = 0
    """Calls without a price of ours, which have the cost that their log states."""
    estimated: int = 0
    """Calls whose tokens are our estimate from their texts."""
    unclassified: int = 0
    """Calls whose task type nothing tells."""
    undated: int = 0
    """Calls whose log gives no time; they have the file's."""
    interrupted: bool = False


Progress = Callable[[int, int], None]
"""Told of (bytes read of all logs, calls found), often."""


class Importer:
    """Reads logs into one store."""

    def __init__(
        self,
        store: Store,
        *,
        format_name: str | None = None,
        column_map: Mapping[str, str] | None = None,
        capture: ContentCapture | None = None,
        service: str | None = None,
        on_problem: Callable[[Problem], None] = lambda _: None,
        on_progress: Progress = lambda _, __: None,
    ) -> None:
        """
        Args:
            format_name: take every row for one of this format; None: each tells its own.
            column_map: field → column, for the format `csv`; it decides that rows with these columns are of it.
            capture: what of prompts and answers is kept; None: nothing.
            service: service name of calls whose log names none.

        Raises:
            TierwiseError: there is no such format.
        """
        if format_name is not None and format_name not in FORMATS:
            raise TierwiseError(f"no format is named {format_name!r}; formats: {', '.join(FORMATS)}")
        self.totals = Totals()
        self._store = store
        self._capture = capture or ContentCapture()
        self._reading = Reading(self._capture.needs_text, dict(column_map or {}))
        only = None if format_name is None else FORMATS[format_name]
        self._only: Format | None = FORMATS["csv"] if only is None and column_map else only
        self._service = service
        self._on_problem = on_problem
        self._on_progress = on_progress
        self._memory = TaskMemory()
        self._ordered: dict[str, Inferred] = {}
        self._seen: Counter[bytes] = Counter()
        self._waiting: list[tuple[LoggedCall, Inferred, str, bytes, int]] = []
        self._spans: list[Span] = []
        self._batch = _REMOTE_BATCH if store.url.startswith("http") else BATCH
        self._imported_ns = self._undated_ns = time.time_ns()

    def run(self, sources: Sequence[Source]) -> Totals:
        """Import logs, and say what came of it; what an interrupted run has landed stays.

        Raises:
            TierwiseError: a log cannot be opened, or the store not be written.
        """
        prices.load()
        done_bytes = 0
        try:
            for source in sources:
                self._seen.clear()
                self._undated_ns = source.modified_ns or self._imported_ns
                with opened(source, partial(self._tell, done_bytes)) as stream:
                    for row in read_rows(stream):
                        self._take(source, row)
                done_bytes += source.size_bytes or 0
            self._land()
        except KeyboardInterrupt:
            self.totals.interrupted = True
        return self.totals

    def _tell(self, done_bytes: int, read_bytes: int) -> None:
        self._on_progress(done_bytes + read_bytes, self.totals.calls)

    def _take(self, source: Source, row: Row | Refused) -> None:
        self.totals.rows += 1
        try:
            if isinstance(row, Refused):
                raise UnreadableRow(row.reason)
            found = self._format_of(row)
            self.totals.formats[found.NAME] += 1
            self._keep(source, row, found.NAME, found.read(row.value, self._reading))
        except NotACall as reason:
            self.totals.left_out[str(reason)] += 1
        except UnreadableRow as reason:
            self._refuse(source, row.line, str(reason))
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # A shape that its format does not have: one row's loss, not the import's.
            self._refuse(source, row.line, f"a shape that is not known: {type(error).__name__}: {error}")

    def _format_of(self, row: Row) -> Format:
        if self._only is not None:
            if self._only is not FORMATS["csv"] and not self._only.claims(row.value):
                raise UnreadableRow(f"not of the format {self._only.NAME}: {_described(row.value)}")
            return self._only
        found = next((item for item in FORMATS.values() if item.claims(row.value)), None)
        if found is None:
            raise UnreadableRow(f"of no known format: {_described(row.value)}")
        return found

    def _keep(
        self, source: Source, row: Row, name: str, items: Iterable[LoggedCall | BatchOrder | Span | SpanRefused]
    ) -> None:
        for item in items:
            if isinstance(item, LoggedCall):
                self._keep_call(row, name, item)
            elif isinstance(item, BatchOrder):
                self._keep_order(item)
            elif isinstance(item, Span):
                self._spans.append(item)
            else:
                self._refuse(source, row.line, str(item))
        if len(self._waiting) + len(self._spans) >= self._batch:
            self._land()

    def _keep_call(self, row: Row, name: str, call: LoggedCall) -> None:
        self.totals.calls += 1
        found = None if call.order is None else self._ordered.get(call.order)
        found = found or inferred(call, call.body, self._memory)
        if call.start_ns is None:
            self.totals.undated += 1
        key = b"" if call.own_id is not None else self._key(row)
        self._waiting.append((call, found, name, key, self._undated_ns))

    def _key(self, row: Row) -> bytes:
        """What a call without an id is known by: its row, and which of the rows that are the same it is."""
        content = row.raw or json.dumps(row.value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
        digest = blake2b(content.strip(), digest_size=12).digest()
        self._seen[digest] += 1
        return digest + self._seen[digest].to_bytes(4, "big")

    def _keep_order(self, order: BatchOrder) -> None:
        self.totals.orders += 1
        operation = "embeddings" if (order.path or "").endswith("/embeddings") else "chat"
        asked = LoggedCall("unknown", "unknown", None, Reply(), operation=operation, body=order.body)
        self._ordered[order.custom_id] = inferred(asked, order.body, self._memory)

    def _refuse(self, source: Source, line: int, reason: str) -> None:
        self.totals.refused += 1
        self.totals.refusals[_kind_of(reason)] += 1
        self._on_problem(Problem(source.name, line, reason))

    # --- landing ------------------------------------------------------------------------------------------------------

    def _land(self) -> None:
        waiting, self._waiting = self._waiting, []
        spans, self._spans = self._spans, []
        # Calls of one price, and of one format, stand together: the store looks for other views of the same call only
        # where there are several.
        waiting.sort(key=lambda item: (item[2], *price_order(item[0])))
        calls = [
            to_record(call, found, format_name=name, key=key, at_ns=at_ns, service=self._service, capture=self._capture)
            for call, found, name, key, at_ns in waiting
        ]
        undated = [record for record, item in zip(calls, waiting, strict=True) if item[0].start_ns is None]
        others: list[SpanRecord] = []
        if spans:
            arrivals = read_arrivals(Payload("traces", 0, len(spans), (), lambda: spans, _no_events))
            calls += arrivals.calls if self._capture.on_spans else map(otlp.without_content, arrivals.calls)
            self.totals.calls += len(arrivals.calls)
            others = arrivals.spans
            self.totals.spans += len(others)
        for record in calls:
            self._count(record)
        calls = self._not_stored(calls, undated)
        for _, group in groupby(calls, key=lambda record: record.instrumentation):
            for part in _parts(list(group), self._batch):
                self.totals.added += self._store.add_calls(part)
        for part in _parts(others, self._batch):
            self._store.add_calls((), part)
        self.totals.known = self.totals.calls - self.totals.added

    def _not_stored(self, calls: list[CallRecord], undated: Iterable[CallRecord]) -> list[CallRecord]:
        """The calls without those that are stored under another time: the store looks for a call at its own only.

        Args:
            undated: those whose time is that of a file, which may have been copied since.
        """
        ids = [record.span_id for record in undated]
        known: set[str] = set()
        for number in range(0, len(ids), _IDS_ASKED):
            table = self._store.query("stored_spans", spans=",".join(ids[number : number + _IDS_ASKED]))
            known.update(table["span_id"].to_pylist())
        return [record for record in calls if record.span_id not in known] if known else calls

    def _count(self, record: CallRecord) -> None:
        call, totals = record.call, self.totals
        if call.cost is None:
            totals.unpriced[call.unpriced_reason or "unknown"] += 1
        totals.stated += call.cost is not None and call.cost.source == "provider"
        totals.estimated += call.usage.estimated
        totals.unclassified += call.task_type == "unknown"


def _parts(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    return (items[number : number + size] for number in range(0, len(items), size))


def _no_events() -> tuple[()]:
    return ()


def _described(value: Mapping[str, Any]) -> str:
    names = ", ".join(islice(value, _KEYS_SHOWN))
    return f"its members are {names}{', …' if len(value) > _KEYS_SHOWN else ''}" if names else "it is empty"


def _kind_of(reason: str) -> str:
    """A reason without what differs from row to row, so that the same ones add up."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "…", re.sub(r"\d[\d,.]*", "N", reason))
