from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.instrumentation.profiles.openlit import translate


def test_cost_and_tokens(attributes: Mapping[str, Any]) -> None:
    """Dashboards made for OpenLIT find the total cost and the total tokens."""
    assert translate(attributes) == {"gen_ai.usage.cost": 0.9725, "gen_ai.usage.total_tokens": 1100}


def test_nothing_known(unpriced: Mapping[str, Any]) -> None:
    """Without usage and price nothing is added."""
    assert translate(unpriced) == {}
