"""The collector's look at the rules in force: those past a limit go, those that have earned it step up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tierwise.ingest.jobs import Job
from tierwise.recommend import guards, step_ups

if TYPE_CHECKING:
    from tierwise.store import Store

EVERY_S = 60.0
_SCORES = "SELECT count(*) AS scores, max(time)::VARCHAR AS newest FROM evaluations"


class RuleWatch:
    """One look a call; remembers from the last one whether there is anything new to judge the quality by."""

    def __init__(self) -> None:
        self._seen: tuple[int, str | None] | None = None

    def look(self, store: Store, *, now: datetime | None = None) -> None:
        """Roll back what has passed a limit, and step up what its guard lets step up by itself.

        Args:
            now: aware; by default the clock's.
        """
        now = now or datetime.now(UTC)
        (scores,) = store.sql(_SCORES).to_pylist()
        seen = scores["scores"], scores["newest"]
        for trip in guards.tripped(store, now=now, looks_at_quality=seen != self._seen):
            guards.roll_back(store, trip)
        self._seen = seen
        step_ups.take_automatic(store, now=now)


def rule_watch() -> Job:
    """The look as a job of the collector."""
    watch = RuleWatch()
    return Job("look after the rules in force", EVERY_S, lambda store: watch.look(store))
