"""OTLP in JSON: the lines of OpenTelemetry's file exporter, in whichever dialect the spans in them are written.

Shape: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ and
https://github.com/open-telemetry/opentelemetry-proto, `TracesData` in OTLP's JSON encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from tierwise.errors import MalformedPayload
from tierwise.imports.logged import NotACall, Reading, UnreadableRow
from tierwise.ingest import otlp_json
from tierwise.ingest.spans import Span, SpanRefused
from tierwise.store.rows import CallRecord

NAME = "otlp"

_CONTENT: Final = (
    "ai.prompt",
    "ai.response.object",
    "ai.response.text",
    "ai.response.toolCalls",
    "all_messages_events",
    "events",
    "gen_ai.completion",
    "gen_ai.content",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "input.value",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.tools",
    "output.value",
    "request_data",
    "response_data",
    "traceloop.entity.input",
    "traceloop.entity.output",
)
"""Attributes that hold prompts or answers, in every dialect; what follows such a name after a dot does so, too."""


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is an export of OTLP's."""
    return "resourceSpans" in row or "resourceLogs" in row or "resourceMetrics" in row


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[Span | SpanRefused]:
    """The spans of the row."""
    if "resourceSpans" not in row:
        raise NotACall("logs or metrics, which describe no call")
    try:
        return list(otlp_json.spans(dict(row)))
    except (MalformedPayload, RecursionError) as error:
        raise UnreadableRow(str(error)) from error


def without_content(record: CallRecord) -> CallRecord:
    """The call without attributes that hold prompts or answers."""
    kept = {name: value for name, value in record.call.extra.items() if not _holds_content(name)}
    return record if len(kept) == len(record.call.extra) else replace(record, call=replace(record.call, extra=kept))


def _holds_content(name: str) -> bool:
    return any(name == key or name.startswith(f"{key}.") for key in _CONTENT)
