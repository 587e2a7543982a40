from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tierwise.routing.policy import Policy, parse
from tierwise.savings.pairs import largest_weights, read_pairs

if TYPE_CHECKING:
    from conftest import Worlds


def test_a_pair_scored_twice_is_one_pair(worlds: Worlds) -> None:
    """Rows of the same shadow call, one an evaluation, are one pair among the distinct ones."""
    once = worlds.make(1, conversations=50).pairs
    twice = pa.concat_tables(
        [
            once,
            once.set_column(
                once.column_names.index("evaluation_name"), "evaluation_name", pa.array(["other"] * len(once))
            ),
        ]
    )

    pairs = read_pairs(twice)

    assert len(pairs) == 2 * len(once)
    assert len(pairs.distinct()) == len(once)


def test_pairs_weigh_by_propensity(worlds: Worlds) -> None:
    """A pair counts 1 / propensity; one whose propensity was not recorded counts once."""
    table = worlds.make(1, conversations=30, pair_share=0.25).pairs

    assert set(read_pairs(table).weight) == {4.0}
    assert set(read_pairs(table.drop_columns("shadow_propensity")).weight) == {1.0}


def test_pairs_without_tokens_measure_nothing(worlds: Worlds) -> None:
    """Pairs whose token counts are unknown, or 0 on the strong side, are left out of token ratios."""
    table = worlds.make(1, conversations=30).pairs
    tokens = np.array(table["strong_output_tokens"], dtype=float)
    tokens[0] = 0
    weak = [None, None, *table["weak_input_tokens"].to_pylist()[2:]]
    at = table.column_names.index
    table = table.set_column(at("strong_output_tokens"), "strong_output_tokens", pa.array(tokens))
    table = table.set_column(at("weak_input_tokens"), "weak_input_tokens", pa.array(weak))

    assert len(read_pairs(table).with_tokens()) == len(table) - 2


def test_pairs_are_found_by_their_models(worlds: Worlds) -> None:
    """`between` finds the rows that compare two models, in that direction."""
    pairs = read_pairs(worlds.make(1, conversations=30).pairs)

    assert pairs.between(worlds.STRONG, worlds.WEAK).all()
    assert not pairs.between(worlds.WEAK, worlds.STRONG).any()


def test_a_pair_weighs_at_most_what_its_policy_allowed(worlds: Worlds) -> None:
    """Each policy version has a largest weight of its own: what it says, or the heaviest of its pairs."""
    table = worlds.make(1, conversations=60).pairs
    n = len(table)
    version = [1] * (n // 2) + [2] * (n - n // 2)
    propensity = np.where(np.arange(n) % 2 == 0, 0.25, 0.1)
    table = table.set_column(table.column_names.index("shadow_propensity"), "shadow_propensity", pa.array(propensity))
    table = table.append_column("policy_version", pa.array(version))

    known = read_pairs(table, {1: 20.0})

    assert set(known.max_weight[: n // 2]) == {20.0}
    assert set(known.max_weight[n // 2 :]) == {10.0}
    assert (known.weight <= known.max_weight).all()


def test_a_policy_samples_the_model_with_most_candidates_least() -> None:
    """The largest weight of a policy is that of a model whose sample is dealt out among several candidates."""
    two = parse('[shadow]\nsample = 0.1\n[shadow.candidates]\n"a" = ["b", "c"]\n"d" = ["c"]\n')
    none = parse("[shadow]\nsample = 0.0\n")
    one = parse("[shadow]\nsample = 0.1\n")

    assert largest_weights([(3, two), (4, none), (5, one), (6, Policy())]) == {3: 20.0, 5: 10.0}
