from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.routing.window import DAYS, window


def ns(text: str, timezone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-23T08:00", True),
        ("2026-11-23T17:59", True),
        ("2026-11-23T18:00", False),
        ("2026-11-23T07:59", False),
        ("2026-11-22T12:00", False),
    ],
)
def test_hours_of_a_weekday(moment: str, inside: bool):
    """The first minute belongs to the span and the last does not; another day does not at all."""
    office = window("08:00-18:00", ("mon", "tue"), "UTC")

    assert office.contains(ns(moment)) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-27T22:00", True),
        ("2026-11-28T05:59", True),
        ("2026-11-28T06:00", False),
        ("2026-11-28T22:00", False),
        ("2026-11-27T05:59", False),
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(moment: str, inside: bool):
    """22:00-06:00 on Friday ends on Saturday morning."""
    friday_night = window("22:00-06:00", ("fri",), "UTC")

    assert friday_night.contains(ns(moment)) is inside


def test_the_clock_is_that_of_the_time_zone():
    """Eight in Berlin is seven UTC in winter and six in summer."""
    morning = window("08:00-09:00", (), "Europe/Berlin")

    assert morning.contains(ns("2026-11-23T07:30"))
    assert morning.contains(ns("2026-07-20T06:30"))
    assert not morning.contains(ns("2026-07-20T07:30"))


@given(st.integers(0, 2**31), st.sampled_from(DAYS))
def test_a_day_is_its_24_hours(at_s: int, day: str):
    """Without hours a window is the whole of each day it names, and midnight ends it like 24:00."""
    at_ns, moment = at_s * 10**9, datetime.fromtimestamp(at_s, UTC)

    inside = window(None, (day,), "UTC").contains(at_ns)

    assert inside == (DAYS[moment.weekday()] == day)
    assert window("00:00-24:00", (day,), "UTC").contains(at_ns) == inside


@pytest.mark.parametrize(
    ("hours", "days", "timezone", "complaint"),
    [
        ("8-18", (), "UTC", "is not a span of hours"),
        ("24:00-06:00", (), "UTC", "is not a span of hours"),
        ("08:00-24:30", (), "UTC", "ends past 24:00"),
        ("08:00-08:00", (), "UTC", "is empty"),
        (None, ("monday",), "UTC", "'monday' is not a day"),
        ("08:00-18:00", (), "Europe/Atlantis", "is not a time zone"),
        ("08:00-18:00", (), "../etc/passwd", "is not a time zone"),
    ],
)
def test_what_cannot_be_read_says_what_is_needed(
    hours: str | None, days: tuple[str, ...], timezone: str, complaint: str
):
    """A window that cannot be read is refused in words."""
    with pytest.raises(ValueError, match=complaint):
        window(hours, days, timezone)
