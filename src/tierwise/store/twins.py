"""One call that several instrumentations reported: who wins, and what the winner takes over from the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tierwise import semconv as sc
from tierwise.store.rows import CALL_SCHEMA, CallRecord, SpanRecord

_COST_COLUMNS: Final = (
    *(name for name in CALL_SCHEMA.names if name.startswith("cost_")),
    "price_version",
    "priced",
    "unpriced_reason",
)
_USAGE_COLUMNS: Final = (
    *(name for name in CALL_SCHEMA.names if name.endswith("_tokens")),
    "usage_estimated",
    "usage_partial",
)
_OWN_COLUMNS: Final = frozenset(
    {*_COST_COLUMNS, *_USAGE_COLUMNS, "parent_span_id", "error_type", "shadow_of_trace_id", "shadow_of_span_id"}
)
"""Columns in which a NULL says something, so that no other report fills it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One instrumentation's span of a call, stored or arriving."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    service_name: str
    instrumentation: str
    response_id: str | None
    start_ns: int
    end_ns: int
    arriving: CallRecord | None = None
    """None: it is stored already."""

    @property
    def key(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

    @property
    def precedence(self) -> tuple[bool, int, str]:
        """Smallest first: tierwise's own view, else whoever began first; the same whatever the order of arrival."""
        return self.instrumentation != sc.SCOPE_NAME, self.start_ns, self.span_id

    def is_nested_with(self, other: Sighting) -> bool:
        """Whether one of the two spans stands inside the other."""
        return (
            self.parent_span_id == other.span_id
            or other.parent_span_id == self.span_id
            or (self.start_ns <= other.start_ns and other.end_ns <= self.end_ns)
            or (other.start_ns <= self.start_ns and self.end_ns <= other.end_ns)
        )

    def as_span(self) -> SpanRecord:
        """The sighting as a plain span, so that the trace keeps its shape without it as a call."""
        return SpanRecord(
            trace_id=self.trace_id,
            span_id=self.span_id,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            name=self.name,
            parent_span_id=self.parent_span_id,
            kind="client",
            service_name=self.service_name,
        )


def sighting_of(record: CallRecord) -> Sighting:
    """An arriving call as a sighting."""
    return Sighting(
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        name=f"{record.call.operation} {record.call.request_model}",
        service_name=record.service_name,
        instrumentation=record.instrumentation,
        response_id=record.call.response_id,
        start_ns=record.start_ns,
        end_ns=record.end_ns,
        arriving=record,
    )


def find_twins(stored: Sequence[Sighting], arriving: Sequence[CallRecord]) -> list[list[Sighting]]:
    """Groups of sightings that are one call, the winner first; each holds at least one that is arriving.

    One call is: the same response id in one trace, from different instrumentations, one span inside the other.
    """
    if len({seen.instrumentation for seen in stored} | {record.instrumentation for record in arriving}) < 2:
        return []
    by_response: dict[tuple[str, str], list[Sighting]] = {}
    for sighting in (*stored, *map(sighting_of, arriving)):
        if sighting.response_id:
            by_response.setdefault((sighting.trace_id, sighting.response_id), []).append(sighting)
    groups: list[list[Sighting]] = []
    for candidates in by_response.values():
        candidates.sort(key=lambda sighting: sighting.precedence)
        while candidates:
            winner = candidates.pop(0)
            group = [winner]
            for other in list(candidates):
                reported_by = {sighting.instrumentation for sighting in group}
                if other.instrumentation not in reported_by and winner.is_nested_with(other):
                    group.append(other)
                    candidates.remove(other)
            if len(group) > 1 and any(sighting.arriving is not None for sighting in group):
                groups.append(group)
    return groups


def merge(winner: dict[str, Any], others: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The winner's row with what only the others knew.

    Args:
        winner, others: rows of `llm_calls` by column, `attributes` as JSON text.
    """
    merged = dict(winner)
    for other in others:
        # Tokens and money are taken over whole: half of one count and half of another would be nobody's.
        if merged["input_tokens"] is None and merged["output_tokens"] is None:
            merged.update({name: other[name] for name in _USAGE_COLUMNS})
        if other["priced"] and not merged["priced"]:
            merged.update({name: other[name] for name in _COST_COLUMNS})
        for name, value in other.items():
            if merged[name] in (None, [], "unknown") and name not in _OWN_COLUMNS:
                merged[name] = value
        attributes = {**json.loads(other["attributes"]), **json.loads(merged["attributes"])}
        merged["attributes"] = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    return merged
