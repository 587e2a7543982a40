from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.ratios import MIN_PAIRS, OUTPUT_PRIOR, TokenRatios, input_prior, token_ratios, tokenizer_family

if TYPE_CHECKING:
    from conftest import Worlds

STRONG, WEAK = "claude-opus-5-5", "claude-haiku-5-5"


def pairs(strong: list[int], weak: list[int], *, use_case: list[str] | None = None, **columns: object) -> Pairs:
    """Pairs with these output tokens, each a conversation of its own."""
    n = len(strong)
    return read_pairs(
        pa.table(
            {
                "start_time": pa.array([0] * n, pa.timestamp("ns")),
                "shadow_span_id": [f"{row}" for row in range(n)],
                "conversation_key": [f"{row}" for row in range(n)],
                "use_case_id": use_case or ["uc"] * n,
                "strong_model": [STRONG] * n,
                "weak_model": [WEAK] * n,
                "strong_input_tokens": [100] * n,
                "weak_input_tokens": [100] * n,
                "strong_output_tokens": strong,
                "weak_output_tokens": weak,
                **columns,
            }
        )
    )


def ratios(
    some: Pairs, *, from_model: str = STRONG, to_model: str = WEAK, use_case: str = "uc", mean: float = 300.0
) -> TokenRatios:
    found = token_ratios(
        some,
        provider="anthropic",
        from_model=from_model,
        to_model=to_model,
        use_cases={use_case: mean},
        draws=2000,
        rng=np.random.default_rng(1),
    )
    return found[use_case]


def test_many_pairs_give_the_ratio_of_totals(worlds: Worlds) -> None:
    """With many pairs the ratio is total over total, near the truth, and its draws hold it."""
    world = worlds.make(3, conversations=600, pair_share=0.5, output_ratio=1.7)

    found = ratios(read_pairs(world.pairs), use_case="uc_0")

    strong, weak = (sum(world.pairs[name].to_pylist()) for name in ("strong_output_tokens", "weak_output_tokens"))
    assert found.measured
    assert found.input == pytest.approx(1.0)
    assert found.output == pytest.approx(weak / strong, rel=0.01)
    assert "measured on" in found.assumption
    mean = strong / len(world.pairs)
    drawn = (found.slope_draws * mean + found.per_call_draws) / mean
    assert np.quantile(drawn, 0.025) < 1.7 < np.quantile(drawn, 0.975)
    assert np.std(drawn) < 0.05


def test_draws_hold_the_truth_as_often_as_they_say(worlds: Worlds) -> None:
    """Over worlds of different ratios, 90% draws of the mean answer hold the truth nine times of ten, not always."""
    inside = 0
    for seed in range(60):
        truth = float(np.exp(np.random.default_rng(seed).uniform(np.log(0.6), np.log(1.8))))
        world = worlds.make(seed, conversations=60, pair_share=0.3, output_ratio=truth)
        found = ratios(read_pairs(world.pairs), use_case="uc_0")
        mean = sum(world.pairs["strong_output_tokens"].to_pylist()) / len(world.pairs)
        low, high = np.quantile(found.slope_draws + found.per_call_draws / mean, [0.05, 0.95])
        inside += low < truth < high

    assert 50 <= inside < 60


def test_without_pairs_it_is_the_prior() -> None:
    """No pairs: the middle of a stated range, drawn over all of it, and said so."""
    found = ratios(pairs([], []), to_model="claude-haiku-4-5")

    assert not found.measured
    assert (found.pairs, found.pairs_in_all) == (0, 0)
    assert found.output == pytest.approx(1.0)
    assert (found.output_slope, found.output_per_call) == (found.output, 0.0)
    assert OUTPUT_PRIOR[0] <= found.slope_draws.min() < 0.6
    assert 1.7 < found.slope_draws.max() <= OUTPUT_PRIOR[1]
    assert 0.70 <= found.input_draws.min() < found.input_draws.max() <= 1.0
    assert "assumed, not measured (0 of 20 pairs)" in found.assumption


def test_each_pair_moves_the_ratio_a_little() -> None:
    """From the prior to what pairs show there is no jump: the ratio and its certainty grow with every pair."""
    found = [ratios(pairs([300] * n, [600] * n)) for n in (0, 1, 3, 10, MIN_PAIRS - 1, MIN_PAIRS, 200)]

    values = [item.output for item in found]
    assert values == sorted(values)
    assert values[0] == pytest.approx(1.0)
    assert 1.0 < values[1] < 1.4
    assert values[-1] == pytest.approx(2.0, rel=0.01)
    assert max(np.diff(values[4:6])) < 0.05
    assert [item.measured for item in found] == [False] * 5 + [True] * 2


