from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import Estimate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop


def test_billed_failures_are_added_up(shop: Shop) -> None:
    """What failed calls were billed is their saving at most, with an interval around the exact sum."""
    shop.fill(pair_share=0.0)
    shop.sql("UPDATE llm_calls SET error_type = 'timeout' WHERE hash(span_id) % 5 = 0")

    (lever,) = shop.levers("failed_calls")

    assert lever.at_most
    assert isinstance(lever.window_saving, Estimate)
    assert lever.window_saving.value == pytest.approx(float(lever.spend_usd))
    assert lever.window_saving.low < lever.window_saving.value < lever.window_saving.high
    shop.holds_its_sql(lever)


def test_retries_are_counted(shop: Shop) -> None:
    """A call soon after a failed one of the same conversation is a retry."""
    shop.fill(pair_share=0.0, conversations=40)
    shop.sql("UPDATE llm_calls SET conversation_id = span_id")
    shop.sql("UPDATE llm_calls SET error_type = 'timeout' WHERE hash(span_id) % 2 = 0")
    failed = shop.one("SELECT count(error_type) FROM llm_calls")
    shop.sql("""
        INSERT INTO llm_calls BY NAME
        SELECT * REPLACE (md5(span_id) AS span_id, NULL AS error_type,
                          make_timestamp_ns(epoch_ns(start_time) + 5_000_000_000) AS start_time)
        FROM llm_calls WHERE error_type IS NOT NULL
    """)

    (lever,) = shop.levers("failed_calls")

    assert lever.findings[1].startswith(f"{failed} calls repeat")


def test_without_failures_there_is_no_lever(shop: Shop) -> None:
    """Nothing failed, nothing said."""
    shop.fill(pair_share=0.0)

    assert shop.levers("failed_calls") == []
