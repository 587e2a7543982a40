"""The rules of a policy, arranged so that a call is held against the few that could match it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from tierwise.call import Request
from tierwise.routing.rule import Rule


class RuleIndex:
    """Enabled rules, by what a call must be for them: its use case, or else its requested model, task type, or both.

    A rule that names none of them is held against every call.
    """

    __slots__ = ("_any", "_by_model", "_by_model_and_task", "_by_task", "_by_use_case")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_use_case: dict[str, list[tuple[int, Rule]]] = {}
        self._by_model_and_task: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        self._by_model: dict[str, list[tuple[int, Rule]]] = {}
        self._by_task: dict[str, list[tuple[int, Rule]]] = {}
        self._any: list[tuple[int, Rule]] = []
        for place, rule in enumerate(rules):
            if not rule.enabled:
                continue
            when, placed = rule.when, (place, rule)
            if when.use_case:
                for name in when.use_case:
                    self._by_use_case.setdefault(name, []).append(placed)
            elif when.request_model and when.task_type:
                for pair in product(when.request_model, when.task_type):
                    self._by_model_and_task.setdefault(pair, []).append(placed)
            elif when.request_model:
                for name in when.request_model:
                    self._by_model.setdefault(name, []).append(placed)
            elif when.task_type:
                for name in when.task_type:
                    self._by_task.setdefault(name, []).append(placed)
            else:
                self._any.append(placed)

    def first_match(self, request: Request) -> Rule | None:
        """The first enabled rule, in the order of the policy, that matches `request`."""
        best_place = -1
        best: Rule | None = None
        for bucket in (
            self._by_use_case.get(request.use_case_id),
            self._by_use_case.get(request.use_case_name) if request.use_case_name else None,
            self._by_model_and_task.get((request.model, request.task_type)),
            self._by_model.get(request.model),
            self._by_task.get(request.task_type),
            self._any,
        ):
            for place, rule in bucket or ():
                if best is not None and place > best_place:
                    break
                if rule.when.matches(request):
                    best_place, best = place, rule
                    break
        return best
