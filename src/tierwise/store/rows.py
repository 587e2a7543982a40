"""Calls, spans and evaluations as rows: the records that are landed, and the Arrow tables they become."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tierwise import semconv as sc
from tierwise.attributes import USD_PLACES
from tierwise.call import Call, Cost, Evaluation

_BIGINT_MAX: Final = 2**63 - 1
_MONEY_MAX: Final = Decimal(1_000_000)
"""DECIMAL(18, 12) ends here. A call that claims to have cost more is kept without a price."""

_TEXT, _TIME, _COUNT, _RATE, _FLAG = pa.string(), pa.timestamp("ns"), pa.int64(), pa.float64(), pa.bool_()
_USD = pa.decimal128(18, 12)

CALL_SCHEMA: Final = pa.schema(
    [
        ("trace_id", _TEXT),
        ("span_id", _TEXT),
        ("parent_span_id", _TEXT),
        ("start_time", _TIME),
        ("end_time", _TIME),
        ("duration_s", _RATE),
        ("service_name", _TEXT),
        ("instrumentation", _TEXT),
        ("operation", _TEXT),
        ("provider", _TEXT),
        ("api", _TEXT),
        ("request_model", _TEXT),
        ("requested_model", _TEXT),
        ("response_model", _TEXT),
        ("response_id", _TEXT),
        ("stream", _FLAG),
        ("time_to_first_chunk_s", _RATE),
        ("finish_reasons", pa.list_(_TEXT)),
        ("error_type", _TEXT),
        ("service_tier", _TEXT),
        ("input_tokens", _COUNT),
        ("output_tokens", _COUNT),
        ("cache_read_tokens", _COUNT),
        ("cache_write_tokens", _COUNT),
        ("cache_write_1h_tokens", _COUNT),
        ("reasoning_tokens", _COUNT),
        ("web_searches", _COUNT),
        ("usage_estimated", _FLAG),
        ("usage_partial", _FLAG),
        ("cost_usd", _USD),
        ("cost_input_usd", _USD),
        ("cost_output_usd", _USD),
        ("cost_cache_read_usd", _USD),
        ("cost_cache_write_usd", _USD),
        ("cost_other_usd", _USD),
        ("cost_source", _TEXT),
        ("price_version", _TEXT),
        ("priced", _FLAG),
        ("unpriced_reason", _TEXT),
        ("task_type", _TEXT),
        ("task_confidence", _RATE),
        ("task_source", _TEXT),
        ("complexity", _TEXT),
        ("use_case_id", _TEXT),
        ("use_case_name", _TEXT),
        ("tenant", _TEXT),
        ("conversation_id", _TEXT),
        ("policy_version", _COUNT),
        ("rule_id", _TEXT),
        ("arm", _TEXT),
        ("decision", _TEXT),
        ("propensity", _RATE),
        ("route_reason", _TEXT),
        ("shadow_of_trace_id", _TEXT),
        ("shadow_of_span_id", _TEXT),
        ("shadow_propensity", _RATE),
        ("server_address", _TEXT),
        ("attributes", _TEXT),
        ("attempt", _COUNT),
        ("attempt_of_span_id", _TEXT),
        ("rejected_by", _TEXT),
    ]
)
"""The columns of `llm_calls` in order; `attributes` is JSON text until the engine makes it VARIANT."""

SPAN_SCHEMA: Final = pa.schema(
    [
        ("trace_id", _TEXT),
        ("span_id", _TEXT),
        ("parent_span_id", _TEXT),
        ("name", _TEXT),
        ("kind", _TEXT),
        ("service_name", _TEXT),
        ("start_time", _TIME),
        ("end_time", _TIME),
        ("status", _TEXT),
    ]
)

EVALUATION_SCHEMA: Final = pa.schema(
    [
        ("trace_id", _TEXT),
        ("span_id", _TEXT),
        ("name", _TEXT),
        ("source", _TEXT),
        ("score", _RATE),
        ("label", _TEXT),
        ("explanation", _TEXT),
        ("response_id", _TEXT),
        ("time", _TIME),
    ]
)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call and the span it came on."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    start_ns: int
    end_ns: int
    """Never before start_ns."""
    call: Call
    parent_span_id: str | None = None
    service_name: str = "unknown_service"
    instrumentation: str = "tierwise"
    """Name of the instrumentation scope."""
    resource: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else the resource says, kept among the attributes."""


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A span that is no call."""

    trace_id: str
    span_id: str
    start_ns: int
    end_ns: int
    name: str
    parent_span_id: str | None = None
    kind: str = "internal"
    """internal | server | client | producer | consumer."""
    service_name: str = "unknown_service"
    status: str = "unset"
    """unset | ok | error."""


def call_table(records: Sequence[CallRecord]) -> pa.Table:
    """The rows of `llm_calls` for `records`, in `CALL_SCHEMA`."""
    rows = [_call_row(record) for record in records]
    return _table(rows, CALL_SCHEMA)


def span_table(records: Sequence[SpanRecord]) -> pa.Table:
    """The rows of `spans` for `records`, in `SPAN_SCHEMA`."""
    rows = [
        (
            record.trace_id,
            record.span_id,
            record.parent_span_id,
            record.name,
            record.kind,
            record.service_name,
            record.start_ns,
            record.end_ns,
            record.status,
        )
        for record in records
    ]
    return _table(rows, SPAN_SCHEMA)


def evaluation_table(evaluations: Sequence[Evaluation]) -> pa.Table:
    """The rows of `evaluations` for `evaluations`, in `EVALUATION_SCHEMA`."""
    rows = [
        (
            item.trace_id,
            item.span_id,
            item.name,
            item.source,
            item.score,
            item.label,
            item.explanation,
            item.response_id,
            item.time_ns,
        )
        for item in evaluations
    ]
    return _table(rows, EVALUATION_SCHEMA)


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, type=kind) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _call_row(record: CallRecord) -> tuple[Any, ...]:
    call, usage, decision, attempt = record.call, record.call.usage, record.call.decision, record.call.attempt
    parts = _money(call.cost)
    shadow_trace_id, _, shadow_span_id = (call.shadow_of or "").partition("-")
    return (
        record.trace_id,
        record.span_id,
        record.parent_span_id,
        record.start_ns,
        record.end_ns,
        (record.end_ns - record.start_ns) / 1e9,
        record.service_name,
        record.instrumentation,
        call.operation,
        call.provider,
        call.api,
        call.request_model,
        call.request_model if decision is None else decision.requested_model,
        call.response_model,
        call.response_id,
        call.stream,
        call.time_to_first_chunk_s,
        call.finish_reasons,
        call.error_type,
        call.service_tier,
        _bigint(usage.input_tokens),
        _bigint(usage.output_tokens),
        _bigint(usage.cache_read_tokens),
        _bigint(usage.cache_write_tokens),
        _bigint(usage.cache_write_1h_tokens),
        _bigint(usage.reasoning_tokens),
        _bigint(usage.web_searches),
        usage.estimated,
        usage.partial,
        *(
            (None, None, None, None, None, None, None, None)
            if parts is None or call.cost is None
            else (sum(parts), *parts, call.cost.source, call.cost.price_version)
        ),
        parts is not None,
        "cost out of range" if parts is None and call.cost is not None else call.unpriced_reason,
        call.task_type,
        call.task_confidence,
        call.task_source,
        call.complexity,
        call.use_case_id,
        call.use_case_name,
        call.tenant,
        call.conversation_id,
        *(
            (None, None, None, None, None, None)
            if decision is None
            else (
                _bigint(decision.policy_version),
                decision.rule_id,
                decision.arm,
                decision.decision,
                decision.propensity,
                decision.reason,
            )
        ),
        shadow_trace_id or None,
        shadow_span_id or None,
        call.shadow_propensity,
        call.server_address,
        _attributes_json(record),
        *(
            (None, None, None)
            if attempt is None
            else (_bigint(attempt.number), attempt.of.partition("-")[2] or None, attempt.rejected_by)
        ),
    )


def _money(cost: Cost | None) -> tuple[Decimal, ...] | None:
    """Input, output, cache read, cache write and other cost as the store keeps them; None when they do not fit."""
    if cost is None:
        return None
    parts = (cost.input_usd, cost.output_usd, cost.cache_read_usd, cost.cache_write_usd, cost.other_usd)
    if not all(part.is_finite() and abs(part) < _MONEY_MAX for part in parts) or abs(sum(parts)) >= _MONEY_MAX:
        return None
    return tuple(part.quantize(USD_PLACES) for part in parts)


def _bigint(count: int | None) -> int | None:
    return None if count is None else min(count, _BIGINT_MAX)


def _attributes_json(record: CallRecord) -> str:
    call = record.call
    attributes: dict[str, Any] = {**call.parameters, **call.extra}
    if call.server_port is not None:
        attributes["server.port"] = call.server_port
    if call.usage.cache_write_5m_tokens:
        attributes["anthropic.usage.cache_creation.ephemeral_5m_input_tokens"] = call.usage.cache_write_5m_tokens
    if (attempt := call.attempt) is not None:
        attributes[sc.ATTEMPT_STARTED_AFTER] = attempt.started_after_s
        attributes[sc.ATTEMPT_CHECKS] = attempt.checks_s
        attributes[sc.ATTEMPT_BUFFERED] = attempt.buffered
        attributes[sc.ATTEMPT_REASON] = attempt.reason
        attributes |= {f"{sc.CHECK_PREFIX}{name}": found for name, found in attempt.checks}
    for key, value in record.resource.items():
        attributes[f"resource.{key}"] = value
    try:
        return json.dumps(attributes, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(attributes), ensure_ascii=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """`value` with NaN and infinities as text: JSON has no numbers for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
