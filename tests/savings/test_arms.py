from __future__ import annotations

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.savings.arms import Difference, arm_difference


def difference(
    values: np.ndarray, treated: np.ndarray, version: np.ndarray | None = None, **codes: np.ndarray
) -> Difference:
    n = len(values)
    zeros = np.zeros(n, dtype=np.int64)
    return arm_difference(
        values,
        treated=treated,
        version=zeros if version is None else version,
        use_case=codes.get("use_case", zeros),
        block=codes.get("block", np.arange(n)),
        seed=1,
        unit="USD",
        draws=300,
    )


def test_the_difference_is_kept_minus_treated() -> None:
    """In one stratum it is the difference of the two means."""
    rng = np.random.default_rng(1)
    treated = rng.random(400) < 0.5
    values = np.where(treated, 1.0, 3.0) + rng.normal(0, 0.1, 400)

    found = difference(values, treated)

    assert isinstance(found.estimate, Estimate)
    assert found.estimate.value == pytest.approx(values[~treated].mean() - values[treated].mean())
    assert found.estimate.low < 2.0 < found.estimate.high
    assert (found.n_treated, found.n_kept, found.left_out) == (treated.sum(), (~treated).sum(), 0)


def test_a_changing_share_does_not_confound() -> None:
    """When costs and the share rise together, comparing all calls at once would be wrong; within versions it is not."""
    rng = np.random.default_rng(2)
    version = np.repeat([1, 2], 1000)
    treated = rng.random(2000) < np.where(version == 1, 0.1, 0.9)
    values = np.where(version == 1, 1.0, 11.0) - np.where(treated, 0.5, 0.0) + rng.normal(0, 0.2, 2000)

    found = difference(values, treated, version)

    assert values[~treated].mean() - values[treated].mean() < -5
    assert isinstance(found.estimate, Estimate)
    assert found.estimate.value == pytest.approx(0.5, abs=0.05)


def test_small_use_cases_are_compared_together() -> None:
    """Use cases too small for a stratum of their own share one, and nothing is left out."""
    rng = np.random.default_rng(3)
    use_case = np.concatenate([np.zeros(300), 1 + np.arange(200) // 2]).astype(np.int64)
    treated = rng.random(500) < 0.5

    found = difference(rng.random(500), treated, use_case=use_case)

    assert found.left_out == 0
    assert isinstance(found.estimate, Estimate)
    assert "2 strata" in found.estimate.method


def test_versions_without_both_arms_are_left_out() -> None:
    """A version in which nobody was kept says nothing about what the rule saved, and is counted."""
    rng = np.random.default_rng(4)
    version = np.repeat([1, 2], [300, 100])
    treated = (rng.random(400) < 0.5) | (version == 2)

    found = difference(rng.random(400), treated, version)

    assert found.left_out == 100


def test_too_few_conversations_are_not_enough() -> None:
    """Many calls of few conversations are not many observations."""
    block = np.arange(400) % 40
    treated = block < 28

    found = difference(np.ones(400), treated, block=block)

    assert isinstance(found.estimate, NotEnoughData)
    assert found.estimate.n == 12
    assert "kept on the requested model" in found.estimate.why


def test_no_calls_are_not_enough() -> None:
    """Nothing gives no number."""
    found = difference(np.zeros(0), np.zeros(0, dtype=bool))

    assert isinstance(found.estimate, NotEnoughData)
    assert found.treated_mean is None
