"""Langfuse: costs, tokens that do not overlap, tags and filters.

Langfuse prices calls from a list of its own unless an observation brings its costs (`langfuse.observation.*` wins over
`gen_ai.*`). Its usage buckets exclude each other: `input` is fresh input only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tierwise.attributes import from_attributes
from tierwise.call import AttributeValue, Call, Cost, Usage

_OBSERVATION_TYPES = {"embeddings": "embedding"}


def translate(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """`langfuse.*` attributes of a call."""
    call = from_attributes(attributes)
    extra: dict[str, AttributeValue] = {
        "langfuse.observation.type": _OBSERVATION_TYPES.get(call.operation, "generation"),
        "langfuse.trace.tags": _tags(call),
        **{f"langfuse.observation.metadata.{name}": value for name, value in _metadata(call).items()},
    }
    if usage := _usage_details(call.usage):
        extra["langfuse.observation.usage_details"] = json.dumps(usage)
    if call.cost is not None:
        extra["langfuse.observation.cost_details"] = json.dumps(_cost_details(call.cost))
    if call.conversation_id is not None:
        extra["session.id"] = call.conversation_id
    return extra


def _usage_details(usage: Usage) -> dict[str, int]:
    if usage.input_tokens is None and usage.output_tokens is None:
        return {}
    written_5m, written_1h = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
    total_input, output = usage.input_tokens or 0, usage.output_tokens or 0
    details = {
        "input_cache_read": usage.cache_read_tokens,
        "input_cache_creation_5m": written_5m,
        "input_cache_creation_1h": written_1h,
        "input_cache_creation": max(0, usage.cache_write_tokens - written_5m - written_1h),
        "output_reasoning": usage.reasoning_tokens,
    }
    return {
        "input": max(0, total_input - usage.cache_read_tokens - usage.cache_write_tokens),
        "output": max(0, output - usage.reasoning_tokens),
        **{name: tokens for name, tokens in details.items() if tokens},
        "total": total_input + output,
    }


def _cost_details(cost: Cost) -> dict[str, float]:
    details = {
        "input": cost.input_usd,
        "input_cache_read": cost.cache_read_usd,
        "input_cache_creation": cost.cache_write_usd,
        "output": cost.output_usd,
        "other": cost.other_usd,
    }
    return {**{name: float(usd) for name, usd in details.items() if usd}, "total": float(cost.total_usd)}


def _metadata(call: Call) -> dict[str, str]:
    """What Langfuse can filter observations by."""
    decision = call.decision
    values = {
        "task_type": call.task_type,
        "use_case": call.use_case_name or call.use_case_id,
        "tenant": call.tenant,
        "requested_model": decision.requested_model if decision is not None else None,
        "route": decision.decision if decision is not None else None,
        "unpriced_reason": call.unpriced_reason,
    }
    return {name: value for name, value in values.items() if value}


def _tags(call: Call) -> tuple[str, ...]:
    tags = [f"task:{call.task_type}"]
    if call.use_case_name:
        tags.append(f"use_case:{call.use_case_name}")
    if call.shadow_of is not None:
        tags.append("tierwise:shadow")
    return tuple(tags)
