"""The ClickHouse store on chdb, an embedded ClickHouse, behind ClickHouse's HTTP interface.

chdb is larger than everything else together, so it is no dependency: `make unit-clickhouse` installs it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Decision, Evaluation, Usage
from tierwise.errors import Conflict, StoreError
from tierwise.ingest import arrivals, clickhouse_spans, otlp
from tierwise.ingest.spans import Span
from tierwise.store import named, open_store
from tierwise.store.clickhouse import ClickHouseStore
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

chdb = pytest.importorskip("chdb.session", reason="chdb is not installed; make unit-clickhouse installs it")

RECORDED: Final = Path(__file__).parents[1] / "ingest" / "dialects" / "recorded"
NOON_NS: Final = 1_790_000_000_000_000_000
POLICY: Final = 'version = 1\n[[rule]]\nid = "cheap"\nkind = "pin"\n'

TRACES: Final = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (
        Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested (
        TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""
"""As the ClickHouse exporter of opentelemetry-collector-contrib (Apache-2.0) creates it."""
LOGS: Final = """
CREATE TABLE otel_logs (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String,
    SpanId String,
    ServiceName LowCardinality(String),
    Body String,
    LogAttributes Map(LowCardinality(String), String),
    EventName String
) ENGINE = MergeTree ORDER BY (ServiceName, Timestamp)
"""
"""The columns of its log table that are read, and those they stand among."""


class Server:
    """A ClickHouse on loopback, as far as its HTTP interface is used."""

    def __init__(self, folder: Path) -> None:
        self._session: Any = chdb.Session(str(folder))
        # The embedded engine takes one statement at a time.
        lock = threading.Lock()
        outer = self
        self.statements: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                statement = self.rfile.read(int(self.headers["content-length"])).decode()
                given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
                bound = {key.removeprefix("param_"): value for key, value in given.items() if key.startswith("param_")}
                outer.statements.append(statement)
                try:
                    with lock:
                        outer._session.query(f"USE {given['database']}")
                        head, marker, _ = statement.partition("\nFORMAT ArrowStream")
                        if marker:
                            head += " SETTINGS output_format_arrow_string_as_string = 1"
                        content = outer._session.query(head, "ArrowStream", params=bound).bytes() or b""
                    status = 200
                except Exception as error:  # noqa: BLE001 - the server answers, whatever the engine says
                    content, status = str(error).encode(), 500
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def query(self, statement: str) -> str:
        return str(self._session.query(statement, "CSV"))

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        lines = "\n".join(map(json.dumps, rows))
        self._session.query(f"INSERT INTO {table} FORMAT JSONEachRow\n{lines}")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._session.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A ClickHouse."""
    opened = Server(tmp_path_factory.mktemp("chdb"))
    yield opened
    opened.close()


@pytest.fixture
def database(server: Server) -> str:
    """A database with the exporter's empty tables."""
    server.query("DROP DATABASE IF EXISTS otel")
    server.query("CREATE DATABASE otel ENGINE = Atomic")
    server.query("USE otel")
    server.query(TRACES)
    server.query(LOGS)
    return "otel"