def test_pairs_of_other_use_cases_count_for_less() -> None:
    """A use case without pairs borrows from the others, with a spread that says it may differ."""
    rng = np.random.default_rng(2)
    strong = (300 * np.exp(rng.normal(0, 0.3, 400))).astype(int)
    sample = pairs(strong.tolist(), (strong * 1.5 * np.exp(rng.normal(0, 0.2, 400))).astype(int).tolist())

    own, other = ratios(sample), ratios(sample, use_case="never paired")

    assert other.output == pytest.approx(own.output, rel=0.05)
    assert np.std(other.slope_draws) > 3 * np.std(own.slope_draws)
    assert "pairs of other use cases" in other.assumption


def test_a_use_case_with_pairs_is_pulled_to_its_own_level() -> None:
    """Use cases at different levels keep them: 200 pairs outweigh what all pairs together say."""
    sample = pairs([300] * 400, [150] * 200 + [600] * 200, use_case=["short"] * 200 + ["long"] * 200)

    assert ratios(sample, use_case="short").output == pytest.approx(0.5, rel=0.05)
    assert ratios(sample, use_case="long").output == pytest.approx(2.0, rel=0.05)


def test_answers_of_one_length_are_a_constant_and_not_a_ratio() -> None:
    """A model that always writes the same amount is repriced per call, however much the other one wrote."""
    strong = np.tile([50, 100, 200, 800], 100)
    found = ratios(pairs(strong.tolist(), [400] * 400))

    assert found.output_slope < 0.05
    assert found.output_per_call == pytest.approx(400, rel=0.05)


def test_going_back_reads_the_pairs_the_other_way() -> None:
    """From weak to strong the same pairs give about one over the ratio."""
    rng = np.random.default_rng(3)
    strong = (300 * np.exp(rng.normal(0, 0.3, 300))).astype(int)
    sample = pairs(strong.tolist(), (strong * 1.5).astype(int).tolist())

    forward, back = ratios(sample), ratios(sample, from_model=WEAK, to_model=STRONG)

    assert back.pairs == forward.pairs == 300
    assert back.output == pytest.approx(1 / forward.output, rel=0.02)


def test_pairs_of_one_conversation_are_one_observation() -> None:
    """Twenty copies inside each conversation make the ratio no surer than one copy."""
    rng = np.random.default_rng(4)
    strong = (300 * np.exp(rng.normal(0, 0.3, 40))).astype(int)
    weak = (strong * np.exp(rng.normal(0, 0.5, 40))).astype(int)
    once = pairs(strong.tolist(), weak.tolist())
    copies = pairs(
        np.repeat(strong, 20).tolist(),
        np.repeat(weak, 20).tolist(),
        conversation_key=np.repeat([f"{row}" for row in range(40)], 20).tolist(),
    )

    assert np.std(ratios(copies).slope_draws) > 0.8 * np.std(ratios(once).slope_draws)


@pytest.mark.parametrize(
    ("provider", "model", "family"),
    [
        ("anthropic", "claude-opus-4-7", "claude from 4.7"),
        ("anthropic", "claude-haiku-5-5", "claude from 4.7"),
        ("anthropic", "claude-sonnet-5", "claude from 4.7"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude before 4.7"),
        ("anthropic", "claude-3-5-sonnet-20241022", "claude before 4.7"),
        ("anthropic", "claude-opus-4-20250514", "claude before 4.7"),
        ("aws.bedrock", "eu.anthropic.claude-opus-4-6-v1", "claude before 4.7"),
        ("openai", "gpt-4o-mini", "o200k"),
        ("openai", "gpt-4.1", "o200k"),
        ("openai", "gpt-6-luna", "o200k"),
        ("openai", "gpt-4-turbo", "cl100k"),
        ("openai", "gpt-3.5-turbo", "cl100k"),
    ],
)
def test_tokenizer_families(provider: str, model: str, family: str) -> None:
    """Models are put with those that count tokens as they do."""
    assert tokenizer_family(provider, model) == family


def test_the_tokenizer_prior_has_a_direction() -> None:
    """One within a family, fewer tokens from a newer Claude to an older one, more the other way."""
    assert input_prior("anthropic", "claude-opus-5-5", "claude-haiku-5-5") == (1.0, 1.0)
    assert input_prior("anthropic", "claude-opus-5-5", "claude-haiku-4-5") == (0.70, 1.0)
    assert input_prior("anthropic", "claude-opus-4-5", "claude-haiku-5-5") == pytest.approx((1.0, 1 / 0.70))
    assert input_prior("x", "a", "b")[0] < 1 < input_prior("x", "a", "b")[1]
