from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tierwise.recommend.ladder import Rung, compatibility, is_successor, ladder, price_of, proposed, tokens_of
from tierwise.savings.traffic import Traffic, read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def traffic(worlds: Worlds) -> Traffic:
    return read_traffic(worlds.make(1, conversations=50).calls)


def test_only_cheaper_models_are_on_the_ladder(worlds: Worlds) -> None:
    """Cheapest first, each with its price over the present one, and none that costs as much."""
    rungs = ladder(tokens_of(traffic(worlds)), "anthropic", worlds.STRONG, now=worlds.AS_OF)

    ratios = [rung.price_ratio for rung in rungs]
    assert ratios == sorted(ratios)
    assert max(ratios) <= 0.95
    assert {worlds.WEAK, worlds.MIDDLE} <= {rung.model for rung in rungs}
    assert worlds.STRONG not in {rung.model for rung in rungs}


def test_the_ratio_is_of_what_these_calls_cost(worlds: Worlds) -> None:
    """At equal token counts the ratio is the list price of the calls over what they cost now."""
    calls = traffic(worlds)

    present = price_of(tokens_of(calls), "anthropic", worlds.STRONG, now=worlds.AS_OF)

    assert present == pytest.approx(float(calls.total_usd()))
    assert price_of(tokens_of(calls), "anthropic", "no-such-model", now=worlds.AS_OF) is None


def test_models_a_person_wants_are_looked_at_too(worlds: Worlds) -> None:
    """A model that the policy shadows with is on the ladder if it has a price, whatever the table proposes."""
    rungs = ladder(
        tokens_of(traffic(worlds)), "anthropic", worlds.STRONG, now=worlds.AS_OF, wanted=("claude-3-haiku-20240307",)
    )

    assert "claude-3-haiku-20240307" in {rung.model for rung in rungs}


def test_a_model_without_a_price_has_no_ladder(worlds: Worlds) -> None:
    """Nothing is cheaper than a price nobody knows."""
    assert ladder(tokens_of(traffic(worlds)), "openai", "gpt-6.2-sol-unpriced", now=worlds.AS_OF) == []


def test_the_newest_of_the_cheapest_is_proposed(worlds: Worlds) -> None:
    """A new generation beats an old model that is only a little cheaper; a much cheaper one beats it."""
    newer, older, much_cheaper = Rung("claude-haiku-5-5", 0.05), Rung("claude-haiku-4-5", 0.03), Rung("unknown", 0.001)

    near = proposed([older, newer], "anthropic", worlds.STRONG, now=worlds.AS_OF)
    far = proposed([much_cheaper, older, newer], "anthropic", worlds.STRONG, now=worlds.AS_OF)

    assert near == newer
    assert far == much_cheaper
    assert proposed([], "anthropic", worlds.STRONG, now=worlds.AS_OF) is None


def test_abilities_that_the_target_lacks_are_told(worlds: Worlds) -> None:
    """What the requested model can do and the target cannot is said in words, as are its limits."""
    table = worlds.make(2, conversations=40).calls
    huge = read_traffic(
        table.set_column(table.column_names.index("input_tokens"), "input_tokens", pa.array([5_000_000] * len(table)))
    )

    fits = compatibility(traffic(worlds), "anthropic", worlds.MIDDLE, "claude-haiku-4-5", now=worlds.AS_OF)
    too_large = compatibility(huge, "anthropic", worlds.MIDDLE, "claude-haiku-4-5", now=worlds.AS_OF)
    unknown = compatibility(huge, "anthropic", worlds.MIDDLE, "claude-next", now=worlds.AS_OF)

    assert any("unlike claude-sonnet-5-5 it does not" in line for line in fits)
    assert any("tokens, fits the 200,000" in line for line in fits)
    assert any("5,000,000 tokens, does not fit the 200,000" in line for line in too_large)
    assert "not in the capability table" in unknown[0]


@pytest.mark.parametrize(
    ("model", "other", "newer"),
    [
        ("claude-haiku-4-5", "claude-haiku-5-5", True),
        ("claude-haiku-4-5-20251001", "claude-haiku-5-5", True),
        ("gpt-5.5", "gpt-5.6", True),
        ("gpt-5-mini", "gpt-5.4-mini", True),
        ("claude-haiku-5-5", "claude-haiku-4-5", False),
        ("claude-haiku-5-5", "claude-haiku-5-5", False),
        ("claude-opus-4-5", "claude-haiku-5-5", False),
        ("gpt-5-mini", "gpt-5.4-nano", False),
        ("davinci", "davinci", False),
    ],
)
def test_a_successor_is_the_same_name_with_a_higher_version(model: str, other: str, newer: bool) -> None:
    """Families and versions are read from names, dates apart."""
    assert is_successor(model, other) is newer


def test_the_successor_is_proposed_first(worlds: Worlds) -> None:
    """A newer generation of the same model is the smallest change, even when something else is cheaper still."""
    rungs = [Rung("claude-haiku-5-5", 0.02), Rung("claude-opus-5-5", 0.8)]

    found = proposed(rungs, "anthropic", "claude-opus-4-7", now=worlds.AS_OF)

    assert found == Rung("claude-opus-5-5", 0.8)
