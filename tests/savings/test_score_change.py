from __future__ import annotations

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.savings.arms import Difference
from tierwise.savings.score_change import score_change
from tierwise.savings.traffic import Flags, Floats, Ints


def change(
    scores: Floats, treated: Flags, *, use_case: Ints | None = None, block: Ints | None = None, level: float = 0.95
) -> Difference:
    n = len(scores)
    return score_change(
        scores,
        treated=treated,
        version=np.ones(n, dtype=np.int64),
        use_case=np.zeros(n, dtype=np.int64) if use_case is None else use_case,
        block=np.arange(n) if block is None else block,
        level=level,
    )


def test_the_bounds_hold_the_truth() -> None:
    """Over worlds with a difference of five points, near 1 where bootstraps fail, the interval misses it rarely."""
    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        treated = rng.random(400) < 0.5
        scores = (rng.random(400) < np.where(treated, 0.94, 0.99)).astype(float)
        found = change(scores, treated).estimate
        assert isinstance(found, Estimate)
        inside += found.low <= 0.05 <= found.high

    assert inside >= 95


def test_no_failures_yet_is_no_certainty() -> None:
    """Two arms without a failure differ by 0, and the interval still says how little that proves."""
    treated = np.arange(200) % 2 == 0

    found = change(np.ones(200), treated).estimate

    assert isinstance(found, Estimate)
    assert found.value == 0.0
    assert found.low < -0.02
    assert found.high > 0.02


def test_a_large_difference_is_seen() -> None:
    """Half the quality lost on the target shows with a few hundred conversations."""
    rng = np.random.default_rng(1)
    treated = np.arange(600) % 2 == 0
    scores = (rng.random(600) < np.where(treated, 0.45, 0.9)).astype(float)

    found = change(scores, treated).estimate

    assert isinstance(found, Estimate)
    assert 0.2 < found.low < found.value < found.high < 0.65


def test_strata_do_not_pass_for_a_difference() -> None:
    """An easy and a hard use case with other shares in the arms give no difference where there is none."""
    rng = np.random.default_rng(2)
    use_case = rng.integers(0, 2, 2000)
    treated = rng.random(2000) < np.where(use_case == 0, 0.8, 0.3)
    scores = (rng.random(2000) < np.where(use_case == 0, 0.95, 0.5)).astype(float)

    found = change(scores, treated, use_case=use_case).estimate

    assert isinstance(found, Estimate)
    assert abs(found.value) < 0.05
    assert found.low < 0.0 < found.high


def test_a_conversation_counts_once() -> None:
    """Copies inside conversations change nothing: neither the means nor the bounds."""
    rng = np.random.default_rng(3)
    treated = np.arange(200) % 2 == 0
    scores = (rng.random(200) < 0.8).astype(float)

    once = change(scores, treated).estimate
    copies = change(np.repeat(scores, 5), np.repeat(treated, 5), block=np.repeat(np.arange(200), 5)).estimate

    assert isinstance(once, Estimate)
    assert isinstance(copies, Estimate)
    assert (copies.low, copies.value, copies.high) == pytest.approx((once.low, once.value, once.high))


@pytest.mark.parametrize("kept", [0, 1, 29])
def test_few_conversations_in_an_arm_are_not_enough(kept: int) -> None:
    """Below thirty conversations in either arm there is no number."""
    treated = np.arange(100 + kept) < 100

    found = change(np.ones(100 + kept), treated)

    assert isinstance(found.estimate, NotEnoughData)
    assert found.treated_mean is None
