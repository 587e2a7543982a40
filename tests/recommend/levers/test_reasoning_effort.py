from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.evidence.estimate import Estimate, NotEnoughData

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop

EFFORT = """
UPDATE llm_calls SET reasoning_tokens = output_tokens // {part},
    attributes = {{'gen_ai.request.reasoning.level': '{level}'}}::VARIANT
WHERE hash(conversation_id) % 2 = {half}
"""


def test_one_effort_gives_no_number(shop: Shop) -> None:
    """Without calls at a lower effort there is nothing to compare with, and no saving is made up."""
    shop.fill(pair_share=0.0)
    shop.sql(EFFORT.format(part=2, level="high", half=0))
    shop.sql(EFFORT.format(part=2, level="high", half=1))

    (lever,) = shop.levers("reasoning_effort")

    assert isinstance(lever.window_saving, NotEnoughData)
    assert "reasoning" in lever.findings[0]
    shop.holds_its_sql(lever)


def test_two_efforts_are_compared(shop: Shop) -> None:
    """With both efforts in use, the saving is the difference in reasoning per call, and says it is not randomised."""
    shop.fill(pair_share=0.0, conversations=400)
    shop.sql(EFFORT.format(part=2, level="high", half=0))
    shop.sql(EFFORT.format(part=4, level="low", half=1))

    (lever,) = shop.levers("reasoning_effort")

    assert lever.target in ("low", None)
    if lever.target == "low":
        assert isinstance(lever.window_saving, Estimate)
        truth = 20e-6 * shop.one(
            "SELECT count(*) * avg(output_tokens) / 4 FROM llm_calls WHERE hash(conversation_id) % 2 = 0"
        )
        assert lever.window_saving.low < truth < lever.window_saving.high
        assert any("nobody drew at random" in line for line in lever.assumptions)


def test_little_reasoning_is_no_lever(shop: Shop) -> None:
    """Where reasoning is a small part of the output there is nothing to look at."""
    shop.fill(pair_share=0.0)
    shop.sql(EFFORT.format(part=20, level="high", half=0))

    assert shop.levers("reasoning_effort") == []
