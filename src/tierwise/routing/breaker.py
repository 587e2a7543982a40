"""A rule whose target keeps failing is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

FAILURES = 5
WINDOW_S = 60.0
PAUSE_S = 300.0


class Breaker:
    """Counts target failures by rule; `failures` of them within `window_s` suspend the rule for `pause_s`.

    After the pause the rule is tried again with a clean count. Safe to use from several threads.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        window_s: float = WINDOW_S,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._window_s = window_s
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed_at: dict[str, deque[float]] = {}
        self._resumes_at: dict[str, float] = {}

    def note_failure(self, rule_id: str) -> bool:
        """Count one failure of the rule's target; whether this one suspends the rule."""
        now = self._clock()
        with self._lock:
            recent = self._failed_at.setdefault(rule_id, deque(maxlen=self._failures))
            recent.append(now)
            if len(recent) < self._failures or now - recent[0] > self._window_s:
                return False
            recent.clear()
            self._resumes_at[rule_id] = now + self._pause_s
            return True

    def suspended(self) -> frozenset[str]:
        """Ids of the rules that are suspended now."""
        if not self._resumes_at:
            return frozenset()
        now = self._clock()
        with self._lock:
            for rule_id in [rule_id for rule_id, resumes_at in self._resumes_at.items() if now >= resumes_at]:
                del self._resumes_at[rule_id]
            return frozenset(self._resumes_at)