@pytest.fixture
def connect(server: Server, database: str, tmp_path: Path) -> Generator[Callable[..., ClickHouseStore]]:
    """Opens the store, each with a mirror of its own."""
    opened: list[ClickHouseStore] = []

    def connect() -> ClickHouseStore:
        mirror = tmp_path / f"mirror-{len(opened)}.duckdb"
        url = f"clickhouse://reader@127.0.0.1:{server.port}/{database}?days=36500&mirror={mirror}"
        opened.append(ClickHouseStore.connect(url, refresh_s=0.0))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def as_text(value: Any) -> str:
    """An attribute as the exporter writes it."""
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def span_row(record: CallRecord) -> dict[str, Any]:
    """The row of `otel_traces` that a call's span becomes."""
    return {
        "Timestamp": str(record.start_ns // 10**9) + f".{record.start_ns % 10**9:09d}",
        "TraceId": record.trace_id,
        "SpanId": record.span_id,
        "ParentSpanId": record.parent_span_id or "",
        "SpanName": f"{record.call.operation} {record.call.request_model}",
        "SpanKind": "Client",
        "ServiceName": record.service_name,
        "ResourceAttributes": {"service.name": record.service_name, "telemetry.sdk.language": "python"},
        "ScopeName": record.instrumentation,
        "SpanAttributes": {key: as_text(value) for key, value in to_attributes(record.call).items()},
        "Duration": record.end_ns - record.start_ns,
        "StatusCode": "Error" if record.call.error_type else "Unset",
    }


@pytest.fixture
def records(make_call: Callable[..., CallRecord]) -> list[CallRecord]:
    """Calls of every kind that a named query looks at, shadow calls among them."""
    minute_ns = 60_000_000_000

    def call(number: int, **fields: Any) -> CallRecord:
        start_ns = NOON_NS + number * minute_ns
        return make_call(number, start_ns=start_ns, end_ns=start_ns + (number % 7 + 1) * 123_456_789, **fields)

    made: list[CallRecord] = []
    for number in range(1, 41):
        decision = Decision("gpt-5.4", "gpt-5.4", 3, "cheap", "control", "unchanged", 0.9, "drawn")
        usage = Usage(1000 + number, 100 + number, cache_read_tokens=100 * (number % 3), reasoning_tokens=number % 5)
        made.append(
            call(
                number,
                usage=usage,
                usd=None if number % 11 == 0 else f"0.{number:04d}",
                unpriced_reason="no price" if number % 11 == 0 else None,
                task_type=("extraction", "summarization")[number % 2],
                task_confidence=0.75,
                task_source="inferred",
                complexity="low",
                use_case_id=f"uc_{number % 3}",
                use_case_name=f"case {number % 3}",
                tenant=("acme", "42")[number % 2],
                conversation_id=f"talk {number // 4}",
                service_name=("checkout", "search")[number % 2],
                decision=decision if number % 4 == 0 else None,
                error_type="RateLimitError" if number % 13 == 0 else None,
                finish_reasons=("length",) if number % 10 == 0 else ("stop",),
                stream=number % 2 == 0,
                parameters={"gen_ai.request.max_tokens": 500, "gen_ai.request.reasoning.level": "low"},
            )
        )
        if number % 5 == 0:
            primary = made[-1]
            shadow_of = f"{primary.trace_id}-{primary.span_id}"
            made.append(
                call(
                    number + 100,
                    request_model="gpt-5.4-mini",
                    usd="0.0005",
                    shadow_of=shadow_of,
                    shadow_propensity=0.2,
                )
            )
    return made


@pytest.fixture
def scores(records: list[CallRecord]) -> list[Evaluation]:
    """A score of every third call and of every shadow call."""
    return [
        Evaluation(record.trace_id, record.span_id, "exact", "check", float(place % 2), record.end_ns)
        for place, record in enumerate(records)
        if place % 3 == 0
        or record.call.shadow_of
        or any(other.call.shadow_of == f"{record.trace_id}-{record.span_id}" for other in records)
    ]


PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "lever_cache": {"units": 4},
    "lever_effort": {"units": 4},
    "lever_waste": {"units": 4},
    "savings_cells": {"units": 4},
}
"""Of queries that need some."""


