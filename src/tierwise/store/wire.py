"""Records as JSON, for the way between `tierwise.store.remote` and a collector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tierwise.attributes import from_attributes, to_attributes
from tierwise.call import Evaluation
from tierwise.store import PolicyRecord
from tierwise.store.rows import CallRecord, SpanRecord


def call_to_json(record: CallRecord) -> dict[str, Any]:
    """A call record as JSON's own kinds; the call as its span attributes."""
    return {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "start_ns": record.start_ns,
        "end_ns": record.end_ns,
        "attributes": to_attributes(record.call),
        "parent_span_id": record.parent_span_id,
        "service_name": record.service_name,
        "instrumentation": record.instrumentation,
        "resource": dict(record.resource),
    }


def call_from_json(item: Mapping[str, Any]) -> CallRecord:
    """The call record that `call_to_json()` wrote."""
    fields = {name: value for name, value in item.items() if name != "attributes"}
    return CallRecord(call=from_attributes(item["attributes"]), **fields)


def span_to_json(record: SpanRecord) -> dict[str, Any]:
    """A span record as JSON's own kinds."""
    return asdict(record)


def span_from_json(item: Mapping[str, Any]) -> SpanRecord:
    """The span record that `span_to_json()` wrote."""
    return SpanRecord(**item)


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON's own kinds."""
    return asdict(evaluation)


def evaluation_from_json(item: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `evaluation_to_json()` wrote."""
    return Evaluation(**item)


def policy_from_json(item: Mapping[str, Any]) -> PolicyRecord:
    """The policy version a collector answered with."""
    fields: dict[str, Any] = {**item, "created_at": datetime.fromisoformat(item["created_at"])}
    return PolicyRecord(**fields)
