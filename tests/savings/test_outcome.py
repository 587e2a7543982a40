from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.routing.policy import Policy, Rule
from tierwise.savings.assignment import assign
from tierwise.savings.moves import Pricing, moves
from tierwise.savings.outcome import Outcome, to_usd, unpriceable
from tierwise.savings.pairs import read_pairs
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def outcome(worlds: Worlds, seed: int, *, to: str, conversations: int = 200) -> Outcome:
    world = worlds.make(seed, conversations=conversations)
    traffic, rng = read_traffic(world.calls), np.random.default_rng(1)
    policy = Policy(mode="enforce", rules=(Rule("r", "route", to=to),))
    plan = moves(traffic, assign(policy, traffic), read_pairs(world.pairs), pricing=Pricing(), draws=200, rng=rng)
    return Outcome(traffic, plan, Pricing(), draws=200, level=0.95, rng=rng)


def test_saving_share_and_per_call_are_of_one_piece(worlds: Worlds) -> None:
    """The saving, its share and the saving per call are the same amount over different totals."""
    found = outcome(worlds, 1, to=worlds.WEAK)

    saving, share, per_call = found.saving(), found.saving_share(), found.saving_per_call()

    assert isinstance(saving, Estimate)
    assert isinstance(share, Estimate)
    assert isinstance(per_call, Estimate)
    assert share.value == pytest.approx(saving.value / float(found.baseline_usd))
    assert per_call.value == pytest.approx(saving.value / len(found.cost))
    assert found.exact_saving() == to_usd(saving.value)


def test_a_share_varies_less_than_its_total(worlds: Worlds) -> None:
    """How much traffic there is moves the total, not the share: both are drawn from the same conversations."""
    found = outcome(worlds, 2, to=worlds.WEAK)

    saving, share = found.saving(), found.saving_share()

    assert isinstance(saving, Estimate)
    assert isinstance(share, Estimate)
    assert (share.high - share.low) / share.value < 0.1 * (saving.high - saving.low) / saving.value


def test_calls_without_a_price_elsewhere_stay(worlds: Worlds) -> None:
    """Moves to a model without a price save nothing that is known, and the calls are told."""
    found = outcome(worlds, 3, to="no-such-model", conversations=50)

    assert found.exact_saving() == Decimal(0)
    assert isinstance(found.saving(), NotEnoughData)
    assert isinstance(found.saving_per_call(), NotEnoughData)
    assert unpriceable(found.plan, len(found.cost)).all()


def test_amounts_are_whole_picodollars() -> None:
    """A float amount becomes a Decimal that the store can hold."""
    assert to_usd(0.1) == Decimal("0.1")
    assert to_usd(1 / 3) == Decimal("0.333333333333")


def test_who_is_drawn_into_a_share_is_part_of_the_interval(worlds: Worlds) -> None:
    """With every price known, what a share of a half saves over many draws lies in its interval as often as it says,
    and a share of everything has no such noise."""
    world = worlds.make(5, conversations=100)
    traffic, rng = read_traffic(world.calls), np.random.default_rng(1)

    def of_share(share: float) -> Estimate:
        policy = Policy(mode="enforce", rules=(Rule("r", "route", to=worlds.WEAK, share=share),))
        plan = moves(traffic, assign(policy, traffic), read_pairs(world.pairs), pricing=Pricing(), draws=500, rng=rng)
        found = Outcome(traffic, plan, Pricing(), draws=500, level=0.95, rng=rng).saving()
        assert isinstance(found, Estimate)
        return found

    half, everything = of_share(0.5), of_share(1.0)
    saved = world.strong_pico - world.weak_pico
    drawn = rng.random((2000, traffic.blocks)) < 0.5
    truth = drawn @ np.bincount(traffic.block, saved, minlength=traffic.blocks) / 10**12
    inside = float(((truth >= half.low) & (truth <= half.high)).mean())

    assert inside > 0.9
    assert half.value == pytest.approx(0.5 * everything.value)
    assert half.high - half.low > 1.1 * 0.5 * (everything.high - everything.low)
