"""One call that has a bit of everything, as the attributes of its span."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from tierwise.attributes import to_attributes
from tierwise.call import Call, Cost, Decision, Usage


@pytest.fixture
def call() -> Call:
    return Call(
        operation="chat",
        provider="anthropic",
        api="messages",
        request_model="claude-haiku-4-5",
        usage=Usage(
            input_tokens=1000,
            output_tokens=100,
            cache_read_tokens=600,
            cache_write_tokens=250,
            cache_write_5m_tokens=150,
            cache_write_1h_tokens=100,
            reasoning_tokens=40,
        ),
        cost=Cost(
            input_usd=Decimal("0.15"),
            output_usd=Decimal("0.5"),
            cache_read_usd=Decimal("0.0625"),
            cache_write_usd=Decimal("0.25"),
            other_usd=Decimal("0.01"),
            price_version="list 1",
        ),
        conversation_id="ticket-1",
        task_type="extraction",
        use_case_name="invoices",
        use_case_id="uc_1",
        tenant="acme",
        decision=Decision("claude-opus-4-7", "claude-haiku-4-5", decision="routed"),
    )


@pytest.fixture
def attributes(call: Call) -> Mapping[str, Any]:
    return to_attributes(call)


@pytest.fixture
def unpriced() -> Mapping[str, Any]:
    """A call to a model nobody knows, whose provider reported nothing."""
    return to_attributes(
        Call(operation="chat", provider="openai", request_model="no-such-model", unpriced_reason="no price for it")
    )
