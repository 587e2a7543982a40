"""Memory of the task type of a use case: the first calls vote, then the verdict stands."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a text, or a use case's calls together, are found to ask for."""

    task_type: str
    sub_tag: str | None
    confidence: float
    """Probability of the task type; its mean over the calls that voted."""


@dataclass(slots=True)
class _Ballot:
    sums: list[float]
    wins: list[int]
    calls: int = 0


class TaskMemory:
    """Verdicts by use case identifier; thread-safe and bounded, the oldest go first.

    A wrapper function can put unrelated prompts under one identifier, so a verdict needs agreement: calls that do not
    agree are judged one by one, and the vote starts again.
    """

    def __init__(self, *, calls: int = 10, agreement: float = 0.7, capacity: int = 4_096) -> None:
        """
        Args:
            calls: votes before a verdict.
            agreement: share of the votes, in (0, 1], that the winner needs.
            capacity: use cases remembered; as many again may be voting.
        """
        self._calls = calls
        self._agreement = agreement
        self._capacity = capacity
        self._ballots: dict[str, _Ballot] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._lock = threading.Lock()

    def verdict(self, use_case_id: str) -> Verdict | None:
        """The verdict on a use case; None while its calls still vote."""
        return self._verdicts.get(use_case_id)

    def vote(self, use_case_id: str, probabilities: Sequence[float]) -> list[float] | None:
        """Count one call's probabilities, one a class.

        Returns: their mean over the calls when this vote completes the ballot and the calls agree, else None.
        """
        classes = range(len(probabilities))
        with self._lock:
            ballot = self._ballots.get(use_case_id)
            if ballot is None:
                if len(self._ballots) >= self._capacity:
                    del self._ballots[next(iter(self._ballots))]
                ballot = self._ballots[use_case_id] = _Ballot([0.0 for _ in classes], [0 for _ in classes])
            for index, probability in enumerate(probabilities):
                ballot.sums[index] += probability
            ballot.wins[max(classes, key=probabilities.__getitem__)] += 1
            ballot.calls += 1
            if ballot.calls < self._calls:
                return None
            del self._ballots[use_case_id]
        winner = max(classes, key=ballot.sums.__getitem__)
        if ballot.wins[winner] < self._agreement * ballot.calls:
            return None
        return [total / ballot.calls for total in ballot.sums]

    def settle(self, use_case_id: str, verdict: Verdict) -> None:
        """Keep a verdict for the calls to come."""
        with self._lock:
            if len(self._verdicts) >= self._capacity:
                del self._verdicts[next(iter(self._verdicts))]
            self._verdicts[use_case_id] = verdict

    def clear(self) -> None:
        """Forget every verdict and vote, so that a test does not depend on the tests before it."""
        with self._lock:
            self._ballots.clear()
            self._verdicts.clear()
