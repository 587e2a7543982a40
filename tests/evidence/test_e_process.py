from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.e_process import (
    STAKE_SHARES,
    STAKES,
    confidence_sequence,
    log_e_path,
    log_e_process,
    log_e_value,
    ratio_lower_bound,
)

unit_scores = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=40)


def test_the_capital_is_split_over_stakes_that_cannot_ruin():
    """The shares sum to 1 and every stake leaves something after the worst loss."""
    assert STAKE_SHARES.sum() == pytest.approx(1.0)
    assert (STAKES > 0.0).all()
    assert (STAKES < 1.0).all()


def test_one_observation_pays_each_stake():
    """After one observation the e-value is the share-weighted mean of 1 + stake * gain."""
    expected = float((STAKE_SHARES * (1 + STAKES * (0.9 - 0.6) / 0.6)).sum())

    assert np.exp(log_e_process([0.9], 0.0, 1.0, 0.6)).tolist() == pytest.approx([expected])


@given(st.floats(0.01, 1.0), st.integers(1, 30))
def test_observations_at_the_null_mean_change_nothing(mean0: float, n: int):
    """All-equal observations at the null mean leave the evidence at exactly one, up to the rounding of shares."""
    assert log_e_process(np.full(n, mean0), 0.0, 1.0, mean0).tolist() == pytest.approx([0.0] * n, abs=1e-12)


def test_the_expected_evidence_under_the_null_is_one_at_any_stop():
    """Over all outcomes of 10 tosses at the null, stopping at e >= 2 or at the end, the e-value averages to 1."""
    expected = 0.0
    for tosses in product((0.0, 1.0), repeat=10):
        path = np.exp(log_e_process(tosses, 0.0, 1.0, 0.7))
        stopped = path[np.flatnonzero(np.append(path[:-1] >= 2.0, True))[0]]
        expected += 0.7 ** sum(tosses) * 0.3 ** (10 - sum(tosses)) * stopped

    assert expected == pytest.approx(1.0)


@given(unit_scores, st.randoms(use_true_random=False))
def test_the_last_e_value_does_not_depend_on_the_order(values: list[float], random):  # pyright: ignore[reportMissingParameterType]
    """A mixture over fixed stakes forgets the order in which observations came."""
    shuffled = list(values)
    random.shuffle(shuffled)

    assert log_e_process(shuffled, 0.0, 1.0, 0.4)[-1] == pytest.approx(log_e_process(values, 0.0, 1.0, 0.4)[-1])


@given(unit_scores)
def test_the_path_ends_at_the_value(values: list[float]):
    """log_e_path's last entry is log_e_value."""
    gains = np.array(values) / 0.5 - 1.0

    assert log_e_path(gains)[-1] == pytest.approx(log_e_value(gains), abs=1e-12)


@given(unit_scores)
def test_negating_everything_tests_the_other_side(values: list[float]):
    """Evidence for a small mean is evidence for a large one of the mirrored observations."""
    x = np.array(values)

    below = log_e_process(-x, -1.0, 0.0, -0.5)
    mirrored = log_e_process(1.0 - x, 0.0, 1.0, 0.5)

    assert below.tolist() == pytest.approx(mirrored.tolist(), abs=1e-9)


def test_no_observations_give_an_empty_path():
    """An empty sample has no path and no evidence."""
    assert len(log_e_process([], 0.0, 1.0, 0.5)) == 0
    assert log_e_value(np.zeros(0)) == pytest.approx(0.0)
    assert [len(bound) for bound in confidence_sequence([], 0.0, 1.0)] == [0, 0]


@pytest.mark.parametrize("mean0", [0.0, 1.5])
def test_a_null_mean_outside_the_range_is_refused(mean0: float):
    """A null mean at the lower end or above the upper end raises with the value."""
    with pytest.raises(ValueError, match=f"mean0 is {mean0}"):
        log_e_process([0.5], 0.0, 1.0, mean0)


def test_an_observation_outside_the_range_is_refused():
    """The range is a promise that validity rests on."""
    with pytest.raises(ValueError, match=r"x is 1\.2 at position 0, outside \[0\.0, 1\.0\]"):
        log_e_process([1.2], 0.0, 1.0, 0.5)


def test_the_confidence_sequence_is_as_tight_as_the_hedged_capital_of_ville():
    """ville 0.1.0: BettingCS(alpha=0.05).update(x) on the same 500 values ends at (0.813581, 0.854985)."""
    rng = np.random.default_rng(3)
    rng.random(500)
    x = rng.beta(5, 1, 500)

    low, high = confidence_sequence(x, 0.0, 1.0, grid=500)

    assert (low[-1], high[-1]) == pytest.approx((0.813581, 0.854985), abs=0.01)
    assert high[-1] - low[-1] < 0.854985 - 0.813581


def test_the_confidence_sequence_covers_at_all_times_together():
    """In 200 worlds, the true mean leaves the bounds at some time in at most 5% of them (2 sd of slack)."""
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(200):
        low, high = confidence_sequence((rng.random(150) < 0.8).astype(float), 0.0, 1.0, grid=40)

        missed += bool(((low > 0.8) | (high < 0.8)).any())
    assert missed / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_confidence_bounds_only_tighten():
    """Each bound is the best so far."""
    low, high = confidence_sequence(np.random.default_rng(5).random(80), 0.0, 1.0, grid=50)

    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()


@given(unit_scores, unit_scores)
def test_the_ratio_bound_is_where_the_evidence_reaches_its_threshold(top: list[float], bottom: list[float]):
    """At the bound the e-value is 1 / alpha, and a larger ratio is rejected less."""
    n = min(len(top), len(bottom))
    numerator, denominator = np.array(top[:n]), np.array(bottom[:n])

    bound = ratio_lower_bound(numerator, denominator, 0.05)

    if numerator.any():
        assert log_e_value(numerator / bound - denominator) == pytest.approx(np.log(20.0), abs=1e-8)
        assert log_e_value(numerator / (1.01 * bound) - denominator) < np.log(20.0)
    else:
        assert bound == 0.0
