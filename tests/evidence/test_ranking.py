from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.evidence._inputs import cluster_codes
from tierwise.evidence.ranking import FIRST_RANKING, Epoch, _alpha_share, epochs, next_ranking

SLICES = 4


def arrivals(pairs: int, seed: int, *, conversations: int | None = None) -> dict[str, Any]:
    """Random arguments of `epochs`, in order of arrival; pairs fall at random into conversations when given."""
    rng = np.random.default_rng(seed)
    ids = np.arange(pairs) if conversations is None else rng.integers(conversations, size=pairs)
    strong = (rng.random(pairs) < 0.9).astype(float)
    return {
        "arm": rng.integers(SLICES, size=pairs),
        "weak": np.where(rng.random(pairs) < 0.95, strong, 1.0 - strong),
        "strong": strong,
        "saved": rng.lognormal(0.0, 1.0, pairs),
        "weight": rng.choice([0.25, 1.0], pairs),
        "cluster": cluster_codes(ids, pairs)[0],
    }


def paths(arguments: dict[str, Any], *, floor: float = 0.5, alpha: float = 0.04) -> list[Epoch]:
    slices = np.arange(SLICES)
    return epochs(**arguments, slice_of=slices, shares=(0.5, 1.0), floor=floor, rho=0.95, alpha=alpha)


def policies(epoch: Epoch) -> list[tuple[tuple[int, ...], float]]:
    return [(step.arms, step.share) for step in epoch.path]


@settings(max_examples=40)
@given(
    pairs=st.integers(1, 500),
    more=st.integers(1, 500),
    seed=st.integers(0, 1000),
    conversations=st.sampled_from([None, 150, 300]),
    floor=st.sampled_from([0.0, 0.5, 0.85]),
)
def test_what_arrives_later_changes_no_path(pairs: int, more: int, seed: int, conversations: int | None, floor: float):
    """Every ranked epoch stays as it was, and every pair that tested goes on testing for the same epoch."""
    after = arrivals(pairs + more, seed, conversations=conversations)
    before = {name: column[:pairs] for name, column in after.items()}

    earlier, later = paths(before, floor=floor)[1:], paths(after, floor=floor)[1:]

    assert len(later) >= len(earlier)
    for then, now in zip(earlier, later, strict=False):
        assert (then.number, then.alpha, then.ranked_on) == (now.number, now.alpha, now.ranked_on)
        assert policies(then) == policies(now)
        assert np.array_equal(then.seen, now.seen)
        assert np.array_equal(then.testing, now.testing[:pairs])


def test_the_test_touches_neither_the_path_nor_its_stakes() -> None:
    """Other scores and costs on the testing pairs leave the path as it is."""
    arguments = arrivals(FIRST_RANKING + 20, seed=1)
    _, epoch = paths(arguments)
    assert len(epoch.path) > 1

    for name in ("weak", "strong", "saved"):
        arguments[name] = np.where(epoch.testing, 1.0 - arguments[name], arguments[name])

    _, again = paths(arguments)
    assert policies(again) == policies(epoch)
    for step, same in zip(epoch.path, again.path, strict=True):
        assert np.array_equal(step.log_shares, same.log_shares)


def test_the_shares_of_the_error_add_up() -> None:
    """Epochs rank on three times as many each, and however many there are, together they spend no more than alpha."""
    found = paths(arrivals(30_000, seed=2), alpha=0.04)

    assert [epoch.ranked_on for epoch in found] == [0, 96, 288, 864, 2592, 7776, 23328]
    assert found[0].alpha == pytest.approx(0.004)
    assert 0.037 < sum(epoch.alpha for epoch in found) < 0.04


def test_the_capital_of_a_test_is_split_and_not_multiplied() -> None:
    """The shares over the stakes add up to 1 at every step."""
    for epoch in paths(arrivals(1_000, seed=4)):
        for step in epoch.path:
            assert np.exp(step.log_shares).sum() == pytest.approx(1.0)


