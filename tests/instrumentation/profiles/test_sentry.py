from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.instrumentation.profiles.sentry import translate


def test_costs_and_tokens(attributes: Mapping[str, Any]) -> None:
    """Sentry gets costs whose input includes the cache, and the parts it computes costs from itself."""
    assert translate(attributes) == {
        "sentry.op": "gen_ai.chat",
        "gen_ai.usage.input_tokens.cached": 600,
        "gen_ai.usage.input_tokens.cache_write": 250,
        "gen_ai.usage.output_tokens.reasoning": 40,
        "gen_ai.usage.total_tokens": 1100,
        "gen_ai.cost.input_tokens": 0.4625,
        "gen_ai.cost.output_tokens": 0.5,
        "gen_ai.cost.total_tokens": 0.9725,
        "gen_ai.cost.cache_read.input_tokens": 0.0625,
        "gen_ai.cost.cache_creation.input_tokens": 0.25,
    }


def test_nothing_known(unpriced: Mapping[str, Any]) -> None:
    """Without usage and price it is a call, and no more."""
    assert translate(unpriced) == {"sentry.op": "gen_ai.chat"}
