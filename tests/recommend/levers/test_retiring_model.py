from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.evidence.estimate import Estimate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop


def test_calls_of_a_retiring_model_have_to_move(shop: Shop) -> None:
    """A model with a date within reach is named with its date, its newest namesake and what that costs."""
    shop.fill(pair_share=0.0)
    shop.sql("UPDATE llm_calls SET request_model = 'claude-sonnet-4-5', requested_model = 'claude-sonnet-4-5'")

    (lever,) = shop.levers("retiring_model")

    assert lever.target == "claude-sonnet-5-5"
    assert "is retired on 2026-" in lever.findings[0]
    assert isinstance(lever.window_saving, Estimate)
    assert lever.window_saving.low < lever.window_saving.value < lever.window_saving.high
    shop.holds_its_sql(lever)


def test_models_that_stay_are_no_lever(shop: Shop) -> None:
    """Without a date there is nothing to say."""
    shop.fill(pair_share=0.0)

    assert shop.levers("retiring_model") == []
