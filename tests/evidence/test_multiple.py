from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.multiple import adjusted_e_values, bonferroni, e_bh, holm

few_e_values = st.lists(st.floats(0.0, 400.0), min_size=0, max_size=7)


def subsets(items: range) -> list[tuple[int, ...]]:
    return [*chain.from_iterable(combinations(items, size) for size in range(1, len(items) + 1))]


def test_base_e_bh_rejects_by_the_wang_ramdas_threshold():
    """Base e-BH at 5% rejects the k largest with e_(k) >= m / (0.05 k): here two of four need 40 each."""
    e = [3.0, 55.0, 41.0, 1.0]

    assert e_bh(e, 0.05, closed=False).tolist() == [False, True, True, False]
    assert e_bh([3.0, 55.0, 39.0, 1.0], 0.05, closed=False).tolist() == [False, False, False, False]


@given(few_e_values)
def test_closed_e_bh_is_what_the_closure_over_all_subsets_allows(values: list[float]):
    """Closed e-BH finds the largest top set that passes the mean condition on every subset of hypotheses."""
    e = np.array(values)
    order = np.argsort(-e, kind="stable")

    def allowed(size: int) -> bool:
        rejected = {int(index) for index in order[:size]}
        return all(
            e[list(subset)].mean() >= len(rejected & set(subset)) / (0.05 * size) * (1 - 1e-12)
            for subset in subsets(range(len(e)))
        )

    sizes = [size for size in range(1, len(e) + 1) if allowed(size)]

    assert int(e_bh(values, 0.05).sum()) == max(sizes, default=0)


@given(st.lists(st.floats(0.0, 1e6), max_size=40))
def test_the_stronger_procedures_reject_what_the_weaker_ones_do(values: list[float]):
    """Bonferroni's rejections are among Holm's, Holm's among the adjusted e-values', base e-BH's among the closed."""
    by_bonferroni, by_holm = bonferroni(values), holm(values)
    by_adjustment = adjusted_e_values(values) >= 20.0 * (1 - 1e-12)

    assert not (by_bonferroni & ~by_holm).any()
    assert not (by_holm & ~by_adjustment).any()
    assert not (e_bh(values, closed=False) & ~e_bh(values)).any()


@given(few_e_values)
def test_an_adjusted_e_value_is_the_smallest_mean_over_subsets(values: list[float]):
    """The shortcut of algorithm 1 equals the minimum over all subsets that contain the hypothesis."""
    e = np.array(values)

    expected = [
        min(e[list(subset)].mean() for subset in subsets(range(len(e))) if index in subset) for index in range(len(e))
    ]

    assert adjusted_e_values(values).tolist() == pytest.approx(expected)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_hypotheses_does_not_matter(values: list[float], random):  # pyright: ignore[reportMissingParameterType]
    """Permuting hypotheses permutes the number of rejections not at all."""
    shuffled = list(values)
    random.shuffle(shuffled)

    for procedure in (bonferroni, holm, e_bh):
        assert procedure(values).sum() == procedure(shuffled).sum()


def test_the_false_discovery_rate_is_kept_when_e_values_are_as_large_as_they_may_be():
    """With 15 true nulls paying 40 with chance 1/40 and 5 false ones, at most 5% of rejections are false on average."""
    rng = np.random.default_rng(0)
    false_shares: list[float] = []
    for _ in range(2000):
        nulls = np.where(rng.random(15) < 1 / 40, 40.0, 0.0)

        rejected = e_bh(np.append(nulls, np.full(5, 100.0)), 0.05)

        false_shares.append(rejected[:15].sum() / max(rejected.sum(), 1))
    assert np.mean(false_shares) <= 0.05


def test_no_hypotheses_give_no_rejections():
    """Every procedure answers an empty list with an empty array."""
    assert [len(procedure([])) for procedure in (bonferroni, holm, e_bh, adjusted_e_values)] == [0, 0, 0, 0]


def test_a_negative_e_value_is_refused():
    """An e-value below 0 raises with its place."""
    with pytest.raises(ValueError, match=r"e_values is -1\.0 at position 1"):
        e_bh([2.0, -1.0])
