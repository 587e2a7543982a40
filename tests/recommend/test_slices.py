from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tierwise.recommend.slices import PairIndex, certified_together, of_current_versions, slices, tried
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def with_column(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    array = pa.array(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, array)
    return table.append_column(name, array)


def test_the_dearest_use_case_comes_first(worlds: Worlds) -> None:
    """Slices are use case by model asked for, by what they cost, and no more than asked for."""
    traffic = read_traffic(worlds.make(1, use_cases=4).calls)

    found = slices(traffic, most=3)

    spends = [item.spend_usd for item in found]
    assert spends == sorted(spends, reverse=True)
    assert len(found) == 3
    assert all(set(item.traffic.use_case_id.codes) == {item.traffic.use_case_id.codes[0]} for item in found)


def test_calls_without_use_case_or_cost_are_no_slice(worlds: Worlds) -> None:
    """Calls that no rule could name, that cost nothing or write no text are left out."""
    calls = worlds.make(2, conversations=40).calls
    n = len(calls)

    nameless = read_traffic(with_column(calls, "use_case_id", [None] * n))
    free = read_traffic(
        calls.set_column(calls.column_names.index("cost_usd"), "cost_usd", pa.nulls(n, pa.decimal128(18, 12)))
    )
    vectors = read_traffic(with_column(calls, "operation", ["embeddings"] * n))

    assert slices(nameless, most=5) == slices(free, most=5) == slices(vectors, most=5) == []


def test_evidence_starts_over_with_a_new_model_version(worlds: Worlds) -> None:
    """Only pairs answered by the versions that answer now count; pairs that name no version do."""
    table = worlds.make(3).pairs
    n = len(table)
    order = np.argsort(table["start_time"].cast(pa.int64()).to_numpy())
    versions = np.empty(n, dtype=object)
    versions[order] = ["old"] * (n // 2) + ["new"] * (n - n // 2)

    current = of_current_versions(read_pairs(with_column(table, "weak_response_model", versions.tolist())))
    unnamed = of_current_versions(read_pairs(table))

    assert len(current) == n - n // 2
    assert {current.weak_version.values[code] for code in current.weak_version.codes} == {"new"}
    assert len(unnamed) == n


def two_candidates(worlds: Worlds, *, good: float, bad: float) -> Pairs:
    """Pairs of one use case with two cheaper models."""
    world = worlds.make(4, conversations=600, pair_share=0.5)
    other = worlds.make(4, conversations=600, pair_share=0.5, weak_model=worlds.MIDDLE, retention=good)
    weak = worlds.make(4, conversations=600, pair_share=0.5, retention=bad)
    assert len(world.pairs) == len(other.pairs)
    shadows = with_column(other.pairs, "shadow_span_id", [f"other {row}" for row in range(len(other.pairs))])
    return read_pairs(pa.concat_tables([weak.pairs, shadows]))


def test_what_chooses_does_not_certify(worlds: Worlds) -> None:
    """With two candidates, the pairs used to choose between them are not among those that certify."""
    pairs = two_candidates(worlds, good=1.0, bad=1.0)
    scope = slices(read_traffic(worlds.make(4).calls), most=1)[0].scope

    both = tried(scope, PairIndex(pairs), rho=0.95, alpha=0.05, seed=1)
    alone = tried(scope, PairIndex(pairs.take(pairs.weak_model.equal(worlds.WEAK))), rho=0.95, alpha=0.05, seed=1)

    assert [item.target for item in both] == [worlds.WEAK, worlds.MIDDLE]
    assert all(0.5 * item.n < len(item.rows) < 0.8 * item.n for item in both)
    assert len(alone[0].rows) == alone[0].n


def test_a_bad_candidate_is_not_chosen_for_its_price(worlds: Worlds) -> None:
    """The cheaper of two models comes second when it is too weak."""
    pairs = two_candidates(worlds, good=1.0, bad=0.6)
    scope = slices(read_traffic(worlds.make(4).calls), most=1)[0].scope

    found = tried(scope, PairIndex(pairs), rho=0.95, alpha=0.05, seed=1)

    assert [item.target for item in found] == [worlds.MIDDLE, worlds.WEAK]
    assert found[1].too_weak
    assert not found[0].too_weak


def test_only_sources_that_certify_certify(worlds: Worlds) -> None:
    """Structural checks and judges alone do not certify, however good they look."""
    world = worlds.make(5, conversations=600, pair_share=0.5)
    scope = slices(read_traffic(world.calls), most=1)[0].scope

    for source, members in (("check", 1), ("human", 1), ("judge", None), ("structural", None)):
        pairs = read_pairs(with_column(world.pairs, "evaluation_source", [source] * len(world.pairs)))
        chosen = tried(scope, PairIndex(pairs), rho=0.95, alpha=0.05, seed=1)[0]
        selection = certified_together([("it", chosen)], pairs, rho=0.95, alpha=0.05, floor=0.85, seed=1)
        assert (None if selection is None else len(selection.members)) == members, source


def test_pairs_without_a_cost_take_no_part(worlds: Worlds) -> None:
    """A policy is chosen by what it saves, so pairs without both costs are left out, and without any there is none."""
    world = worlds.make(6, conversations=300, pair_share=0.5)
    pairs = read_pairs(world.pairs)
    pairs = replace(pairs, weak_cost=np.full(len(pairs), np.nan))
    scope = slices(read_traffic(world.calls), most=1)[0].scope
    chosen = tried(scope, PairIndex(pairs), rho=0.95, alpha=0.05, seed=1)[0]

    assert certified_together([("it", chosen)], pairs, rho=0.95, alpha=0.05, floor=0.85, seed=1) is None


def test_pairs_are_weighed_in_order_of_arrival(worlds: Worlds) -> None:
    """The order in which the use cases are named, or the rows come, changes nothing."""
    world = worlds.make(7, conversations=600, pair_share=0.4, use_cases=3)
    pairs = read_pairs(world.pairs)
    shuffled = pairs.take(np.random.default_rng(1).permutation(len(pairs)))
    found = slices(read_traffic(world.calls), most=3)

    def selected(known: Pairs, *, reverse: bool) -> tuple[tuple[str, ...], int | None, int]:
        chosen = [
            (item.scope.use_case_id, tried(item.scope, PairIndex(known), rho=0.95, alpha=0.05, seed=1)[0])
            for item in found
        ]
        selection = certified_together(
            chosen[::-1] if reverse else chosen, known, rho=0.95, alpha=0.05, floor=0.85, seed=1
        )
        assert selection is not None
        return selection.members, selection.epoch, selection.n

    assert len(selected(pairs, reverse=False)[0]) > 1
    assert selected(pairs, reverse=False) == selected(pairs, reverse=True) == selected(shuffled, reverse=False)


def test_few_pairs_count_as_traffic(worlds: Worlds) -> None:
    """Pairs of a use case with few of them are weighed from the first, so that none comes in after the fact."""
    world = worlds.make(8, conversations=600, pair_share=0.4)
    few = np.arange(len(world.pairs)) < 10
    table = with_column(world.pairs, "use_case_id", np.where(few, "uc_few", "uc_0").tolist())
    pairs = read_pairs(table)
    scope = slices(read_traffic(world.calls), most=1)[0].scope
    chosen = [
        (use_case_id, tried(replace(scope, use_case_id=use_case_id), PairIndex(pairs), rho=0.95, alpha=0.05, seed=1)[0])
        for use_case_id in ("uc_0", "uc_few")
    ]

    selection = certified_together(chosen, pairs, rho=0.95, alpha=0.05, floor=0.85, seed=1)

    assert selection is not None
    assert selection.certificates["uc_few"].n == 10
    assert selection.shares["uc_0"] == 1.0
    assert selection.shares.get("uc_few", 0.0) < 0.5
