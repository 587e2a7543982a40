from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.portfolio import IN_TENTHS, Selection, allowed_shares, select

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

    def select(self, *, first: int | None = None, **arguments: object) -> Selection:
        """What is selected on the `first` pairs, or all; with few draws, as intervals of the saving take the time."""
        return select(
            self.slices[:first],
            self.weak[:first],
            self.strong[:first],
            self.weak_cost[:first],
            self.strong_cost[:first],
            **{"seed": 0, "draws": 20, **arguments},  # pyright: ignore[reportArgumentType]
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
    selection = World(MIXED, SHARES, 1500, seed=1).select(draws=2000)

    assert isinstance(selection.saving, Estimate)
    assert selection.saving.low <= 0.56 <= selection.saving.high
    assert selection.saving.high - selection.saving.low < 0.1


def test_every_use_case_keeps_its_floor():
    """What stays and what each member's own lower bound says add up to at least the floor."""
    for seed in range(10):
        selection = World(MIXED, SHARES, 800, seed=seed).select(floor=0.85, shares=IN_TENTHS)

        for member, share in selection.shares.items():
            assert 1.0 - share * (1.0 - selection.certificates[member].low) >= 0.85 - 1e-9


def test_a_member_with_few_pairs_moves_in_part():
    """Where whole slices are too much for the pairs there are, shares of them move and save more."""
    world = World({"a": 1.0, "b": 0.93}, {"a": 0.5, "b": 0.5}, 500, seed=1)

    whole, parts = world.select(), world.select(shares=IN_TENTHS)

    assert set(whole.members) == {"a"}
    assert parts.shares["a"] == 1.0
    assert 0.0 < parts.shares["b"] < 1.0
    assert parts.retention is not None
    assert parts.retention.certified


def test_the_best_of_several_candidates_is_chosen():
    """Pairs of two candidates, one good and one bad: the good one is moved to, on its own pairs."""
    good, bad = (World({"a": kept}, {"a": 1.0}, 800, seed) for kept, seed in ((1.0, 1), (0.6, 2)))
    slices, weak, strong, weak_cost, strong_cost = (
        np.stack([getattr(good, name), getattr(bad, name)], axis=1).ravel()
        for name in ("slices", "weak", "strong", "weak_cost", "strong_cost")
    )

    selection = select(
        slices, weak, strong, weak_cost, strong_cost, candidate=np.tile(["good", "bad"], 800), seed=0, draws=20
    )

    assert selection.candidates == {"a": "good"}
    assert selection.certificates["a"].n == selection.n == 800


def test_every_slice_is_either_a_member_or_has_a_reason():
    """Members and rejections partition the slices, and each slice has its own certificate."""
    for seed in range(10):
        selection = World(MIXED, SHARES, 400, seed=seed).select()

        assert set(selection.members) | set(selection.rejected) == set(SHARES)
        assert not set(selection.members) & set(selection.rejected)
        assert set(selection.certificates) == set(SHARES)


def test_a_floor_limits_the_share_that_moves():
    """At a lower bound of 70%, half of the calls may move before 85% is in doubt; from 85% on, all may."""
    allowed = allowed_shares(np.array([0.0, 0.7, 0.84, 0.85, 1.2]), 0.85, IN_TENTHS)

    assert allowed.tolist() == [0.1, 0.5, 0.9, 1.0, 1.0]
    assert allowed_shares(np.array([0.0]), 0.0, IN_TENTHS).tolist() == [1.0]


LOOKS = (120, 250, 500, 1000)


ONE_LARGE = {"large": 1 - 0.05 / 0.6, **dict.fromkeys("abcd", 1.0)}
ANY_IS_TOO_MUCH = dict.fromkeys("abc", 0.85)


@pytest.mark.parametrize(
    ("retention", "shares", "floor"),
    [
        pytest.param(ONE_LARGE, [0.6, 0.1, 0.1, 0.1, 0.1], 0.0, id="one-large"),
        pytest.param(ONE_LARGE, [0.6, 0.1, 0.1, 0.1, 0.1], 0.85, id="one-large-with-floor"),
        pytest.param(ANY_IS_TOO_MUCH, [1 / 3, 1 / 3, 1 / 3], 0.0, id="any-is-too-much"),
    ],
)
def test_looking_often_does_not_break_the_promise(retention: dict[str, float], shares: list[float], floor: float):
    """Where the tempting policies keep exactly 95% or less, at most 5% of the worlds ever see one certified."""
    worlds, share = 60, dict(zip(retention, shares, strict=True))
    broken = 0
    for seed in range(worlds):
        world = World(retention, share, max(LOOKS), seed)
        kept = [
            1 - sum(share[name] * (1 - retention[name]) for name in world.select(first=look, floor=floor).members)
            for look in LOOKS
        ]
        broken += any(value <= 0.95 + 1e-9 for value in kept)

    assert broken / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)


