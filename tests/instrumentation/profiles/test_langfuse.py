from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.instrumentation.profiles.langfuse import translate


def test_usage_and_cost(attributes: Mapping[str, Any]) -> None:
    """Langfuse gets buckets that do not overlap and add up, the one-hour cache writes by themselves, and our cost."""
    extra = translate(attributes)

    usage = json.loads(str(extra["langfuse.observation.usage_details"]))
    cost = json.loads(str(extra["langfuse.observation.cost_details"]))
    assert usage == {
        "input": 150,
        "input_cache_read": 600,
        "input_cache_creation_5m": 150,
        "input_cache_creation_1h": 100,
        "output": 60,
        "output_reasoning": 40,
        "total": 1100,
    }
    assert sum(usage.values()) == 2 * usage["total"]
    assert cost == {
        "input": 0.15,
        "input_cache_read": 0.0625,
        "input_cache_creation": 0.25,
        "output": 0.5,
        "other": 0.01,
        "total": 0.9725,
    }


def test_filters(attributes: Mapping[str, Any]) -> None:
    """Task type, use case, tenant and route can be filtered by; the conversation is the session."""
    extra = translate(attributes)

    assert extra["langfuse.observation.type"] == "generation"
    assert extra["langfuse.trace.tags"] == ("task:extraction", "use_case:invoices")
    assert extra["session.id"] == "ticket-1"
    metadata = {
        key.rpartition(".")[2]: value
        for key, value in extra.items()
        if key.startswith("langfuse.observation.metadata.")
    }
    assert metadata == {
        "task_type": "extraction",
        "use_case": "invoices",
        "tenant": "acme",
        "requested_model": "claude-opus-4-7",
        "route": "routed",
    }


def test_writes_of_no_known_lifetime(call: Call) -> None:
    """Cache writes whose lifetime the provider did not say have a bucket of their own."""
    usage = Usage(input_tokens=100, output_tokens=1, cache_write_tokens=80)

    extra = translate(to_attributes(replace(call, usage=usage)))

    details = json.loads(str(extra["langfuse.observation.usage_details"]))
    assert details == {"input": 20, "output": 1, "input_cache_creation": 80, "total": 101}


def test_embeddings_and_shadows(call: Call) -> None:
    """An embedding is one in Langfuse's words, and a shadow call can be told from the user's own."""
    extra = translate(to_attributes(replace(call, operation="embeddings", shadow_of="1-2")))

    assert extra["langfuse.observation.type"] == "embedding"
    assert "tierwise:shadow" in str(extra["langfuse.trace.tags"])


def test_unpriced(unpriced: Mapping[str, Any]) -> None:
    """A call without usage and price says neither, but why."""
    extra = translate(unpriced)

    assert "langfuse.observation.usage_details" not in extra
    assert extra["langfuse.observation.metadata.unpriced_reason"] == "no price for it"
