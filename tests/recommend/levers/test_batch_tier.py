from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import Estimate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop

ALONE = "UPDATE llm_calls SET conversation_id = NULL"


def test_calls_that_nobody_seems_to_wait_for_cost_half(shop: Shop) -> None:
    """Single calls without streaming or tools: the batch tier saves half their cost, and it says what it assumes."""
    shop.fill(pair_share=0.0)
    shop.sql(ALONE)

    (lever,) = shop.levers("batch_tier")

    assert isinstance(lever.window_saving, Estimate)
    assert lever.window_saving.value == pytest.approx(float(lever.spend_usd) / 2, rel=1e-6)
    assert lever.window_saving.low < lever.window_saving.value < lever.window_saving.high
    assert any("only you know" in line for line in lever.assumptions)
    shop.holds_its_sql(lever)


@pytest.mark.parametrize(
    "interactive",
    [
        "UPDATE llm_calls SET stream = true WHERE span_id = (SELECT min(span_id) FROM llm_calls)",
        "UPDATE llm_calls SET finish_reasons = ['tool_use'] WHERE span_id = (SELECT min(span_id) FROM llm_calls)",
    ],
)
def test_interactive_calls_are_left_alone(shop: Shop, interactive: str) -> None:
    """One streamed answer or tool call is enough not to speak of batches."""
    shop.fill(pair_share=0.0)
    shop.sql(ALONE)
    shop.sql(interactive)

    assert shop.levers("batch_tier") == []


def test_a_persons_mark_is_enough(shop: Shop) -> None:
    """A use case marked as offline is proposed even when its calls belong to conversations."""
    shop.fill(pair_share=0.0)

    assert shop.levers("batch_tier") == []
    (lever,) = shop.levers("batch_tier", offline=["uc_0"])
    assert lever.findings == ("a person marked the use case as offline",)


def test_a_tier_already_used_saves_nothing(shop: Shop) -> None:
    """Calls that went through the batch tier are not proposed for it again."""
    shop.fill(pair_share=0.0)
    shop.sql(ALONE)
    shop.sql("UPDATE llm_calls SET service_tier = 'batch'")

    assert shop.levers("batch_tier") == []
