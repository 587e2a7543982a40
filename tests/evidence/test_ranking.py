from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.evidence._inputs import cluster_codes
from tierwise.evidence.ranking import FIRST_RANKING, Epoch, epochs, next_ranking, order_of_testing

SLICES = 4


def arrivals(pairs: int, seed: int, *, conversations: int | None = None) -> dict[str, Any]:
    """Random arguments of `epochs`, in order of arrival; pairs fall at random into conversations when given."""
    rng = np.random.default_rng(seed)
    ids = np.arange(pairs) if conversations is None else rng.integers(conversations, size=pairs)
    return {
        "slice_code": rng.integers(SLICES, size=pairs),
        "weak": rng.random(pairs).round(1),
        "strong": rng.random(pairs).round(1),
        "saved": rng.normal(1.0, 1.0, pairs),
        "weight": rng.lognormal(0.0, 1.0, pairs),
        "cluster": cluster_codes(ids, pairs)[0],
    }


def orders(arguments: dict[str, Any], *, floor: float = 0.5, alpha: float = 0.04) -> list[Epoch]:
    return epochs(**arguments, slices=SLICES, floor=floor, rho=0.95, alpha=alpha, max_weight=None)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.integers(0, 400),
    more=st.integers(1, 400),
    seed=st.integers(0, 1000),
    conversations=st.sampled_from([None, 50, 150]),
    floor=st.sampled_from([0.0, 0.5, 0.85]),
)
def test_what_arrives_later_changes_no_order(
    pairs: int, more: int, seed: int, conversations: int | None, floor: float
) -> None:
    """Every epoch stays as it was, and every pair that tested goes on testing for the same epoch."""
    after = arrivals(pairs + more, seed, conversations=conversations)
    before = {name: column[:pairs] for name, column in after.items()}

    earlier, later = orders(before, floor=floor), orders(after, floor=floor)

    assert len(later) >= len(earlier)
    for then, now in zip(earlier, later, strict=False):
        assert (then.number, then.alpha, then.ranked_on, then.order) == (
            now.number,
            now.alpha,
            now.ranked_on,
            now.order,
        )
        assert np.array_equal(then.seen, now.seen)
        assert np.array_equal(then.testing, now.testing[:pairs])


def test_the_test_does_not_touch_the_order() -> None:
    """Other scores and costs on the testing pairs leave the order as it is."""
    arguments = arrivals(FIRST_RANKING + 20, seed=1)
    (epoch,) = orders(arguments)
    assert len(epoch.order) > 1

    for name in ("weak", "strong", "saved"):
        arguments[name] = np.where(epoch.testing, 1.0 - arguments[name], arguments[name])

    assert orders(arguments)[0].order == epoch.order


def test_the_shares_of_the_error_add_up() -> None:
    """Epochs double, and however many there are, together they spend no more than alpha."""
    found = orders(arrivals(5_000, seed=2), alpha=0.04)

    assert [epoch.ranked_on for epoch in found] == [32, 64, 128, 256, 512, 1024, 2048, 4096]
    assert found[0].alpha == pytest.approx(0.02)
    assert 0.035 < sum(epoch.alpha for epoch in found) < 0.04


def test_a_conversation_is_ranked_on_or_tests() -> None:
    """What a conversation adds after it was ranked on does not test either."""
    arguments = arrivals(300, seed=3, conversations=60)
    (epoch,) = orders(arguments)

    ranked_on = np.unique(arguments["cluster"][~epoch.testing])

    assert len(ranked_on) == epoch.ranked_on == FIRST_RANKING
    assert (np.bincount(arguments["cluster"])[ranked_on] > 1).any()
    assert not np.isin(arguments["cluster"][epoch.testing], ranked_on).any()


@pytest.mark.parametrize(("clusters", "ahead"), [(0, 32), (31, 32), (32, 64), (100, 128)])
def test_there_is_always_a_next_ranking(clusters: int, ahead: int) -> None:
    """The next order is set by more conversations than there are."""
    assert next_ranking(clusters) == ahead


def ranked(retention: list[float], share: list[int], saved: list[float], *, floor: float) -> tuple[int, ...]:
    """The order of slices with exactly these retentions, numbers of pairs and savings; strong is always right."""
    code = np.repeat(np.arange(len(share)), share)
    right = [np.arange(pairs) < round(kept * pairs) for kept, pairs in zip(retention, share, strict=True)]
    return order_of_testing(
        code,
        np.concatenate(right).astype(float),
        np.ones(len(code)),
        np.array(saved)[code],
        weight=np.ones(len(code)),
        slices=len(share),
        floor=floor,
        rho=0.95,
    )


def test_the_surest_and_largest_slice_comes_first() -> None:
    """Of equally good slices the larger comes first, of equally large ones the better."""
    assert ranked([1.0, 1.0], [40, 80], [1.0, 1.0], floor=0.85) == (1, 0)
    assert ranked([0.95, 1.0], [40, 40], [1.0, 1.0], floor=0.85) == (1, 0)


def test_what_would_never_clear_its_floor_is_not_tested() -> None:
    """A slice on the way below its floor and one that saves nothing are left out; so is one without pairs."""
    assert ranked([1.0, 0.6, 1.0, 1.0], [60, 60, 60, 0], [1.0, 1.0, -1.0, 1.0], floor=0.85) == (0,)


def test_without_a_floor_all_that_save_are_tested() -> None:
    """Only the whole counts then: a weak slice comes last but comes."""
    assert ranked([0.6, 1.0, 1.0], [60, 60, 60], [1.0, 1.0, -1.0], floor=0.0) == (1, 0)
