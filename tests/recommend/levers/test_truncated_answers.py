from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import Estimate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop


@pytest.mark.parametrize("reason", ["length", "max_tokens"])
def test_answers_cut_off_are_added_up(shop: Shop, reason: str) -> None:
    """What cut answers cost is the saving at most, whatever the provider calls the reason."""
    shop.fill(pair_share=0.0)
    shop.sql(f"UPDATE llm_calls SET finish_reasons = ['{reason}'] WHERE hash(span_id) % 4 = 0")

    (lever,) = shop.levers("truncated_answers")

    assert lever.at_most
    assert isinstance(lever.window_saving, Estimate)
    assert lever.window_saving.value == pytest.approx(float(lever.spend_usd))
    assert any("lowering it saves nothing" in line for line in lever.assumptions)
    shop.holds_its_sql(lever)


def test_whole_answers_are_no_lever(shop: Shop) -> None:
    """Nothing cut off, nothing said."""
    shop.fill(pair_share=0.0)

    assert shop.levers("truncated_answers") == []
