from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.drift import Monitor


def pairs(retention: float, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Right-or-wrong scores: strong right on 90%, weak alone on 2%."""
    both = 0.9 * retention - 0.02
    outcome = np.searchsorted(np.cumsum([both, 0.02, 0.9 - both]), rng.random(n), side="right")
    return np.isin(outcome, (0, 1)).astype(float), np.isin(outcome, (0, 2)).astype(float)


def test_a_rule_at_its_limit_rarely_raises_an_alarm():
    """At a retention of exactly rho_min, watched over 400 pairs, at most 5% of rules ever alarm (2 sd of slack)."""
    rng = np.random.default_rng(0)

    monitors = [Monitor(rho_min=0.95, alpha=0.05) for _ in range(300)]
    for monitor in monitors:
        monitor.update(*pairs(0.95, 400, rng))

    assert np.mean([monitor.crossed for monitor in monitors]) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_a_rule_that_turns_bad_late_is_caught():
    """After 500 good pairs, a fall to 80% is caught within 300 more in at least nine of ten cases."""
    rng = np.random.default_rng(1)
    caught = 0
    for _ in range(40):
        monitor = Monitor(rho_min=0.95, alpha=0.05)
        monitor.update(*pairs(1.0, 500, rng))
        assert not monitor.crossed

        monitor.update(*pairs(0.8, 300, rng))

        caught += monitor.crossed
    assert caught >= 36


def test_pairs_can_come_one_by_one_or_together():
    """The e-value does not depend on how the stream is cut."""
    weak, strong = pairs(0.9, 60, np.random.default_rng(2))
    streamed, batched = Monitor(), Monitor()

    for one_weak, one_strong in zip(weak, strong, strict=True):
        streamed.update(one_weak, one_strong)
    batched.update(weak, strong)

    assert streamed.e_value == batched.e_value
    assert streamed.n == batched.n == 60


@given(st.lists(st.booleans(), max_size=30))
def test_ties_leave_the_evidence_at_one(right: list[bool]):
    """Pairs that lie exactly on the limit move capital from waiting to betting and change nothing."""
    strong = np.array(right, dtype=float)

    assert Monitor(rho_min=0.5).update(0.5 * strong, strong) == pytest.approx(1.0)


def test_the_expected_evidence_at_the_limit_is_one():
    """Over all 2^8 outcomes of a coin with mean rho_min, the e-value averages to 1: it is a martingale."""
    expected = 0.0
    for bits in range(2**8):
        weak = np.array([(bits >> position) & 1 for position in range(8)], dtype=float)
        expected += 0.75 ** weak.sum() * 0.25 ** (8 - weak.sum()) * Monitor(rho_min=0.75).update(weak, np.ones(8))

    assert expected == pytest.approx(1.0)


def test_a_crossed_monitor_stays_crossed():
    """Good pairs after the alarm do not silence it."""
    monitor = Monitor()
    monitor.update(np.zeros(50), np.ones(50))
    assert monitor.crossed

    monitor.update(np.ones(500), np.zeros(500))

    assert monitor.crossed
    assert monitor.e_value < 20.0


def test_no_pairs_are_no_evidence():
    """A fresh monitor has an e-value of 1, and an empty update keeps it."""
    monitor = Monitor()

    assert monitor.update([], []) == pytest.approx(1.0)
    assert (monitor.n, monitor.crossed) == (0, False)


def test_an_impossible_limit_is_refused():
    """A limit of 0 and an alpha of 5 are refused with the value."""
    with pytest.raises(ValueError, match=r"rho_min is 0\.0"):
        Monitor(rho_min=0.0)
    with pytest.raises(ValueError, match="alpha is 5"):
        Monitor(alpha=5)
