from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tierwise.evidence.estimate import NotEnoughData
from tierwise.savings.latency import MIN_PAIRS, LatencyChange, latency_change
from tierwise.savings.pairs import read_pairs

if TYPE_CHECKING:
    from conftest import Worlds


def test_the_change_is_measured_at_both_quantiles(worlds: Worlds) -> None:
    """A model that takes half the time has half the median and half the 95th percentile."""
    pairs = read_pairs(worlds.make(1, conversations=500).pairs)

    found = latency_change(pairs, seed=1)

    assert isinstance(found, LatencyChange)
    assert found.strong_p50_s == pytest.approx(np.median(pairs.strong_duration_s), rel=0.02)
    assert found.p50_change.value == pytest.approx(-0.5 * found.strong_p50_s)
    assert found.p95_change.value == pytest.approx(-0.5 * found.strong_p95_s)
    assert found.p50_change.low < found.p50_change.value < found.p50_change.high < 0


def test_few_pairs_have_no_95th_percentile(worlds: Worlds) -> None:
    """Below the minimum there is no number."""
    pairs = read_pairs(worlds.make(2, conversations=200).pairs)

    found = latency_change(pairs.take(np.arange(MIN_PAIRS - 1)), seed=1)

    assert found == NotEnoughData(MIN_PAIRS - 1, MIN_PAIRS, "pairs with a duration on both sides")


def test_only_the_newest_pairs_count(worlds: Worlds) -> None:
    """With very many pairs the newest 2,000 are looked at, so that the time it takes is bounded."""
    pairs = read_pairs(worlds.make(3, conversations=2500, pair_share=0.9).pairs)

    found = latency_change(pairs, seed=1, draws=20)

    assert len(pairs) > 2000
    assert isinstance(found, LatencyChange)
    assert found.pairs == 2000
