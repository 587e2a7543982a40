from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tierwise.price_overrides import Rates
from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.assignment import assign
from tierwise.savings.moves import Move, Pricing, adjusted_cost, moves
from tierwise.savings.pairs import read_pairs
from tierwise.savings.traffic import Traffic, read_traffic

if TYPE_CHECKING:
    from conftest import World, Worlds


def planned(policy: Policy, traffic: Traffic, world: World, **pricing: object) -> list[Move]:
    return moves(
        traffic,
        assign(policy, traffic),
        read_pairs(world.pairs),
        pricing=Pricing(**pricing),  # pyright: ignore[reportArgumentType]
        draws=200,
        rng=np.random.default_rng(1),
    )


def test_use_cases_have_ratios_of_their_own(worlds: Worlds) -> None:
    """Each use case moves by itself, at ratios from its own pairs and, while these are few, from all pairs."""
    world = worlds.make(1, conversations=200, use_cases=3, pair_share=0.3)
    rare = np.array([name == "uc_2" for name in world.pairs["use_case_id"].to_pylist()])
    world = replace(world, pairs=world.pairs.filter(~rare | (np.cumsum(rare) <= 5)))
    traffic = read_traffic(world.calls)

    plan = planned(Policy(mode="enforce", rules=(Rule("r", "route", to=worlds.WEAK),)), traffic, world)

    by_use_case = {traffic.use_case_id[move.rows[0]]: move for move in plan}
    assert len(plan) == 3
    assert sum(len(move.rows) for move in plan) == len(traffic)
    assert by_use_case["uc_2"].ratios.pairs == 5
    assert by_use_case["uc_0"].ratios.pairs > 20
    assert all(move.ratios.pairs_in_all == len(world.pairs) for move in plan)
    spread = {name: float(np.std(move.ratios.slope_draws)) for name, move in by_use_case.items()}
    assert spread["uc_2"] > spread["uc_0"]


def test_calls_go_back_when_no_rule_sends_them_away(worlds: Worlds) -> None:
    """Calls that a rule had sent to the target go back to the model asked for, at the inverse of the measured ratio."""
    world = worlds.make(2)
    traffic = read_traffic(worlds.route(world, rule_id="r", share=0.5, holdout=0.1, seed=1))

    plan = planned(Policy(mode="enforce"), traffic, world)

    went = traffic.request_model.equal(worlds.WEAK)
    assert [(move.from_model, move.to_model, move.rule) for move in plan] == [(worlds.WEAK, worlds.STRONG, -1)]
    assert sorted(plan[0].rows.tolist()) == went.nonzero()[0].tolist()
    assert plan[0].ratios.output < 1.0
    cost = plan[0].repriced.cost(plan[0].ratios)
    assert cost.sum() == pytest.approx(world.strong_pico[went].sum() / 1e12, rel=0.15)


def test_under_the_logging_rule_nothing_moves(worlds: Worlds) -> None:
    """The rule that routed the calls leaves every one of them where it went."""
    world = worlds.make(3)
    rule = Rule("r", "route", When(request_model=(worlds.STRONG,)), to=worlds.WEAK, share=0.3, holdout=0.1)
    traffic = read_traffic(worlds.route(world, rule_id="r", share=0.3, holdout=0.1, seed=1))

    assert planned(Policy(mode="enforce", rules=(rule,)), traffic, world) == []


def test_a_smaller_share_moves_some_of_the_treated_back(worlds: Worlds) -> None:
    """Halving the share sends each treated call back with probability one half and touches nobody else."""
    world = worlds.make(4)
    rule = Rule("r", "route", to=worlds.WEAK, share=0.25, holdout=0.1)
    traffic = read_traffic(worlds.route(world, rule_id="r", share=0.5, holdout=0.1, seed=1))

    plan = planned(Policy(mode="enforce", rules=(rule,)), traffic, world)

    treated = traffic.arm.equal("canary")
    assert len(plan) == 1
    assert plan[0].to_model == worlds.STRONG
    assert sorted(plan[0].rows.tolist()) == treated.nonzero()[0].tolist()
    assert np.allclose(plan[0].probability, 0.5)


def test_unpriced_calls_stay(worlds: Worlds) -> None:
    """A call without a cost is not moved: nothing is known about what it would save."""
    world = worlds.make(5, conversations=50)
    traffic = read_traffic(world.calls.set_column(
        world.calls.column_names.index("cost_usd"),
        "cost_usd",
        [[None if row == 0 else cost for row, cost in enumerate(world.calls["cost_usd"].to_pylist())]],
    ))  # fmt: skip

    plan = planned(Policy(mode="enforce", rules=(Rule("r", "route", to=worlds.WEAK),)), traffic, world)

    assert 0 not in {row for move in plan for row in move.rows.tolist()}


def test_other_prices_change_the_billed_cost_by_their_difference(worlds: Worlds) -> None:
    """With what-if prices for the present model, what was billed changes by new minus listed price."""
    world = worlds.make(6, conversations=30)
    traffic = read_traffic(world.calls)
    free_output = {("anthropic", worlds.STRONG): Rates(input=Decimal("0.000004"), output=Decimal(0))}

    cost = adjusted_cost(traffic, Pricing(overrides=free_output))

    assert cost == pytest.approx(traffic.cost - traffic.output_tokens * 0.000020)
    assert (adjusted_cost(traffic, Pricing()) == traffic.cost).all()
