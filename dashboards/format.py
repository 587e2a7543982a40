"""Numbers and names as a person reads them: money, tokens, shares, intervals, ages.

Unknown is shown as a dash, never as zero. `$` starts mathematics and `*`, `_`, `[` start markup in Streamlit's text, so
whatever comes from data or holds money passes through `literal()` before it goes into markdown.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "—"
"""Stands for a value nobody knows."""
_MINUS = "−"

Number = int | float | Decimal


def money(usd: Number | None) -> str:
    """`$12,345`, `$1.23`, `$0.0042`: whole dollars from a thousand up, cents from a dime up, below it three digits."""
    if usd is None:
        return UNKNOWN
    value = Decimal(str(usd))
    if not value.is_finite():
        return UNKNOWN
    amount, sign = abs(value), _MINUS if value < 0 else ""
    if amount == 0:
        return "$0.00"
    if amount >= Decimal("999.995"):
        return f"{sign}${amount:,.0f}"
    if amount >= Decimal("0.0995"):
        return f"{sign}${amount:.2f}"
    if amount < Decimal("0.0000001"):
        return f"{sign}<$0.0000001"
    rounded = Decimal(f"{amount:.2e}").normalize()
    return f"{sign}${rounded:f}"


def money_column_format(largest_usd: Number | None) -> str:
    """The printf format of a table column of money, so that its numbers line up: chosen by the largest amount in it."""
    amount = abs(float(largest_usd or 0))
    for least, pattern in ((1_000, "$%,.0f"), (1, "$%,.2f"), (0.01, "$%.4f")):
        if amount >= least:
            return pattern
    return "$%.6f"


def percent(share: Number | None, digits: int = 1) -> str:
    """A share in [0, 1] as percent. What is not all or nothing never rounds to all or nothing."""
    if share is None:
        return UNKNOWN
    value = float(share)
    if math.isnan(value):
        return UNKNOWN
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    text = f"{abs(value):.{digits}%}"
    least = 10.0 ** -(digits + 2)
    if 0 < abs(value) < least / 2:
        text = f"<{least:.{digits}%}"
    elif 1 - least / 2 < value < 1:
        text = f">{1 - least:.{digits}%}"
    return f"{_MINUS if value < 0 else ''}{text}"


def signed_percent(share: Number | None, digits: int = 1) -> str:
    """A change, with its sign: `+12.0%`, `−3.1%`."""
    return f"+{percent(share, digits)}" if share is not None and share > 0 else percent(share, digits)


def count(number: Number | None) -> str:
    """`1,234`."""
    return UNKNOWN if number is None else f"{number:,.0f}".replace("-", _MINUS)


def number(value: Number | None, unit: str = "") -> str:
    """Three significant digits and a unit: `0.0109`, `−3.2 tokens`."""
    return UNKNOWN if value is None else f"{value:.3g} {unit}".strip().replace("-", _MINUS)


def compact(number: Number | None) -> str:
    """`812`, `12.3k`, `4.56M`, `1.20B`: three digits, for tokens and calls in headlines."""
    if number is None:
        return UNKNOWN
    value = float(number)
    for unit, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995:
            scaled = value / unit
            digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
            return f"{scaled:.{digits}f}{suffix}".replace("-", _MINUS)
    return count(value)


def seconds(duration_s: Number | None) -> str:
    """`820 ms`, `1.24 s`, `2 min 05 s`."""
    if duration_s is None:
        return UNKNOWN
    value = float(duration_s)
    sign, value = (_MINUS if value <= -0.0005 else ""), abs(value)
    if value < 0.9995:
        return f"{sign}{value * 1000:.0f} ms"
    if value < 99.5:
        return f"{sign}{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{sign}{minutes} min {rest:02d} s"


def days(number_of_days: Number | None) -> str:
    """`21 days`, `1.5 days`, `3.2 hours`, `12 min`."""
    if number_of_days is None:
        return UNKNOWN
    value = float(number_of_days)
    if value < 1 / 24:
        return f"{value * 1440:.0f} min"
    amount, unit = (value * 24, "hour") if value < 1 else (value, "day")
    text = f"{amount:.2g}" if amount < 10 else f"{amount:,.0f}"
    return f"{text} {unit}" if text == "1" else f"{text} {unit}s"


def age(moment: datetime | None, *, now: datetime | None = None) -> str:
    """How long ago: `12 s ago`, `5 min ago`, `3 h ago`, `6 days ago`. A naive moment is UTC."""
    if moment is None:
        return UNKNOWN
    elapsed_s = age_s(moment, now=now)
    if elapsed_s < 5:
        return "just now"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if elapsed_s < limit:
            return f"{elapsed_s / unit:.0f} {name} ago"
    return f"{elapsed_s / 86_400:.0f} days ago"


def age_s(moment: datetime, *, now: datetime | None = None) -> float:
    """Seconds since a moment; a naive one is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return ((now or datetime.now(UTC)) - aware).total_seconds()


def moment(value: datetime | None) -> str:
    """`2026-11-24 11:05 UTC`."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def money_interval(low: Number | None, high: Number | None) -> str:
    """`$305.00 to $520.00`."""
    return f"{money(low)} to {money(high)}"


def percent_interval(low: Number | None, high: Number | None, digits: int = 1) -> str:
    """`93.1% to 99.0%`."""
    return f"{percent(low, digits)} to {percent(high, digits)}"


_MARKUP = re.compile(r"[\\`*_\[\]~$<>&|]|:(?=[a-zA-Z])")
_LINE_START = re.compile(r"^(\s*)([#+\->=]|\d+[.)](?=\s))")


def literal(text: object) -> str:
    """Text that Streamlit's markdown shows as it is, whatever markup or mathematics it happens to contain."""
    escaped = _MARKUP.sub(lambda found: f"\\{found[0]}", str(text).replace("\n", " "))
    return _LINE_START.sub(lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", escaped)
