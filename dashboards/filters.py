"""The filters every page shares: what the person picked, kept in the page's URL, and as parameters of named queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import connection
import streamlit as st


@dataclass(frozen=True, slots=True)
class TimeRange:
    """One choice of the time filter."""

    length: timedelta | None
    """None: everything stored."""
    step: timedelta
    """Width of one bar of a chart over it."""
    step_label: str


RANGES: Mapping[str, TimeRange] = MappingProxyType(
    {
        "1 hour": TimeRange(timedelta(hours=1), timedelta(minutes=1), "minute"),
        "24 hours": TimeRange(timedelta(hours=24), timedelta(minutes=30), "half hour"),
        "7 days": TimeRange(timedelta(days=7), timedelta(hours=6), "six hours"),
        "30 days": TimeRange(timedelta(days=30), timedelta(days=1), "day"),
        "90 days": TimeRange(timedelta(days=90), timedelta(days=1), "day"),
        "all time": TimeRange(None, timedelta(days=1), "day"),
    }
)
"""By the name it is chosen by, which is also what the URL says."""
DEFAULT_RANGE = "30 days"
ALL_TIME = "all time"

CHOICES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "service": ("Service", "All services"),
        "tenant": ("Tenant", "All tenants"),
        "model": ("Model", "All models"),
        "task_type": ("Task type", "All task types"),
        "use_case": ("Use case", "All use cases"),
    }
)
"""Parameter of the named queries, which is also the key in the URL → (label, what nothing chosen means)."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is selected."""

    range_name: str
    """One of RANGES."""
    since: datetime | None
    """On the border of a chart's step, so that no bar is cut and redrawing a page asks the same question; None:
    everything stored."""
    chosen: Mapping[str, tuple[str, ...]]
    """Values by key of `CHOICES`; only the filters that are set."""

    @property
    def range(self) -> TimeRange:
        return RANGES[self.range_name]

    @property
    def parameters(self) -> dict[str, Any]:
        """Bound to `$since`, `$service`, `$tenant`, `$model`, `$task_type` and `$use_case`."""
        return {"since": self.since, **self.chosen}

    @property
    def step_s(self) -> int:
        """Seconds a bar of a chart covers."""
        return int(self.range.step.total_seconds())


def select() -> Filters:
    """Draw the filters where the caller's container is, and say what is selected."""
    names, first_call = list(RANGES), connection.row("overview_totals")["first_call_time"]
    range_name = st.selectbox(
        "Time range", names, index=names.index(_default_range(first_call)), key="range", bind="query-params"
    )
    known = known_values()
    chosen: dict[str, tuple[str, ...]] = {}
    for key, (label, everything) in CHOICES.items():
        options = known.get(key, ())
        if not options:
            continue
        picked = st.multiselect(
            label, options, key=key, placeholder=everything, bind="query-params", select_all=False, wrap=True
        )
        if picked:
            chosen[key] = tuple(picked)
    return Filters(range_name, _since(RANGES[range_name]), MappingProxyType(chosen))


def clear() -> None:
    """Callback: back to the default range and everything."""
    st.session_state["range"] = DEFAULT_RANGE
    for key in CHOICES:
        st.session_state[key] = []


def _default_range(first_call: datetime | None) -> str:
    """The shortest range that shows every call while they are young, else DEFAULT_RANGE."""
    if first_call is not None:
        age = datetime.now(UTC) - first_call
        for name, time_range in RANGES.items():
            if name == DEFAULT_RANGE or (time_range.length is not None and age < time_range.length):
                return name
    return DEFAULT_RANGE


def known_values() -> dict[str, tuple[str, ...]]:
    """What each filter can take, most calls first. A use case goes by its name: the queries know both."""
    known: dict[str, dict[str, None]] = {}
    for value in connection.rows("filter_values"):
        name = value["label"] if value["filter"] == "use_case" else value["value"]
        known.setdefault(value["filter"], {})[name] = None
    return {key: tuple(names) for key, names in known.items()}


def _since(time_range: TimeRange) -> datetime | None:
    if time_range.length is None:
        return None
    start, step_s = datetime.now(UTC) - time_range.length, time_range.step.total_seconds()
    return datetime.fromtimestamp(start.timestamp() // step_s * step_s, UTC)
