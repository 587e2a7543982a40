from __future__ import annotations

import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.reports.money import change, estimate, share, usd


@pytest.mark.parametrize(
    ("amount", "text"), [(None, "—"), (0, "$0.00"), (0.00123, "$0.00123"), (12.345, "$12.35"), (-1234.5, "−$1,234")]
)
def test_money(amount: float | None, text: str) -> None:
    """Unknown is a dash, small amounts keep three digits, thousands lose their cents."""
    assert usd(amount) == text


def test_shares_and_changes() -> None:
    """Changes carry their sign."""
    assert (share(0.974), change(0.12), change(-0.031), change(None)) == ("97.4%", "+12.0%", "−3.1%", "—")


def test_estimates_come_with_their_bounds() -> None:
    """A value never stands without its interval, and none is said in words."""
    assert estimate(Estimate(2.0, 1.0, 3.0, 0.95, 40, 40.0, "t", "USD")) == "$2.00 ($1.00 to $3.00)"
    assert estimate(NotEnoughData(3, 30, "conversations")) == "not enough data (3 of 30)"