def test_a_conversation_is_ranked_on_or_tests() -> None:
    """What a conversation adds after it was ranked on does not test either."""
    arguments = arrivals(600, seed=3, conversations=120)
    _, epoch = paths(arguments)

    ranked_on = np.unique(arguments["cluster"][~epoch.testing])

    assert len(ranked_on) == epoch.ranked_on == FIRST_RANKING
    assert (np.bincount(arguments["cluster"])[ranked_on] > 1).any()
    assert not np.isin(arguments["cluster"][epoch.testing], ranked_on).any()


@pytest.mark.parametrize(("clusters", "ahead"), [(0, 96), (95, 96), (96, 288), (300, 864)])
def test_there_is_always_a_next_ranking(clusters: int, ahead: int) -> None:
    """The next path is set by more conversations than there are."""
    assert next_ranking(clusters) == ahead


def ranked(
    retention: list[float],
    share: list[int],
    saved: list[float],
    *,
    floor: float = 0.0,
    slice_of: list[int] | None = None,
) -> Epoch:
    """The first ranked epoch of arms with exactly these retentions, numbers of pairs and savings; strong is right."""
    code = np.repeat(np.arange(len(share)), share)
    right = [np.arange(pairs) < round(kept * pairs) for kept, pairs in zip(retention, share, strict=True)]
    assert len(code) == FIRST_RANKING
    _, epoch = epochs(
        code,
        np.concatenate(right).astype(float),
        np.ones(len(code)),
        np.array(saved)[code],
        slice_of=np.arange(len(share)) if slice_of is None else np.array(slice_of),
        shares=(1.0,),
        rho=0.95,
        alpha=0.05,
        floor=floor,
        weight=np.ones(len(code)),
        cluster=np.arange(len(code)),
    )
    return epoch


def moved(epoch: Epoch) -> list[int]:
    return [arm for step in epoch.path for arm in step.arms]


def test_what_loses_least_for_what_it_saves_comes_first() -> None:
    """Of slices that save alike the better comes first, of equally good ones the one that saves more."""
    assert moved(ranked([0.9, 1.0], [48, 48], [1.0, 1.0]))[0] == 1
    assert moved(ranked([1.0, 1.0], [48, 48], [1.0, 5.0]))[0] == 1


def test_what_saves_nothing_or_was_not_seen_is_not_tested() -> None:
    """A slice on which the cheaper model costs more, and one without pairs, are left out."""
    assert moved(ranked([1.0, 1.0, 1.0], [60, 36, 0], [1.0, -1.0, 1.0])) == [0]


def test_a_path_ends_where_certification_is_out_of_sight() -> None:
    """After a slice that loses far more than the budget, nothing more is tested."""
    epoch = ranked([1.0, 0.2, 0.1], [32, 32, 32], [1.0, 1.0, 1.0])

    assert moved(epoch) == [0, 1]


def test_a_step_that_the_floor_will_not_allow_comes_late() -> None:
    """A slice that saves a little more but will not clear its floor comes after one that will."""
    retention, share, saved = [0.75, 1.0], [48, 48], [20.0, 1.0]

    assert moved(ranked(retention, share, saved, floor=0.0))[0] == 0
    assert moved(ranked(retention, share, saved, floor=0.95))[0] == 1


def test_one_candidate_a_slice_is_tested() -> None:
    """Of two models for a slice the good one is chosen, though the bad one saves a little more; others do not test."""
    epoch = ranked([0.5, 1.0, 1.0], [32, 32, 32], [1.1, 1.0, 1.0], slice_of=[0, 0, 1])

    assert epoch.chosen.tolist() == [1, 2]
    assert 0 not in moved(epoch)


def test_no_number_of_epochs_spends_more_than_the_error() -> None:
    """Over sixty epochs, far more than will ever be, the shares of the error add up to 1."""
    assert sum(_alpha_share(number) for number in range(60)) == pytest.approx(1.0)
