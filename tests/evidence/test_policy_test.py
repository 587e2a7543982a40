from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.evidence.e_process import LOG_STAKE_SHARES, log_e_value
from tierwise.evidence.policy_test import PolicyGains, certified_steps
from tierwise.evidence.ranking import Epoch, Step

Floats = npt.NDArray[np.float64]
ARMS = 3


def world(
    pairs: int, seed: int, conversations: int
) -> tuple[npt.NDArray[np.intp], Floats, Floats, npt.NDArray[np.intp]]:
    """Arms, weak and strong scores and conversations, some of which lie in several arms."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(ARMS, size=pairs),
        rng.random(pairs).round(1),
        rng.random(pairs).round(1),
        rng.integers(conversations, size=pairs),
    )


def log_e(seed: int, pairs: int, conversations: int, share: Floats) -> float:
    """The log e-value of moving `share`, straight from its definition."""
    arm, weak, strong, cluster = world(pairs, seed, conversations)
    score = strong + share[arm] * (weak - strong)
    gains = score / 0.95 - strong
    means = np.array([gains[cluster == one].mean() for one in np.unique(cluster)])
    return log_e_value(means)


def gains_of(seed: int, pairs: int, conversations: int) -> PolicyGains:
    arm, weak, strong, cluster = world(pairs, seed, conversations)
    return PolicyGains(arm, weak, strong, weight=np.ones(pairs), cluster=cluster, arms=ARMS, rho=0.95)


@settings(max_examples=50)
@given(
    pairs=st.integers(1, 80),
    seed=st.integers(0, 1000),
    conversations=st.sampled_from([3, 30, 10_000]),
    share=st.tuples(*[st.sampled_from([0.0, 0.3, 1.0])] * ARMS),
)
def test_a_policy_that_stays_has_the_e_value_of_its_gains(
    pairs: int, seed: int, conversations: int, share: tuple[float, ...]
):
    """Moved for good, step by step, the capital is that of the whole policy's gains per conversation."""
    gains = gains_of(seed, pairs, conversations)

    for arm, moved in enumerate(share):
        gains.move(Step((arm,), moved, LOG_STAKE_SHARES), np.ones(ARMS))

    assert gains.log_e_value(LOG_STAKE_SHARES) == pytest.approx(
        log_e(seed, pairs, conversations, np.array(share)), abs=1e-9
    )


@settings(max_examples=50)
@given(
    pairs=st.integers(1, 60),
    seed=st.integers(0, 1000),
    conversations=st.sampled_from([3, 30, 10_000]),
    firm=st.tuples(*[st.sampled_from([0.0, 0.4, 1.0])] * ARMS),
)
def test_whatever_is_taken_back_has_at_least_the_evidence_counted(
    pairs: int, seed: int, conversations: int, firm: tuple[float, ...]
):
    """Every policy between the firm shares and the full move has an e-value of at least the one that certifies."""
    gains = gains_of(seed, pairs, conversations)

    gains.move(Step(tuple(range(ARMS)), 1.0, LOG_STAKE_SHARES), np.array(firm))

    counted = gains.log_e_value(LOG_STAKE_SHARES)
    for part in itertools.product((0.0, 0.5, 1.0), repeat=ARMS):
        share = np.array(firm) + np.array(part) * (1.0 - np.array(firm))
        assert log_e(seed, pairs, conversations, share) >= counted - 1e-9


def test_the_first_step_that_fails_ends_the_test():
    """A certified step after one that is not does not count."""
    arm = np.repeat([0, 1, 2], 200)
    strong = np.ones(600)
    weak = np.where(arm == 1, 0.0, 1.0)
    gains = PolicyGains(arm, weak, strong, weight=np.ones(600), cluster=np.arange(600), arms=ARMS, rho=0.95)
    steps = tuple(Step((code,), share, LOG_STAKE_SHARES) for code, share in ((0, 1.0), (1, 1.0), (1, 0.0), (2, 1.0)))
    everyone = np.ones(600, dtype=bool)
    epoch = Epoch(1, 0.05, 0, steps, np.arange(ARMS), np.ones(ARMS, dtype=bool), ~everyone, everyone)

    assert certified_steps(epoch, gains, np.ones(ARMS)) == 1
