from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tierwise import prices
from tierwise.price_overrides import Rates
from tierwise.savings.rates import rate_columns
from tierwise.savings.traffic import Labels

NOON_NS = 1_795_176_000_000_000_000
"""2026-11-20 12:00 UTC."""


def labels(*values: str | None) -> Labels:
    distinct = tuple(dict.fromkeys(values))
    return Labels(distinct, np.array([distinct.index(value) for value in values], dtype=np.int32))


def test_each_call_has_the_rates_of_its_own_size() -> None:
    """Calls on both sides of a long-context threshold get what the price list says for each."""
    sizes = [1, 272_000, 272_001, 400_000, 150_000]
    n = len(sizes)

    found = rate_columns(
        labels(*["openai"] * n),
        labels(*["gpt-5.5"] * n),
        labels(*[None] * n),
        input_tokens=np.array(sizes, dtype=float),
        at_ns=np.full(n, NOON_NS),
    )

    listed = [prices.rates("openai", "gpt-5.5", input_tokens=size, at_ns=NOON_NS) for size in sizes]
    assert found.input.tolist() == [float(rates.input) for rates in listed if rates is not None]
    assert len(set(found.input)) == 2


def test_each_call_has_the_rates_of_its_own_day() -> None:
    """A price that changed between two calls is the old one for the first and the new one for the second."""
    days = [1_782_000_000_000_000_000, NOON_NS]

    found = rate_columns(
        labels("openai", "openai"),
        labels("gpt-5.6-luna", "gpt-5.6-luna"),
        labels(None, None),
        input_tokens=np.full(2, 100.0),
        at_ns=np.array(days),
    )

    listed = [prices.rates("openai", "gpt-5.6-luna", input_tokens=100, at_ns=day) for day in days]
    assert found.output.tolist() == [None if rates is None else float(rates.output) for rates in listed]


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [("openai", "no-such-model", None), ("openai", "gpt-4o", "no-such-tier"), (None, "gpt-4o", None)],
)
def test_no_price_is_nan(provider: str | None, model: str, tier: str | None) -> None:
    """A model, tier or provider without a price gives NaN, never 0."""
    found = rate_columns(
        labels(provider), labels(model), labels(tier), input_tokens=np.array([10.0]), at_ns=np.array([NOON_NS])
    )

    assert np.isnan(found.input[0])
    assert np.isnan(found.output[0])


def test_batch_has_its_own_price() -> None:
    """Calls of the batch tier are priced as batch."""
    found = rate_columns(
        labels("anthropic", "anthropic"),
        labels("claude-haiku-4-5", "claude-haiku-4-5"),
        labels("batch", None),
        input_tokens=np.full(2, 10.0),
        at_ns=np.full(2, NOON_NS),
    )

    assert found.input[0] == found.input[1] / 2


def test_what_if_prices_beat_the_list() -> None:
    """An override stands in for the list, and classes it does not name follow its input and output prices."""
    own = Rates(input=Decimal("0.000001"), output=Decimal("0.000002"))

    found = rate_columns(
        labels("openai"),
        labels("gpt-4o"),
        labels(None),
        input_tokens=np.array([10.0]),
        at_ns=np.array([NOON_NS]),
        overrides={("openai", "gpt-4o"): own},
    )

    assert (found.input[0], found.output[0]) == (1e-6, 2e-6)
    assert (found.cache_read[0], found.cache_miss[0], found.reasoning[0]) == (1e-6, 1e-6, 2e-6)
    assert np.isnan(found.web_search[0])


def test_no_calls_need_no_prices() -> None:
    """No rows give no rows."""
    none = labels()

    found = rate_columns(none, none, none, input_tokens=np.zeros(0), at_ns=np.zeros(0, dtype=np.int64))

    assert len(found.input) == 0
