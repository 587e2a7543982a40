from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import prices
from tierwise.call import Usage
from tierwise.price_overrides import Rates
from tierwise.savings.reprice import reprice
from tierwise.savings.traffic import Traffic, read_traffic

NOON_NS = 1_795_176_000_000_000_000


def one_call(provider: str, model: str, **columns: Any) -> Traffic:
    defaults = {"input_tokens": 1000, "output_tokens": 100}
    return read_traffic(
        pa.table(
            {
                "start_time": pa.array([NOON_NS], pa.timestamp("ns")),
                "cost_usd": pa.array([Decimal(1)], pa.decimal128(18, 12)),
                "provider": [provider],
                "request_model": [model],
                **{name: [value] for name, value in {**defaults, **columns}.items()},
            }
        )
    )


# The first example loads the price list.
@given(
    model=st.sampled_from(["claude-opus-5-5", "claude-haiku-5-5", "claude-haiku-4-5"]),
    fresh=st.integers(0, 400_000),
    reads=st.integers(0, 50_000),
    writes=st.integers(0, 50_000),
    hour_share=st.floats(0, 1),
    output=st.integers(0, 20_000),
    reasoning_share=st.floats(0, 1),
    searches=st.integers(0, 3),
)
def test_on_its_own_model_a_call_costs_what_the_price_list_says(
    model: str,
    fresh: int,
    reads: int,
    writes: int,
    hour_share: float,
    output: int,
    reasoning_share: float,
    searches: int,
) -> None:
    """With ratios of 1 and a warm cache, repricing is pricing."""
    usage = Usage(
        input_tokens=fresh + reads + writes,
        output_tokens=output,
        cache_read_tokens=reads,
        cache_write_tokens=writes,
        cache_write_1h_tokens=int(writes * hour_share),
        reasoning_tokens=int(output * reasoning_share),
        web_searches=searches,
    )
    traffic = one_call(
        "anthropic",
        model,
        **{field.name: getattr(usage, field.name) for field in fields(Usage) if field.name != "cache_write_5m_tokens"},
    )

    repriced = reprice(traffic, model, cache_kept=1.0)

    listed = prices.cost("anthropic", model, usage, at_ns=NOON_NS)
    assert listed is not None
    assert repriced.known.all()
    total = repriced.per_input + repriced.per_output + repriced.fixed
    assert total[0] == pytest.approx(float(listed.total_usd), rel=1e-9, abs=1e-15)


def test_a_cold_cache_is_written_where_writing_is_sold() -> None:
    """Cache reads become cache writes at Anthropic's price for those, and fresh input where writing is not sold."""
    claude = one_call("anthropic", "claude-opus-5-5", cache_read_tokens=600)
    gpt = one_call("openai", "gpt-5.2", cache_read_tokens=600)

    on_haiku = reprice(claude, "claude-haiku-5-5")
    on_mini = reprice(gpt, "gpt-4o-mini")

    haiku = prices.rates("anthropic", "claude-haiku-5-5", input_tokens=1000, at_ns=NOON_NS)
    mini = prices.rates("openai", "gpt-4o-mini", input_tokens=1000, at_ns=NOON_NS)
    assert haiku is not None
    assert haiku.cache_write is not None
    assert mini is not None
    assert mini.cache_write is None
    assert on_haiku.per_input[0] == pytest.approx(400 * float(haiku.input) + 600 * float(haiku.cache_write))
    assert on_mini.per_input[0] == pytest.approx(1000 * float(mini.input))


def test_a_kept_cache_costs_less() -> None:
    """The more of the cache the target serves too, the less the call costs there."""
    traffic = one_call("anthropic", "claude-opus-5-5", cache_read_tokens=900)

    costs = [reprice(traffic, "claude-haiku-5-5", cache_kept=kept).per_input[0] for kept in (0.0, 0.5, 1.0)]

    assert costs[0] > costs[1] > costs[2] > 0


def test_the_input_ratio_decides_about_the_threshold() -> None:
    """A call that the target's tokenizer makes longer than its threshold pays the higher price, and only then."""
    traffic = one_call("openai", "gpt-6.1-sol", input_tokens=250_000)

    below, above = (reprice(traffic, "gpt-5.5", input_ratio=ratio).per_input[0] for ratio in (1.0, 1.2))

    assert above == pytest.approx(2 * below)


def test_what_has_no_price_is_not_known() -> None:
    """Unknown models, unreported tokens and searches that the target does not sell are not priced at 0."""
    unknown = reprice(one_call("openai", "gpt-4o"), "no-such-model")
    silent = reprice(one_call("openai", "gpt-4o", output_tokens=None), "gpt-4o-mini")
    free = Rates(input=Decimal(0), output=Decimal(0))
    searching = reprice(one_call("openai", "gpt-4o", web_searches=2), "local", overrides={("openai", "local"): free})

    assert not unknown.known.any()
    assert not silent.known.any()
    assert not searching.known.any()


def test_prices_of_another_day() -> None:
    """With a date given, calls are priced as on that day and not as on their own."""
    traffic = one_call("openai", "gpt-5.6-luna")
    july_ns = 1_782_900_000_000_000_000

    then = reprice(traffic, "gpt-5.6-luna", at_ns=july_ns)

    listed = prices.rates("openai", "gpt-5.6-luna", input_tokens=1000, at_ns=july_ns)
    assert listed is not None
    assert then.per_output[0] == pytest.approx(100 * float(listed.output))
