"""OpenLIT, and the Grafana dashboards made for it: cost and total tokens under OpenLIT's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.attributes import from_attributes
from tierwise.call import AttributeValue


def translate(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """`gen_ai.usage.cost` in USD, left out for an unpriced call, and `gen_ai.usage.total_tokens`."""
    call = from_attributes(attributes)
    extra: dict[str, AttributeValue] = {}
    if call.usage.input_tokens is not None and call.usage.output_tokens is not None:
        extra["gen_ai.usage.total_tokens"] = call.usage.input_tokens + call.usage.output_tokens
    if call.cost is not None:
        extra["gen_ai.usage.cost"] = float(call.cost.total_usd)
    return extra