def test_good_slices_are_found_by_500_pairs():
    """500 pairs certify something in 9 of 10 worlds, and both good slices in 7 of 10."""
    found = [World(MIXED, SHARES, 500, seed).select().members for seed in range(50)]

    assert np.mean([{"extraction", "classification"} <= set(members) for members in found]) >= 0.7
    assert np.mean([bool(members) for members in found]) >= 0.9


def test_moving_everything_is_always_compared():
    """When the cheaper model is as good everywhere, changing outright is certified and saves four fifths."""
    world = World({"a": 1.0, "b": 1.01}, {"a": 0.5, "b": 0.5}, 1000, seed=2)

    outright = world.select().outright

    assert outright.certificate.certified
    assert outright.certificate.alpha == pytest.approx(0.0045)
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


def test_a_certificate_says_at_which_level_and_in_which_order_it_was_tested():
    """Each epoch certifies at its own share of nine tenths of alpha, on the pairs after those it ranked on."""
    for seed in range(10):
        selection = World(MIXED, SHARES, 700, seed).select()

        assert selection.epoch in (1, 2)
        assert selection.retention is not None
        assert selection.retention.certified
        assert selection.retention.alpha == pytest.approx(0.045 * {1: 0.27, 2: 0.225}[selection.epoch])
        assert selection.retention.n == selection.n == 700 - {1: 96, 2: 288}[selection.epoch]


def test_a_new_ranking_takes_no_certificate_away():
    """The pair with which the next epoch begins has no pairs to test on yet, and the epochs before go on."""
    world = World(MIXED, SHARES, 1500, seed=1)

    before, after = world.select(first=863), world.select(first=864)

    assert set(before.members) == set(after.members) == {"extraction", "classification"}
    assert after.epoch == before.epoch


def test_ranking_takes_a_number_of_conversations():
    """Below it nothing is tested, and the reason says how many more it takes."""
    world = World({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.5}, 60, seed=2)

    too_few = world.select(cluster=np.arange(60) // 3)

    assert (too_few.members, too_few.epoch, too_few.n) == ((), None, 0)
    assert too_few.rejected == dict.fromkeys(
        "ab", "not tested yet: the first 96 conversations are ranked on, which takes 76 more conversations"
    )
    assert isinstance(too_few.saving, NotEnoughData)


def test_a_slice_that_appears_late_waits_for_the_next_ranking():
    """It counts as traffic, is not tested, and the reason says when it will be ranked."""
    world = World({"early": 1.0, "late": 1.0, "weak": 0.5}, {"early": 0.5, "late": 0.2, "weak": 0.3}, 700, seed=3)
    world.slices = np.where((np.arange(700) < 500) & (world.slices == "late"), "early", world.slices)

    selection = world.select()

    assert selection.members == ("early",)
    assert selection.rejected["late"] == (
        "not tested yet: it appeared after the 288 conversations that were ranked on; "
        "the next ranking takes 164 more conversations"
    )


def test_a_conversation_ranks_or_tests_as_one():
    """Repeating each pair in one conversation gives the selection of the single pairs."""
    world = World(MIXED, SHARES, 1200, seed=5)
    alone = world.select()

    for name in ("slices", "weak", "strong", "weak_cost", "strong_cost"):
        setattr(world, name, np.repeat(getattr(world, name), 3))
    repeated = world.select(cluster=np.repeat(np.arange(1200), 3))

    assert repeated.members == alone.members
    # Only the stakes differ a little: they are set from the pairs that were ranked on.
    assert np.log(repeated.e_value) == pytest.approx(np.log(alone.e_value), rel=0.05)


def test_the_seed_is_of_the_interval_alone():
    """The same seed gives the same selection, another one the same members."""
    world = World(MIXED, SHARES, 800, seed=6)

    assert world.select(seed=3) == world.select(seed=3)
    assert world.select(seed=3).members == world.select(seed=4).members


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


def test_who_is_too_weak_takes_no_part():
    """A slice that surely keeps less than its floor does not move, though a tenth of it would fit into the whole; with
    no floor it may."""
    world = World({"good": 1.0, "bad": 0.6}, {"good": 0.8, "bad": 0.2}, 3000, seed=3)

    floored = world.select(shares=IN_TENTHS, floor=0.85)
    free = world.select(shares=IN_TENTHS, floor=0.0)

    assert floored.members == ("good",)
    assert floored.rejected["bad"].startswith("too weak")
    assert 0.0 < free.shares["bad"] < 1.0
