from __future__ import annotations

import pytest

from tierwise.cli.figures import latency, percent, retention, shown
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import certify
from tierwise.savings.latency import LatencyChange

NONE = NotEnoughData(12, 30, "conversations")


def estimate(value: float, low: float, high: float, unit: str) -> Estimate:
    return Estimate(value, low, high, 0.95, 100, 90.0, "made up", unit)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (NONE, "not enough data (12 of 30)"),
        (estimate(412, 305, 540, "USD"), "$412.00 [$305.00, $540.00]"),
        (estimate(0.5, 0.4, 0.6, "share"), "50.0% [40.0%, 60.0%]"),
        (estimate(-0.5, -1, 0.25, "s"), "-0.5 s [-1, +0.25]"),
        (estimate(0.1, 0.05, 0.2, ""), "+0.1 [+0.05, +0.2]"),
    ],
)
def test_values_come_with_their_intervals(figure: Estimate | NotEnoughData, text: str) -> None:
    """Every figure shows its bounds; without one, how many observations are missing."""
    assert shown(figure) == text


def test_retention_without_bounds() -> None:
    """Before any evidence there is no upper bound, and that is said."""
    assert retention(NONE) == "no scored pairs"
    assert retention(certify([], [])) == "unknown [0.0%, no bound], n=0"
    assert retention(certify([1.0] * 200, [1.0] * 200)).startswith("100.0% [9")


def test_latency_and_shares() -> None:
    """Both quantiles of the change; an unknown share is no 0%."""
    change = estimate(-0.5, -1.0, -0.25, "s")

    assert latency(NONE) == "not enough data (12 of 30 pairs)"
    assert latency(LatencyChange(change, change, 1, 2, 0.5, 1, 100)).startswith("p50 -0.5 s [-1, -0.25], p95 ")
    assert percent(None) == "unknown"
