"""Sentry: costs, and cached tokens under the names that Sentry computes costs from.

Sentry takes these costs for models it has no price for. For the others its Relay computes them anew from the tokens,
where `gen_ai.usage.input_tokens` is the total and the cached parts stand in the names below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.attributes import from_attributes
from tierwise.call import AttributeValue


def translate(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """`gen_ai.cost.*` in USD, left out for an unpriced call, `sentry.op`, and Sentry's token names."""
    call = from_attributes(attributes)
    usage, cost = call.usage, call.cost
    extra: dict[str, AttributeValue] = {"sentry.op": f"gen_ai.{call.operation}"}
    for key, tokens in (
        ("gen_ai.usage.input_tokens.cached", usage.cache_read_tokens),
        ("gen_ai.usage.input_tokens.cache_write", usage.cache_write_tokens),
        ("gen_ai.usage.output_tokens.reasoning", usage.reasoning_tokens),
    ):
        if tokens:
            extra[key] = tokens
    if usage.input_tokens is not None and usage.output_tokens is not None:
        extra["gen_ai.usage.total_tokens"] = usage.input_tokens + usage.output_tokens
    if cost is not None:
        # Input is all of it: fresh, read and written.
        extra["gen_ai.cost.input_tokens"] = float(cost.input_usd + cost.cache_read_usd + cost.cache_write_usd)
        extra["gen_ai.cost.output_tokens"] = float(cost.output_usd)
        extra["gen_ai.cost.total_tokens"] = float(cost.total_usd)
        if cost.cache_read_usd:
            extra["gen_ai.cost.cache_read.input_tokens"] = float(cost.cache_read_usd)
        if cost.cache_write_usd:
            extra["gen_ai.cost.cache_creation.input_tokens"] = float(cost.cache_write_usd)
    return extra
