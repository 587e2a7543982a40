from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import format
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "—"),
        (0, "$0.00"),
        (Decimal("0.0042"), "$0.0042"),
        (0.00209351, "$0.00209"),
        (0.0996, "$0.10"),
        (0.42, "$0.42"),
        (1.234, "$1.23"),
        (-12.5, "−$12.50"),
        (999.99, "$999.99"),
        (999.996, "$1,000"),
        (12345.6, "$12,346"),
        (Decimal("0.000000000012"), "<$0.0000001"),
        (float("nan"), "—"),
    ],
)
def test_money(usd: float | Decimal | None, text: str) -> None:
    """Money has the digits a finance person expects at its size, and unknown is not zero."""
    assert format.money(usd) == text


@given(st.decimals(min_value="0.000001", max_value="1e9", places=6))
def test_money_never_hides_an_amount(usd: Decimal) -> None:
    """Whatever is more than nothing is not shown as nothing, and within half a percent of what it is from a dime up."""
    shown = Decimal(format.money(usd).replace("$", "").replace(",", ""))

    assert shown > 0
    if usd >= Decimal("0.1"):
        assert abs(shown - usd) <= Decimal("0.05") * usd


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "—"),
        (0, "0%"),
        (1, "100%"),
        (0.9999, ">99.9%"),
        (0.0001, "<0.1%"),
        (0.984, "98.4%"),
        (-0.031, "−3.1%"),
        (float("nan"), "—"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    """A share that is not all or nothing never rounds to all or nothing."""
    assert format.percent(share) == text


def test_signed_percent() -> None:
    """A change says its direction."""
    assert [format.signed_percent(change) for change in (0.12, -0.031, 0.0, None)] == ["+12.0%", "−3.1%", "0%", "—"]


def test_compact() -> None:
    """Large counts keep three digits."""
    numbers = (None, 812, 999.6, 1_000, 12_340, 999_600, 4_560_000, 1_200_000_000)

    texts = [format.compact(number) for number in numbers]

    assert texts == ["—", "812", "1.00k", "1.00k", "12.3k", "1.00M", "4.56M", "1.20B"]


def test_seconds() -> None:
    """Durations change their unit with their size and keep their sign."""
    durations = (None, 0.82, 1.243, -0.7433, -0.0001, 125.2)

    texts = [format.seconds(duration) for duration in durations]

    assert texts == ["—", "820 ms", "1.24 s", "−743 ms", "0 ms", "2 min 05 s"]


def test_days() -> None:
    """A span of time is told in the unit that suits its length."""
    texts = [format.days(number) for number in (None, 0.01, 1 / 24, 0.13, 1.0, 1.5, 21.04, 1200)]

    assert texts == ["—", "14 min", "1 hour", "3.1 hours", "1 day", "1.5 days", "21 days", "1,200 days"]


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=6), "6 days ago"),
    ],
)
def test_age(elapsed: timedelta, text: str) -> None:
    """A moment is told by how long ago it was, whether or not it carries its zone."""
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    assert format.age(now - elapsed, now=now) == text
    assert format.age((now - elapsed).replace(tzinfo=None), now=now) == text


def test_money_column_lines_up_by_its_largest_amount() -> None:
    """A column of money has one number of digits, that of its largest amount."""
    formats = [format.money_column_format(largest) for largest in (None, 0.004, 0.5, 12, 4_000)]

    assert formats == ["$%.6f", "$%.6f", "$%.4f", "$%,.2f", "$%,.0f"]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("$1 to $2", r"\$1 to \$2"),
        ("*a* _b_ `c`", r"\*a\* \_b\_ \`c\`"),
        (":red[x] at 12:14", r"\:red\[x\] at 12:14"),
        ("# title", r"\# title"),
        ("1. first", r"1\. first"),
        ("two\nlines", "two lines"),
        ("gpt-6.1-sol", "gpt-6.1-sol"),
    ],
)
def test_literal(text: str, escaped: str) -> None:
    """What comes from data is shown as it is, not read as markup or mathematics."""
    assert format.literal(text) == escaped
