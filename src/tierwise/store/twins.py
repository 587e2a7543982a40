"""One call that several instrumentations reported: who wins, and what the winner takes over from the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
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
    {
        *_COST_COLUMNS,
        *_USAGE_COLUMNS,
        "parent_span_id",
        "error_type",
        "shadow_of_trace_id",
        "shadow_of_span_id",
        "attempt",
        "attempt_of_span_id",
        "rejected_by",
    }
)
"""Columns in which a NULL says something, so that no other report fills it."""


_RANKS: Final = {sc.SCOPE_NAME: 0, "com.anthropic.sdk.python": 1}
"""Whose figures are taken, of several. An SDK that traces itself counts what the provider bills, with the lifetimes of
cache writes that wrappers leave out."""
_STACKED_NS: Final = 250_000_000
"""Wrappers around one call start within moments of each other, even where a busy interpreter comes between them."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One instrumentation's span of a call, stored or arriving."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    service_name: str
    instrumentation: str
    operation: str
    request_model: str
    """The model sent."""
    requested_model: str
    """The model the caller asked for; an instrumentation outside of a router sees no other."""
    response_id: str | None
    start_ns: int
    end_ns: int
    arriving: CallRecord | None = None
    """None: it is stored already."""

    @property
    def key(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

    @property
    def precedence(self) -> tuple[int, int, str]:
        """Smallest first: tierwise's own view, then the SDK's, else whoever began first; however they arrive."""
        return _RANKS.get(self.instrumentation, len(_RANKS)), self.start_ns, self.span_id

    def is_twin_of(self, other: Sighting) -> bool:
        """Whether two instrumentations' spans, which overlap in time, are of one call.

        The provider's response id settles it, where both know it, whatever their traces: a wrapper that does not make
        its span current leaves the other's outside of its trace. A failed call has no id, nor does each wrapper look
        at a stream that was left early; then one span right inside the other is one call, and so are two spans of the
        same request that begin side by side. A span without a length reports a stream when it has ended.
        """
        for report, call in ((self, other), (other, self)):
            if report.start_ns == report.end_ns and not (report.response_id and call.response_id):
                return report._asks_the_same_as(call) and call.start_ns <= report.end_ns <= call.end_ns + _STACKED_NS
        if self.end_ns < other.start_ns or other.end_ns < self.start_ns:
            return False
        if self.response_id and other.response_id:
            return self.response_id == other.response_id
        if self.trace_id == other.trace_id:
            if self.parent_span_id == other.span_id or other.parent_span_id == self.span_id:
                return True
            if self.parent_span_id != other.parent_span_id:
                return False
        elif self.parent_span_id is not None or other.parent_span_id is not None:
            return False
        return self._asks_the_same_as(other) and abs(self.start_ns - other.start_ns) <= _STACKED_NS

    def _asks_the_same_as(self, other: Sighting) -> bool:
        return (
            self.service_name == other.service_name
            and self.operation == other.operation
            and not {self.request_model, self.requested_model}.isdisjoint((other.request_model, other.requested_model))
        )

    def as_span(self) -> SpanRecord:
        """The sighting as a plain span, so that the trace keeps its shape without it as a call."""
        return SpanRecord(
            trace_id=self.trace_id,
            span_id=self.span_id,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            name=f"{self.operation} {self.request_model}",
            parent_span_id=self.parent_span_id,
            kind="client",
            service_name=self.service_name,
        )


def sighting_of(record: CallRecord) -> Sighting:
    """An arriving call as a sighting."""
    call = record.call
    return Sighting(
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        service_name=record.service_name,
        instrumentation=record.instrumentation,
        operation=call.operation,
        request_model=call.request_model,
        requested_model=call.request_model if call.decision is None else call.decision.requested_model,
        response_id=call.response_id,
        start_ns=record.start_ns,
        end_ns=record.end_ns,
        arriving=record,
    )


def find_twins(stored: Sequence[Sighting], arriving: Sequence[CallRecord]) -> list[list[Sighting]]:
    """Groups of sightings that are one call, the winner first; each holds at least one that is arriving.

    Each instrumentation reports a call once, so a group holds one sighting of each.
    """
    if len({seen.instrumentation for seen in stored} | {record.instrumentation for record in arriving}) < 2:
        return []
    sightings = sorted((*stored, *map(sighting_of, arriving)), key=lambda sighting: sighting.precedence)
    groups: list[list[Sighting]] = []
    # Those that know their response go first, and find each other by it.
    by_response: dict[str, list[list[Sighting]]] = {}
    for sighting in sightings:
        if sighting.response_id:
            candidates = by_response.setdefault(sighting.response_id, [])
            if (group := _group_of(sighting, candidates)) is None:
                group = []
                candidates.append(group)
                groups.append(group)
            group.append(sighting)
    neighbours = _Neighbours(groups)
    for sighting in sightings:
        if not sighting.response_id:
            if (group := _group_of(sighting, neighbours.of(sighting))) is None:
                group = []
                groups.append(group)
            group.append(sighting)
            neighbours.add(sighting, group)
    for group in groups:
        group.sort(key=lambda sighting: sighting.precedence)
    return [group for group in groups if len(group) > 1 and any(seen.arriving is not None for seen in group)]


def _group_of(sighting: Sighting, candidates: Iterable[list[Sighting]]) -> list[Sighting] | None:
    """The group that is the sighting's call: the one closest to it, of those that its instrumentation is not in yet."""

    def distance(group: list[Sighting]) -> tuple[bool, bool, int]:
        keys = {(sighting.trace_id, sighting.parent_span_id)} | {(seen.trace_id, seen.parent_span_id) for seen in group}
        is_nested = any(seen.key in keys for seen in (sighting, *group))
        nearest_ns = min(
            min(abs(seen.start_ns - sighting.start_ns), abs(seen.end_ns - sighting.end_ns)) for seen in group
        )
        return not is_nested, all(seen.trace_id != sighting.trace_id for seen in group), nearest_ns

    twins = (
        group
        for group in candidates
        if all(seen.instrumentation != sighting.instrumentation for seen in group)
        and any(seen.is_twin_of(sighting) for seen in group)
    )
    return min(twins, key=distance, default=None)


class _Neighbours:
    """Groups by when their spans began and ended, so that the search for a twin does not look at all of them."""

    def __init__(self, groups: Iterable[list[Sighting]]) -> None:
        self._by_slot: dict[int, list[list[Sighting]]] = {}
        self._by_key: dict[tuple[str, str | None], list[list[Sighting]]] = {}
        for group in groups:
            for sighting in group:
                self.add(sighting, group)

    def add(self, sighting: Sighting, group: list[Sighting]) -> None:
        for slot in _slots(sighting):
            self._by_slot.setdefault(slot, []).append(group)
        for key in (sighting.key, (sighting.trace_id, sighting.parent_span_id)):
            self._by_key.setdefault(key, []).append(group)

    def of(self, sighting: Sighting) -> Iterator[list[Sighting]]:
        """Every group that may hold a twin of the sighting, some of them twice."""
        for near in {slot + step for slot in _slots(sighting) for step in (-1, 0, 1)}:
            yield from self._by_slot.get(near, ())
        for key in (sighting.key, (sighting.trace_id, sighting.parent_span_id)):
            yield from self._by_key.get(key, ())


def _slots(sighting: Sighting) -> set[int]:
    return {sighting.start_ns // _STACKED_NS, sighting.end_ns // _STACKED_NS}


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
