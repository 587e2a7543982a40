"""Money and shares as a report writes them."""

from __future__ import annotations

from decimal import Decimal

from tierwise.evidence.estimate import Estimate, NotEnoughData

Number = int | float | Decimal


def usd(amount: Number | None) -> str:
    """`$12,345`, `$1.23`, `$0.0042`; a dash for what nobody knows."""
    if amount is None:
        return "—"
    number = float(amount)
    sign, size = ("−" if number < 0 else ""), abs(number)
    if size >= 1000:
        return f"{sign}${size:,.0f}"
    if size >= 0.1 or size == 0:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.3g}"


def share(value: Number | None) -> str:
    """`97.4%`."""
    return "—" if value is None else f"{float(value):.1%}"


def change(value: Number | None) -> str:
    """`+12.0%`, `−3.1%`."""
    return "—" if value is None else f"{float(value):+.1%}".replace("-", "−")


def estimate(figure: Estimate | NotEnoughData) -> str:
    """Value and bounds, or in words that there is none yet."""
    if isinstance(figure, NotEnoughData):
        return f"not enough data ({figure.n:,} of {figure.needed:,})"
    write = usd if figure.unit == "USD" else share if figure.unit == "share" else lambda number: f"{number:.3g}"
    return f"{write(figure.value)} ({write(figure.low)} to {write(figure.high)})"
