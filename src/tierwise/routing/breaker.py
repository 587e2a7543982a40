"""A rule whose target keeps failing is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

FAILURES = 5
WINDOW_S = 60.0
PAUSE_S = 300.0
MAX_FAILURE_RATE = 0.2
"""Of calls that a rule without a limit of its own sent to its target, from the first of these failures to the last."""


class Breaker:
    """Counts target failures by rule; `failures` of them within `window_s` suspend the rule for `pause_s`, if they are
    too large a share of the calls made meanwhile: a busy rule fails now and then.

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
        self._answers: dict[str, int] = {}
        """How often each rule's target has answered."""
        self._failed: dict[str, deque[tuple[float, int]]] = {}
        """When each rule's target failed, and how often it had answered by then."""
        self._resumes_at: dict[str, float] = {}

    def note_answer(self, rule_id: str) -> None:
        """Count one answer of the rule's target."""
        with self._lock:
            self._answers[rule_id] = self._answers.get(rule_id, 0) + 1

    def note_failure(self, rule_id: str, max_failure_rate: float | None = None) -> bool:
        """Count one failure of the rule's target; whether this one suspends the rule.

        Args:
            max_failure_rate: the rule's own limit, in [0, 1]; None: `MAX_FAILURE_RATE`.
        """
        limit = MAX_FAILURE_RATE if max_failure_rate is None else max_failure_rate
        now = self._clock()
        with self._lock:
            answers = self._answers.get(rule_id, 0)
            recent = self._failed.setdefault(rule_id, deque(maxlen=self._failures))
            recent.append((now, answers))
            since, answers_then = recent[0]
            if len(recent) < self._failures or now - since > self._window_s:
                return False
            if len(recent) <= limit * (len(recent) + answers - answers_then):
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
