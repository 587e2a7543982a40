from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from tierwise.evidence.estimate import Estimate
from tierwise.evidence.portfolio import Selection, select

Floats = npt.NDArray[np.float64]


class World:
    """Pairs from slices with known retention; strong is right on 90%, the weak model costs a fifth."""

    def __init__(self, retention: dict[str, float], shares: dict[str, float], n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = list(shares)
        self.slices = rng.choice(names, p=list(shares.values()), size=n)
        kept = np.array([retention[name] for name in self.slices])
        both = 0.9 * kept - 0.02
        draw = rng.random(n)
        self.weak = (draw < both + 0.02).astype(float)
        self.strong = ((draw < both) | ((draw >= both + 0.02) & (draw < 0.92))).astype(float)
        self.strong_cost = rng.lognormal(0.0, 0.5, n)
        self.weak_cost = 0.2 * self.strong_cost

    def select(self, **arguments: object) -> Selection:
        return select(
            self.slices,
            self.weak,
            self.strong,
            self.weak_cost,
            self.strong_cost,
            **{"seed": 0, **arguments},  # pyright: ignore[reportArgumentType]
        )


MIXED = {"extraction": 1.0, "classification": 1.02, "reasoning": 0.55, "rare": 1.0}
SHARES = {"extraction": 0.4, "classification": 0.3, "reasoning": 0.28, "rare": 0.02}


def test_good_slices_move_and_bad_ones_stay_with_a_reason():
    """The good slices form a certified policy; the bad one is named too weak and the rare one short of pairs."""
    selection = World(MIXED, SHARES, 1500, seed=1).select()

    assert set(selection.members) == {"extraction", "classification"}
    assert selection.rejected["reasoning"].startswith("too weak: retention 5")
    assert selection.rejected["rare"].startswith("too few pairs: ")
    assert selection.retention is not None
    assert selection.retention.certified
    assert selection.e_value == selection.retention.e_value >= 20.0


def test_the_saving_is_over_all_traffic():
    """Moving 70% of the traffic at a fifth of the price saves about 56%, with an interval around it."""
    selection = World(MIXED, SHARES, 1500, seed=1).select()

    assert isinstance(selection.saving, Estimate)
    assert selection.saving.low <= 0.56 <= selection.saving.high
    assert selection.saving.high - selection.saving.low < 0.1


def test_every_member_clears_its_floor():
    """Each member's own bounds are at least the floor and reach rho."""
    for seed in range(10):
        selection = World(MIXED, SHARES, 800, seed=seed).select(floor=0.85)

        for member in selection.members:
            assert selection.certificates[member].low >= 0.85
            assert selection.certificates[member].high >= 0.95


def test_every_slice_is_either_a_member_or_has_a_reason():
    """Members and rejections partition the slices, and each slice has its own certificate."""
    for seed in range(10):
        selection = World(MIXED, SHARES, 400, seed=seed).select()

        assert set(selection.members) | set(selection.rejected) == set(SHARES)
        assert not set(selection.members) & set(selection.rejected)
        assert set(selection.certificates) == set(SHARES)


@pytest.mark.parametrize("floor", [0.0, 0.85])
def test_a_chosen_policy_rarely_breaks_its_promise(floor: float):
    """With six slices, half of them at 90%, a policy below 95% overall is certified in at most 5% of 200 worlds."""
    retention = {"a": 1.0, "b": 0.97, "c": 0.95, "d": 0.9, "e": 0.9, "f": 0.9}
    moved = broken = 0
    for seed in range(200):
        selection = World(retention, dict.fromkeys(retention, 1 / 6), 600, seed).select(floor=floor, seed=seed)

        kept = np.mean([retention[name] if name in selection.members else 1.0 for name in retention])
        moved += bool(selection.members)
        broken += bool(kept < 0.95)
    assert moved > 60
    assert broken / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_moving_everything_is_always_compared():
    """When the cheaper model is as good everywhere, changing outright is certified and saves four fifths."""
    world = World({"a": 1.0, "b": 1.01}, {"a": 0.5, "b": 0.5}, 1000, seed=2)

    outright = world.select().outright

    assert outright.certificate.certified
    assert outright.certificate.alpha == pytest.approx(0.01)
    assert isinstance(outright.saving, Estimate)
    assert outright.saving.value == pytest.approx(0.8)
    assert outright.weak_members == ()


def test_moving_everything_names_the_slices_it_would_hurt():
    """A slice whose upper bound is below rho is listed beside the outright change."""
    assert World(MIXED, SHARES, 1500, seed=1).select().outright.weak_members == ("reasoning",)


def test_a_slice_where_the_cheaper_model_costs_more_stays():
    """Without a saving there is nothing to certify."""
    world = World({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.5}, 800, seed=3)
    world.weak_cost[world.slices == "b"] = 2.0 * world.strong_cost[world.slices == "b"]

    selection = world.select()

    assert selection.members == ("a",)
    assert selection.rejected["b"] == "the cheaper model costs no less here"


def test_without_evidence_nothing_moves():
    """Forty pairs certify nothing: no members, no retention, an e-value of one, no saving interval."""
    selection = World({"a": 1.0}, {"a": 1.0}, 40, seed=4).select()

    assert (selection.members, selection.retention, selection.e_value) == ((), None, 1.0)
    assert "more" in selection.rejected["a"]


def test_no_pairs_select_nothing():
    """An empty sample gives an empty selection."""
    selection = select([], [], [], [], [], seed=0)

    assert (selection.members, selection.rejected, selection.n) == ((), {}, 0)


def test_a_conversation_is_ranked_on_or_tested_on_but_not_both():
    """Repeating each pair in one conversation gives the selection of the single pairs."""
    world = World(MIXED, SHARES, 1200, seed=5)
    alone = world.select()

    for name in ("slices", "weak", "strong", "weak_cost", "strong_cost"):
        setattr(world, name, np.repeat(getattr(world, name), 3))
    repeated = world.select(cluster=np.repeat(np.arange(1200), 3))

    assert repeated.members == alone.members
    assert repeated.e_value == pytest.approx(alone.e_value)


def test_the_seed_decides():
    """The same seed gives the same selection."""
    world = World(MIXED, SHARES, 800, seed=6)

    assert world.select(seed=3) == world.select(seed=3)


def test_a_selection_is_json():
    """The selection can be stored as it is."""
    stored = json.loads(json.dumps(World(MIXED, SHARES, 600, seed=7).select().to_dict(), allow_nan=False))

    assert set(stored["certificates"]) == set(SHARES)
    assert stored["saving"]["kind"] == "estimate"


@pytest.mark.parametrize(
    ("weak_cost", "strong_cost", "message"),
    [([-1.0], [1.0], r"weak_cost is -1\.0 at position 0"), ([0.0], [0.0], r"strong_cost is 0\.0 at position 0")],
)
def test_impossible_costs_are_refused(weak_cost: list[float], strong_cost: list[float], message: str):
    """Costs that cannot be are refused with value and place."""
    with pytest.raises(ValueError, match=message):
        select(["a"], [1.0], [1.0], weak_cost, strong_cost, seed=0)
