from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.evidence.estimate import Estimate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop

AGAIN = """
INSERT INTO llm_calls BY NAME
SELECT * REPLACE (
    md5(span_id) AS span_id, make_timestamp_ns(epoch_ns(start_time) + {seconds}_000_000_000::BIGINT) AS start_time
) FROM llm_calls WHERE hash(span_id) % 3 = 0
"""


def test_calls_repeated_at_once_are_found(shop: Shop) -> None:
    """A third of the calls sent again after ten seconds: their cost is the saving, inside its interval."""
    shop.fill(pair_share=0.0)
    again = shop.one("SELECT sum(cost_usd) FROM llm_calls WHERE hash(span_id) % 3 = 0")
    shop.sql(AGAIN.format(seconds=10))

    (lever,) = shop.levers("duplicate_calls")

    assert isinstance(lever.window_saving, Estimate)
    assert lever.window_saving.low < float(again) < lever.window_saving.high
    assert any("prompts are not stored" in line for line in lever.assumptions)


def test_coincidence_is_no_repetition(shop: Shop) -> None:
    """Calls that are all of one size match by chance at any distance, and are not called duplicates."""
    shop.fill(pair_share=0.0)
    shop.sql("UPDATE llm_calls SET input_tokens = 100, output_tokens = 10")
    shop.sql("""
        UPDATE llm_calls SET start_time = make_timestamp_ns(epoch_ns(TIMESTAMP '2026-11-19') + 20_000_000_000 * place)
        FROM (SELECT span_id AS id, row_number() OVER (ORDER BY span_id) AS place FROM llm_calls) WHERE id = span_id
    """)

    assert shop.levers("duplicate_calls") == []


def test_calls_repeated_hours_later_are_new_work(shop: Shop) -> None:
    """Only what is sent again within a minute counts."""
    shop.fill(pair_share=0.0)
    shop.sql(AGAIN.format(seconds=3600))

    assert shop.levers("duplicate_calls") == []
