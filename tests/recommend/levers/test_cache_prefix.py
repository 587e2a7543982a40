from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import Estimate
from tierwise.price_overrides import Rates
from tierwise.recommend.levers.cache_prefix import saved_per_token

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop

CLOSE_TOGETHER = """
UPDATE llm_calls SET input_tokens = input_tokens + 5000,
    start_time = make_timestamp_ns(epoch_ns(TIMESTAMP '2026-11-19') + 10_000_000_000 * place)
FROM (SELECT span_id AS id, row_number() OVER (ORDER BY span_id) AS place FROM llm_calls) WHERE id = span_id
"""


def test_the_shared_prefix_bounds_the_saving(shop: Shop) -> None:
    """Without cached calls the shortest input bounds what could be shared: reads saved, less the first write."""
    shop.fill(pair_share=0.0)
    shop.sql(CLOSE_TOGETHER)
    calls = shop.one("SELECT count(*) FROM llm_calls")
    shortest = shop.one("SELECT min(input_tokens) FROM llm_calls")

    (lever,) = shop.levers("cache_prefix")

    assert lever.at_most
    assert isinstance(lever.window_saving, Estimate)
    # A million tokens of the model cost 4 USD fresh, 0.20 read from the cache and 5 written to it.
    expected = shortest * ((calls - 1) * 3.8e-6 - 1.0e-6)
    assert lever.window_saving.value == pytest.approx(expected, rel=1e-6)
    assert lever.window_saving.low == 0.0
    shop.holds_its_sql(lever)


def test_calls_that_use_the_cache_measure_the_prefix(shop: Shop) -> None:
    """Where some calls read from a cache, what they read is the prefix, and the saving is no bound any more."""
    shop.fill(pair_share=0.0)
    shop.sql(CLOSE_TOGETHER)
    shop.sql("UPDATE llm_calls SET cache_read_tokens = 2000 WHERE hash(span_id) % 4 = 0")

    (lever,) = shop.levers("cache_prefix")

    assert not lever.at_most
    assert any("read 2,000 tokens" in line for line in lever.findings)
    assert any(line.startswith("2,000 tokens are the same") for line in lever.assumptions)


def test_rare_calls_would_only_write(shop: Shop) -> None:
    """Calls hours apart never find a warm cache: writing costs more, so nothing is proposed."""
    shop.fill(pair_share=0.0, conversations=60)
    shop.sql(CLOSE_TOGETHER.replace("10_000_000_000", "3_600_000_000_000").replace("2026-11-19", "2026-11-01"))

    assert shop.levers("cache_prefix") == []


def test_short_prompts_are_not_cached(shop: Shop) -> None:
    """Below what providers cache there is nothing to save."""
    shop.fill(pair_share=0.0)

    assert shop.levers("cache_prefix") == []


def test_a_read_saves_and_a_write_costs() -> None:
    """Per token: fresh less read, and written less fresh; where writing is not sold it costs nothing more."""
    sold = Rates(Decimal(4), Decimal(20), cache_read=Decimal(1), cache_write=Decimal(5))
    free = Rates(Decimal(4), Decimal(20), cache_read=Decimal(1))

    assert saved_per_token(sold) == (3.0, 1.0)
    assert saved_per_token(free) == (3.0, 0.0)
