"""Input that proves nothing, through everything that works out a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import recommend
from tierwise.recommend.levers import find_levers
from tierwise.recommend.verify import verify
from tierwise.routing.policy import Policy, Rule, When, dump
from tierwise.savings.backtest import realised
from tierwise.savings.predict import predict
from tierwise.savings.simulate import simulate

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore

Change = Callable[["Worlds"], "World"]


def with_columns(table: pa.Table, **columns: Any) -> pa.Table:
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array) else pa.array(values)
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def calls_with(worlds: Worlds, **columns: Any) -> World:
    world = worlds.make(1, conversations=100)
    n = len(world.calls)
    every = {
        name: value if isinstance(value, pa.Array) else pa.array([value] * n, type=world.calls[name].type)
        for name, value in columns.items()
    }
    return replace(world, calls=with_columns(world.calls, **every))


def no_calls(worlds: Worlds) -> World:
    world = worlds.make(1)
    return replace(world, calls=world.calls.slice(0, 0), pairs=world.pairs.slice(0, 0))


def one_conversation(worlds: Worlds) -> World:
    return worlds.make(1, conversations=1, pair_share=1.0)


def one_model(worlds: Worlds) -> World:
    """The target is what is asked for already."""
    return calls_with(worlds, requested_model=worlds.WEAK, request_model=worlds.WEAK)


def unknown_price(worlds: Worlds) -> World:
    return calls_with(worlds, cost_usd=None, request_model="no-such-model", requested_model="no-such-model")


def negative_tokens(worlds: Worlds) -> World:
    return calls_with(worlds, input_tokens=-5, output_tokens=-7)


def no_tokens(worlds: Worlds) -> World:
    return calls_with(worlds, input_tokens=None, output_tokens=None)


NOTHING_TO_MOVE: list[Change] = [
    no_calls,
    one_conversation,
    one_model,
    unknown_price,
    negative_tokens,
    no_tokens,
]


def rule(worlds: Worlds) -> Rule:
    return Rule("r", "route", When(), to=worlds.WEAK, share=0.5, holdout=0.1)


@pytest.mark.parametrize("change", NOTHING_TO_MOVE, ids=lambda change: change.__name__)
def test_predicting_gives_no_number(worlds: Worlds, change: Change) -> None:
    """Without calls that could move at a known price nothing is predicted."""
    world = change(worlds)

    found = predict(rule(worlds), world.calls, world.pairs, as_of=worlds.AS_OF, seed=1, draws=50)

    assert isinstance(found, NotEnoughData)


@pytest.mark.parametrize("change", NOTHING_TO_MOVE, ids=lambda change: change.__name__)
def test_simulating_gives_no_saving(worlds: Worlds, change: Change) -> None:
    """The saving is unknown, or exactly nothing where no call moves; never a guess."""
    world = change(worlds)

    found = simulate(
        Policy(mode="enforce", rules=(rule(worlds),)), world.calls, world.pairs, as_of=worlds.AS_OF, seed=1, draws=50
    )

    for saving in (found.saving, found.rules[0].saving):
        assert isinstance(saving, NotEnoughData) or (saving.low, saving.value, saving.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("change", NOTHING_TO_MOVE, ids=lambda change: change.__name__)
def test_recommending_gives_no_number(worlds: Worlds, store: DuckDBStore, change: Change) -> None:
    """What is proposed, if anything, carries NotEnoughData in place of a saving and a prediction."""
    worlds.fill(store, change(worlds))

    for item in recommend(store, now=worlds.AS_OF):
        if item.scope.request_model == worlds.STRONG:
            assert isinstance(item.window_saving, NotEnoughData)
            assert isinstance(item.net_saving, NotEnoughData)
            assert isinstance(item.prediction, NotEnoughData)
            assert item.state == "unproven"
    for lever in find_levers(store, now=worlds.AS_OF):
        saving = lever.window_saving
        assert isinstance(saving, NotEnoughData) or np.isfinite([saving.low, saving.value, saving.high]).all()


@pytest.mark.parametrize("change", NOTHING_TO_MOVE, ids=lambda change: change.__name__)
def test_verifying_gives_no_number(worlds: Worlds, store: DuckDBStore, change: Change) -> None:
    """A rule without two arms to compare is not measured, whatever the calls look like."""
    world = change(worlds)
    worlds.fill(store, world)
    store.put_policy(dump(Policy(mode="enforce", rules=(rule(worlds),))), who="ada", why="", based_on=None)

    (found,) = verify(store, now=worlds.AS_OF + timedelta(days=30))
    measured = realised(world.calls, "r", seed=1)

    for result in (found.realised, measured):
        assert isinstance(result.per_call, NotEnoughData)
        assert isinstance(result.total, NotEnoughData)
        assert isinstance(result.quality.change, NotEnoughData)
    assert isinstance(found.drift, NotEnoughData) or not found.drift.alarm
    assert found.comparison is None


@pytest.mark.parametrize("score", [None, float("nan"), 1.5, -0.5, float("inf")])
def test_scores_that_are_none_prove_nothing(worlds: Worlds, score: float | None) -> None:
    """Pairs with a missing, infinite or impossible score on one side are no evidence."""
    world = worlds.make(2, pair_share=0.5)
    pairs = with_columns(world.pairs, weak_score=pa.array([score] * len(world.pairs), pa.float64()))

    found = simulate(
        Policy(mode="enforce", rules=(rule(worlds),)), world.calls, pairs, as_of=worlds.AS_OF, seed=1, draws=50
    )

    assert isinstance(found.rules[0].certificate, NotEnoughData)
    assert isinstance(found.saving, Estimate)


def test_when_everything_fails_nothing_is_certified(worlds: Worlds, store: DuckDBStore) -> None:
    """Two models that are never right keep nothing: retention has no value and nothing may be enforced."""
    world = worlds.make(3, conversations=400, pair_share=0.5)
    zeros = [0.0] * len(world.pairs)
    worlds.fill(store, replace(world, pairs=with_columns(world.pairs, strong_score=zeros, weak_score=zeros)))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "unproven"
    assert not isinstance(item.certificate, NotEnoughData)
    assert item.certificate.value is None
    assert not item.certificate.certified


def test_pairs_without_tokens_measure_no_ratio(worlds: Worlds) -> None:
    """Shadow calls without usable token counts leave the ratios where the prior has them, and it says so."""
    world = worlds.make(4, pair_share=0.5)
    n = len(world.pairs)
    broken = with_columns(
        world.pairs,
        weak_output_tokens=pa.nulls(n, pa.int64()),
        strong_output_tokens=pa.array([-1] * n, pa.int64()),
    )

    found = simulate(
        Policy(mode="enforce", rules=(rule(worlds),)), world.calls, broken, as_of=worlds.AS_OF, seed=1, draws=50
    )

    assert any("assumed, not measured (0 of 20 pairs)" in line for line in found.assumptions)


def test_a_negative_cost_is_no_saving(worlds: Worlds, store: DuckDBStore) -> None:
    """Calls that claim to have cost less than nothing make no use case worth moving."""
    world = calls_with(worlds, cost_usd=Decimal(-1))
    worlds.fill(store, world)

    assert recommend(store, now=worlds.AS_OF) == []
