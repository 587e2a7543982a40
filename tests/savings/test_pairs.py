from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tierwise.savings.pairs import read_pairs

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