class TestQueries:
    def test_named_queries_give_the_same_rows(
        self,
        server: Server,
        connect: Callable[..., ClickHouseStore],
        memory: DuckDBStore,
        records: list[CallRecord],
        scores: list[Evaluation],
    ) -> None:
        """Every named query answers from the exporter's table what it answers from a collector's store."""
        memory.add_calls(records)
        memory.add_evaluations(scores)
        server.insert("otel_traces", [span_row(record) for record in records])
        store = connect()
        store.add_evaluations(scores)

        for name in named.names():
            given = PARAMETERS.get(name, {})
            wanted = memory.query(name, **given)
            assert store.query(name, **given).to_pylist() == wanted.to_pylist(), name
            if name in ("calls", "overview_totals", "top_use_cases", "pairs", "savings_calls"):
                assert wanted.num_rows, name

    def test_filters(
        self,
        server: Server,
        connect: Callable[..., ClickHouseStore],
        memory: DuckDBStore,
        records: list[CallRecord],
    ) -> None:
        """A filter selects the same calls, a tenant whose name is a number among them."""
        memory.add_calls(records)
        server.insert("otel_traces", [span_row(record) for record in records])
        store = connect()

        for given in ({"tenant": "42"}, {"service": ["search"], "since": NOON_NS + 10**12}, {"use_case": "case 1"}):
            wanted = memory.query("calls", **given)
            assert wanted.num_rows
            assert store.query("calls", **given).to_pylist() == wanted.to_pylist()

    @pytest.mark.parametrize("dialect", ["official", "openinference", "openllmetry", "langfuse", "logfire", "vercel"])
    def test_other_instrumentations(
        self, server: Server, connect: Callable[..., ClickHouseStore], memory: DuckDBStore, dialect: str
    ) -> None:
        """Spans of other instrumentations are the same calls, with cost and task, as a collector makes of them."""
        request = json.loads((RECORDED / f"{dialect}.json").read_text(encoding="utf-8"))["request"]
        payload = otlp.read("traces", json.dumps(request).encode(), kind=otlp.JSON, encoding="")
        # Earlier calls of a use case vote on its task, so both read the calls in the same order, and from the start.
        arrivals.forget_tasks()
        brought = arrivals.read_spans(sorted(payload.spans(), key=lambda span: (span.start_ns, span.span_id)))
        arrivals.forget_tasks()
        memory.land(calls=brought.calls, spans=brought.spans)
        server.insert("otel_traces", [exported(span) for span in payload.spans()])

        store = connect()

        assert store.query("calls").to_pylist() == memory.query("calls").to_pylist()
        assert store.query("overview_totals")["calls"][0].as_py() >= 4

    def test_new_spans_are_found(
        self, server: Server, connect: Callable[..., ClickHouseStore], make_call: Callable[..., CallRecord]
    ) -> None:
        """A span that arrives later, though it began earlier, is read by the next query, and none twice."""
        server.insert("otel_traces", [span_row(make_call(2))])
        store = connect()
        assert store.query("overview_totals")["calls"][0].as_py() == 1

        server.insert("otel_traces", [span_row(make_call(1)), span_row(make_call(3))])

        assert store.query("overview_totals")["calls"][0].as_py() == 3

    def test_pages(
        self,
        server: Server,
        connect: Callable[..., ClickHouseStore],
        make_call: Callable[..., CallRecord],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """More spans than fit in a page are all read, those that began at the same moment among them."""
        monkeypatch.setattr(clickhouse_spans, "_PAGE_SPANS", 2)
        server.insert(
            "otel_traces", [span_row(make_call(number, start_ns=NOON_NS + number // 3)) for number in range(7)]
        )

        assert connect().query("overview_totals")["calls"][0].as_py() == 7

    def test_only_calls_are_read(
        self, server: Server, connect: Callable[..., ClickHouseStore], make_call: Callable[..., CallRecord]
    ) -> None:
        """Spans about no model stay where they are, and nothing of theirs is written."""
        row = span_row(make_call(1))
        server.insert("otel_traces", [{**row, "SpanAttributes": {"http.route": "/pay"}, "ScopeName": "web"}])

        store = connect()

        assert store.query("overview_totals")["calls"][0].as_py() == 0
        assert not any("INSERT" in statement and "otel_" in statement for statement in server.statements)

    def test_scores_in_the_logs(
        self, server: Server, connect: Callable[..., ClickHouseStore], make_call: Callable[..., CallRecord]
    ) -> None:
        """An evaluation event in the table of logs is a score of its call."""
        record = make_call(1)
        server.insert("otel_traces", [span_row(record)])
        attributes = {sc.EVALUATION_NAME: "exact", sc.EVALUATION_SOURCE: "check", sc.EVALUATION_SCORE_VALUE: "1"}
        event = {
            "Timestamp": span_row(record)["Timestamp"],
            "TraceId": record.trace_id,
            "SpanId": record.span_id,
            "EventName": sc.EVALUATION_EVENT,
            "LogAttributes": attributes,
        }
        server.insert("otel_logs", [event])

        (score,) = connect().query("evaluations").to_pylist()

        assert (score["name"], score["source"], score["score"]) == ("exact", "check", 1.0)


def exported(span: Span) -> dict[str, Any]:
    """The row of `otel_traces` that a span becomes."""
    return {
        "Timestamp": f"{span.start_ns // 10**9}.{span.start_ns % 10**9:09d}",
        "TraceId": span.trace_id,
        "SpanId": span.span_id,
        "ParentSpanId": span.parent_span_id or "",
        "SpanName": span.name,
        "SpanKind": span.kind.capitalize(),
        "ServiceName": span.service_name,
        "ScopeName": span.scope_name,
        "SpanAttributes": {key: as_text(value) for key, value in span.attributes.items()},
        "Duration": span.end_ns - span.start_ns,
        "StatusCode": span.status.capitalize(),
    }


class TestRecords:
    def test_team_shares_what_it_decides(self, connect: Callable[..., ClickHouseStore]) -> None:
        """A policy, a recommendation and its state, put by one process, are there for another, with the audit log."""
        one, other = connect(), connect()

        one.put_policy(POLICY, who="ana", why="start")
        one.save_recommendations([{"id": "r1", "title": "try it"}])
        other.set_recommendation_state("r1", "dismissed", who="ben", why="no")

        assert other.current_policy() == one.current_policy()
        assert [(item["id"], item["state"]) for item in one.recommendations()] == [("r1", "dismissed")]
        assert [entry["who"] for entry in one.audit_log()] == ["ben", "ana"]
        assert one.audit_log() == other.audit_log()

    def test_stale_change_is_refused(self, connect: Callable[..., ClickHouseStore]) -> None:
        """A policy made from another version than the one in force is a Conflict, though another process made that."""
        one, other = connect(), connect()
        one.put_policy(POLICY, who="ana", why="start")

        with pytest.raises(Conflict, match="version 1"):
            other.put_policy(POLICY, who="ben", why="late")

        assert [record.who for record in other.policy_history()] == ["ana"]

    def test_second_of_two_at_once_is_refused(
        self, server: Server, connect: Callable[..., ClickHouseStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of two that make the same version at the same moment, the second to arrive is told, and has none of it."""
        one, other = connect(), connect()
        monkeypatch.setattr(other, "follow", lambda **_: None)
        one.put_policy(POLICY, who="ana", why="start")

        with pytest.raises(Conflict, match="came first"):
            other.put_policy(POLICY, who="ben", why="at once")

        monkeypatch.undo()
        assert [record.who for record in other.policy_history()] == ["ana"]

    def test_what_is_taken_away_is_gone(self, connect: Callable[..., ClickHouseStore]) -> None:
        """A budget that one process removes is removed for another."""
        one, other = connect(), connect()
        one.put_budget("tenant", "acme", Decimal(100), who="ana", why="limit")
        (budget,) = other.sql("SELECT id, revision FROM budgets").to_pylist()

        other.remove_budget(budget["id"], who="ben", why="not needed", based_on=budget["revision"])

        assert one.sql("FROM budgets").num_rows == 0


class TestConnecting:
    def test_calls_are_not_written(
        self, connect: Callable[..., ClickHouseStore], make_call: Callable[..., CallRecord]
    ) -> None:
        """Calls come from their table, so that adding some here is refused with the way out."""
        with pytest.raises(StoreError, match="OpenTelemetry collector"):
            connect().add_calls([make_call(1)])

    def test_url_opens_again_without_the_password(self, server: Server, database: str, tmp_path: Path) -> None:
        """`open_store()` takes the URL, and the store's own names no password."""
        url = f"clickhouse://reader:secret@127.0.0.1:{server.port}/{database}?mirror={tmp_path / 'm.duckdb'}"

        store = open_store(url)
        named_by = store.url
        store.close()
        again = open_store(named_by)
        again.close()

        assert "secret" not in named_by
        assert again.url == named_by

    def test_no_table_of_spans(self, server: Server, database: str) -> None:
        """A database without the exporter's table is refused, and the message says how to name another."""
        with pytest.raises(StoreError, match="traces=TABLE"):
            open_store(f"clickhouse://127.0.0.1:{server.port}/{database}?traces=nothing")

    def test_refusal_says_why(self, connect: Callable[..., ClickHouseStore], server: Server) -> None:
        """What the server says when it refuses is what the user reads."""
        store = connect()
        server.query("DROP TABLE otel_traces")

        with pytest.raises(StoreError, match="otel_traces"):
            store.query("overview_totals")
