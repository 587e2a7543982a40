"""Spans and log events as ingest sees them: decoded, but in no dialect yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SPAN_KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
"""By OTLP's number; 0, unspecified, counts as internal."""
SPAN_STATUSES: Final = ("unset", "ok", "error")
"""By OTLP's number."""


@dataclass(slots=True)
class Span:
    """One span. Not frozen, because thousands a second are made; nobody changes one."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    parent_span_id: str | None
    name: str
    kind: str
    """One of SPAN_KINDS."""
    start_ns: int
    end_ns: int
    """Never before start_ns."""
    status: str
    """One of SPAN_STATUSES."""
    scope_name: str
    service_name: str
    attributes: dict[str, Any]
    """Values are JSON's kinds: a text, number, bool, None, list or dict of them; bytes come as base64."""
    resource: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The resource's attributes but for service.name and telemetry.*; shared between spans."""


@dataclass(slots=True)
class LogEvent:
    """One log record that has an event name."""

    name: str
    time_ns: int
    trace_id: str
    """32 hex digits, or empty."""
    span_id: str
    """16 hex digits, or empty."""
    attributes: dict[str, Any]


class SpanRefused(Exception):
    """One span or log record cannot be stored as it is; the message says why."""


_INT64_MAX = 2**63 - 1


def checked_times(start_ns: int, end_ns: int) -> tuple[int, int]:
    """Start and end of a span as the store takes them.

    A span that ends before it starts (two clocks) is given no length.

    Raises:
        SpanRefused: there is no start, or a time is out of range.
    """
    if not 0 < start_ns <= _INT64_MAX:
        raise SpanRefused(f"start time {start_ns} is not nanoseconds since 1970")
    if not 0 <= end_ns <= _INT64_MAX:
        raise SpanRefused(f"end time {end_ns} is not nanoseconds since 1970")
    return start_ns, max(start_ns, end_ns)


def split_resource(attributes: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Service name, and the resource's other attributes that are worth keeping."""
    service_name = attributes.get("service.name")
    rest = {
        key: value for key, value in attributes.items() if key != "service.name" and not key.startswith("telemetry.")
    }
    return (service_name if isinstance(service_name, str) and service_name else "unknown_service"), rest
