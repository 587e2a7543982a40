"""Spans and log events in the tables of OpenTelemetry's ClickHouse exporter, `otel_traces` and `otel_logs`.

The exporter keeps every attribute as text. What a number, a flag or a list was before is told by its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tierwise import semconv as sc
from tierwise.ingest.spans import LogEvent, Span, checked_times, split_resource
from tierwise.store.clickhouse_http import ClickHouse, identifier

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE_SPANS: Final = 20_000
_MARKS: Final = (
    sc.REQUEST_MODEL,
    sc.RESPONSE_MODEL,
    sc.OPERATION_NAME,
    sc.SYSTEM_LEGACY,
    "openinference.span.kind",
    "langfuse.observation.type",
    "ai.operationId",
)
"""One of these stands on every span that a dialect reads; but for OpenLIT's of some failures, known by its scope."""

_PAGE: Final = """
SELECT TraceId, SpanId, ParentSpanId, SpanName, lower(SpanKind) AS SpanKind, ServiceName, ScopeName,
       toUnixTimestamp64Nano(Timestamp) AS StartNs, toInt64(Duration) AS DurationNs, lower(StatusCode) AS StatusCode,
       toJSONString(SpanAttributes) AS Attributes, toJSONString(ResourceAttributes) AS Resource
FROM {table}
WHERE Timestamp >= fromUnixTimestamp64Nano({{since:Int64}})
  AND (toUnixTimestamp64Nano(Timestamp), SpanId) > ({{after:Int64}}, {{after_id:String}})
  AND (hasAny(mapKeys(SpanAttributes), [{marks}]) OR startsWith(ScopeName, 'openlit.'))
ORDER BY toUnixTimestamp64Nano(Timestamp), SpanId
LIMIT {{page:UInt32}}
"""
_EVENTS: Final = """
SELECT TraceId, SpanId, toUnixTimestamp64Nano(Timestamp) AS TimeNs, toJSONString(LogAttributes) AS Attributes
FROM {table}
WHERE Timestamp >= fromUnixTimestamp64Nano({{since:Int64}})
  AND ({named} OR LogAttributes['event.name'] = {{event:String}})
ORDER BY Timestamp
"""

_NUMBER_KEYS: Final = re.compile(
    r"usage|token|cost|temperature|top_[pk]|seed|penalty|count|port$|confidence|propensity|time_to_first|duration"
    r"|msTo|policy_version|maxOutput|score\.value"
)
_LIST_KEYS: Final = frozenset({sc.RESPONSE_FINISH_REASONS, sc.REQUEST_STOP_SEQUENCES})
_FLAGS: Final = {"true": True, "false": False}


def span_pages(
    source: ClickHouse, *, since_ns: int, known: Container[tuple[str, str]] = frozenset()
) -> Iterator[list[Span]]:
    """The spans since then that may be calls, oldest first, in pages that fit in memory.

    Args:
        known: (trace id, span id) of spans to leave out.
    """
    marks = ", ".join(f"'{mark}'" for mark in _MARKS)
    statement = _PAGE.format(table=identifier(source.address.traces), marks=marks)
    after_ns, after_id = since_ns, ""
    while True:
        page = source.rows(statement, since=since_ns, after=after_ns, after_id=after_id, page=_PAGE_SPANS)
        if page.num_rows:
            yield list(_spans(page, known))
            after_ns, after_id = page["StartNs"][-1].as_py(), page["SpanId"][-1].as_py()
        if page.num_rows < _PAGE_SPANS:
            return


def evaluation_events(source: ClickHouse, *, since_ns: int) -> list[LogEvent]:
    """The log events since then that are evaluations; none where there is no table of logs."""
    table = source.address.logs
    if not source.has_column(table, "LogAttributes"):
        return []
    # Older exporters have no column for the event's name.
    named = "EventName = {event:String}" if source.has_column(table, "EventName") else "false"
    statement = _EVENTS.format(table=identifier(table), named=named)
    found = source.rows(statement, since=since_ns, event=sc.EVALUATION_EVENT)
    return [
        LogEvent(
            sc.EVALUATION_EVENT, row["TimeNs"], row["TraceId"], row["SpanId"], typed(json.loads(row["Attributes"]))
        )
        for row in found.to_pylist()
    ]


def _spans(page: pa.Table, known: Container[tuple[str, str]]) -> Iterator[Span]:
    resources: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in page.to_pylist():
        if (row["TraceId"], row["SpanId"]) in known:
            continue
        if row["Resource"] not in resources:
            resources[row["Resource"]] = split_resource(json.loads(row["Resource"]))
        service_name, resource = resources[row["Resource"]]
        start_ns, end_ns = checked_times(row["StartNs"], row["StartNs"] + row["DurationNs"])
        yield Span(
            trace_id=row["TraceId"],
            span_id=row["SpanId"],
            parent_span_id=row["ParentSpanId"] or None,
            name=row["SpanName"],
            kind=row["SpanKind"].removeprefix("span_kind_"),
            start_ns=start_ns,
            end_ns=end_ns,
            status=row["StatusCode"].removeprefix("status_code_"),
            scope_name=row["ScopeName"],
            service_name=row["ServiceName"] or service_name,
            attributes=typed(json.loads(row["Attributes"])),
            resource=resource,
        )


def typed(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Attributes with the kinds that they had before the exporter made them text."""
    return {key: _typed(key, value) for key, value in attributes.items()}


def _typed(key: str, value: str) -> Any:
    if value in _FLAGS:
        return _FLAGS[value]
    if key in _LIST_KEYS and value.startswith("["):
        return json.loads(value)
    if _NUMBER_KEYS.search(key):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return value
    return value
