from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tierwise.savings.traffic import encode, exact_usd, one_vocabulary, read_traffic, row_groups

if TYPE_CHECKING:
    from conftest import Worlds


def usd(*amounts: str | None) -> pa.Array:
    return pa.array([None if amount is None else Decimal(amount) for amount in amounts], pa.decimal128(18, 12))


def table(**columns: object) -> pa.Table:
    return pa.table({"start_time": pa.array([1, 2, 3], pa.timestamp("ns")), "cost_usd": usd("1", "2", None), **columns})


@given(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), max_size=40))
def test_sums_are_exact(pico: list[int]) -> None:
    """The sum of many costs has no rounding and no overflow, whatever their size."""
    total = exact_usd(np.array(pico, dtype=np.int64))

    assert total == Decimal(sum(pico)).scaleb(-12)


@given(st.lists(st.one_of(st.none(), st.decimals(-999_999, 999_999, places=12)), max_size=30), st.integers(0, 5))
def test_costs_are_read_to_the_last_digit(costs: list[Decimal | None], offset: int) -> None:
    """Each DECIMAL comes out as it went in, also from a slice of an Arrow column, and NULL is not priced."""
    column = pa.chunked_array([pa.array(costs, pa.decimal128(18, 12)).slice(min(offset, len(costs)))])
    rows = len(column)

    traffic = read_traffic(pa.table({"start_time": pa.array(range(rows), pa.timestamp("ns")), "cost_usd": column}))

    kept = costs[min(offset, len(costs)) :]
    assert traffic.total_usd() == sum((cost for cost in kept if cost is not None), Decimal(0))
    assert traffic.priced.tolist() == [cost is not None for cost in kept]


def test_unpriced_calls_cost_nothing_known() -> None:
    """A call without a price is NaN among floats and adds nothing to the exact sum."""
    traffic = read_traffic(table())

    assert np.isnan(traffic.cost[2])
    assert traffic.total_usd() == Decimal(3)
    assert traffic.total_usd(np.array([False, True, True])) == Decimal(2)


def test_missing_columns_are_null() -> None:
    """A table with only times and costs is read: texts are None, token counts NaN, the requested model the one sent."""
    traffic = read_traffic(table(request_model=["a", "b", "a"]))

    assert traffic.task_type[0] is None
    assert np.isnan(traffic.input_tokens).all()
    assert [traffic.requested_model[row] for row in range(3)] == ["a", "b", "a"]
    assert not traffic.failed.any()


def test_shadow_calls_are_not_traffic() -> None:
    """Calls that shadow another are left out."""
    traffic = read_traffic(table(shadow_of_span_id=[None, "abc", None]))

    assert len(traffic) == 2
    assert traffic.total_usd() == Decimal(1)


def test_blocks_are_conversations_else_traces() -> None:
    """Calls of a conversation are one block, calls without one go by their trace."""
    traffic = read_traffic(table(conversation_id=["c", None, "c"], trace_id=["1", "2", "3"]))

    assert traffic.blocks == 2
    assert traffic.block[0] == traffic.block[2] != traffic.block[1]


def test_taking_rows_numbers_blocks_anew(worlds: Worlds) -> None:
    """A part of the traffic has blocks 0 to k - 1 of its own and the same values otherwise."""
    traffic = read_traffic(worlds.make(1, conversations=40).calls)

    part = traffic.take(traffic.block >= 30)

    assert sorted(set(part.block.tolist())) == list(range(part.blocks))
    assert part.total_usd() == traffic.total_usd(traffic.block >= 30)


def test_null_is_a_label_of_its_own() -> None:
    """NULL in a text column is found again as None, in plain and dictionary-encoded columns."""
    plain = encode(pa.array(["a", None, "a"]))
    encoded = encode(pa.array(["a", None, "a"]).dictionary_encode())

    for labels in (plain, encoded):
        assert [labels[row] for row in range(3)] == ["a", None, "a"]
        assert labels.equal(None).tolist() == [False, True, False]


def test_columns_compare_by_value() -> None:
    """Two columns with different codes are the same where their texts are."""
    left, right = encode(pa.array(["a", "b", None])), encode(pa.array(["b", "b", None]))

    names, (left_codes, right_codes) = one_vocabulary(left, right)

    assert left.same_as(right).tolist() == [False, True, True]
    assert [names[code] for code in left_codes] == ["a", "b", None]
    assert [names[code] for code in right_codes] == ["b", "b", None]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_row_groups_split_the_rows(keys: list[tuple[int, int]]) -> None:
    """Every row is in exactly one group, with the rows of the same key."""
    array = np.array(keys, dtype=np.int64).reshape(-1, 2)

    groups = row_groups(array)

    assert sorted(row for group in groups for row in group.tolist()) == list(range(len(keys)))
    assert len({keys[group[0]] for group in groups}) == len(groups) == len(set(keys))
    assert all(keys[row] == keys[group[0]] for group in groups for row in group)
