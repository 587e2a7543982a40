"""When in the week a rule holds: hours of the day and days of the week, by the clock of one time zone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """A part of every week."""

    start_minute: int = 0
    """Of the day, inclusive."""
    end_minute: int = _DAY_MINUTES
    """Of the day, exclusive. At or below `start_minute` it is a minute of the next day: 22:00-06:00 is one night."""
    days: frozenset[int] = frozenset(range(7))
    """On which it begins; 0 is Monday."""
    timezone: str = "UTC"
    """IANA name."""

    def contains(self, at_ns: int) -> bool:
        """Whether a moment, in nanoseconds since 1970, lies in it."""
        local = datetime.fromtimestamp(at_ns // 10**9, zone(self.timezone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start_minute < self.end_minute:
            return self.start_minute <= minute < self.end_minute and day in self.days
        if minute >= self.start_minute:
            return day in self.days
        return minute < self.end_minute and (day - 1) % 7 in self.days


def window(hours: str | None, days: Iterable[str], timezone: str) -> Window:
    """The window that a rule writes.

    Args:
        hours: `08:00-18:00`, or None for the whole day.
        days: names such as `mon`; none for every day.
        timezone: IANA name.

    Raises:
        ValueError: hours or a day that cannot be read, or a time zone this machine does not know; the message says
            what is needed.
    """
    start, end = (0, _DAY_MINUTES) if hours is None else _minutes(hours)
    zone(timezone)
    named = [_day(name) for name in days]
    return Window(start, end, frozenset(named or range(7)), timezone)


def _minutes(hours: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(hours)
    if found is None:
        raise ValueError(f"{hours!r} is not a span of hours such as '08:00-18:00'")
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if end > _DAY_MINUTES or start == end:
        raise ValueError(f"{hours!r} is empty or ends past 24:00")
    return start, end


def _day(name: str) -> int:
    if name not in DAYS:
        raise ValueError(f"{name!r} is not a day; known: {', '.join(DAYS)}")
    return DAYS.index(name)


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The time zone called `name`.

    Raises:
        ValueError: this machine has no such zone.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(
            f"{name!r} is not a time zone this machine knows, such as 'Europe/Berlin'; `pip install tzdata` brings them"
        ) from error
