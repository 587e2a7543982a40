"""Days of spend of a subject, gaps filled: what forecasts and anomalies look at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tierwise.store import Store

HISTORY_DAYS = 56
"""Eight weeks: enough of each weekday, and recent enough to be like the days to come."""


@dataclass(frozen=True, slots=True)
class Days:
    """Spend by day, a day without calls 0, from the first with one to the last before today."""

    days: tuple[date, ...]
    spend_usd: tuple[float, ...]
    today_usd: Decimal
    month_usd: Decimal
    """Since the calendar month began, today included."""
    unpriced_calls: int
    """Of the month: spend that nobody knows."""

    @property
    def weekdays(self) -> list[int]:
        return [day.weekday() for day in self.days]


def month_start(now: datetime) -> datetime:
    """When the calendar month (UTC) of `now` began."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_end(now: datetime) -> datetime:
    """When the next calendar month begins."""
    return (month_start(now) + timedelta(days=32)).replace(day=1)


def read_days(store: Store, now: datetime, *, dimension: str | None = None) -> dict[str, Days]:
    """Days of spend by subject: each tenant, use_case or model, or '' for all traffic.

    Args:
        dimension: tenant | use_case | model; None: all traffic.
    """
    today = now.astimezone(UTC).date()
    first = min(today - timedelta(days=HISTORY_DAYS), month_start(now).date())
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)
    table = store.query("spend_daily", dimension=dimension, subjects=200, since=since, until=now)
    spend: defaultdict[str, dict[date, Decimal]] = defaultdict(dict)
    unpriced: defaultdict[str, int] = defaultdict(int)
    for row in table.to_pylist():
        spend[row["subject"]][row["day"]] = row["spend_usd"] or Decimal(0)
        if row["day"] >= month_start(now).date():
            unpriced[row["subject"]] += row["calls"] - row["priced_calls"]
    return {subject: _days(by_day, unpriced[subject], now) for subject, by_day in spend.items()}


def no_days() -> Days:
    """Of a subject without a call."""
    return Days((), (), Decimal(0), Decimal(0), 0)


def _days(by_day: dict[date, Decimal], unpriced: int, now: datetime) -> Days:
    today = now.astimezone(UTC).date()
    # The first day with a call may have begun before tierwise was there to see it.
    first = min(by_day) + timedelta(days=1)
    full = [first + timedelta(days=place) for place in range((today - first).days)]
    return Days(
        days=tuple(full),
        spend_usd=tuple(float(by_day.get(day, 0)) for day in full),
        today_usd=by_day.get(today, Decimal(0)),
        month_usd=sum((usd for day, usd in by_day.items() if day >= month_start(now).date()), Decimal(0)),
        unpriced_calls=unpriced,
    )
