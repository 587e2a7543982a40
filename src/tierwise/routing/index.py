"""The rules of a policy, arranged so that a call is held against the few that could match it."""

from __future__ import annotations

from collections.abc import Iterable

from tierwise.call import Request
from tierwise.routing.rule import Rule


class RuleIndex:
    """Enabled rules, found by use case, else by requested model, else by task type, whichever a rule names first.

    A rule that names none of them is held against every call.
    """

    __slots__ = ("_any", "_by_model", "_by_task", "_by_use_case")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_use_case: dict[str, list[tuple[int, Rule]]] = {}
        self._by_model: dict[str, list[tuple[int, Rule]]] = {}
        self._by_task: dict[str, list[tuple[int, Rule]]] = {}
        self._any: list[tuple[int, Rule]] = []
        for place, rule in enumerate(rules):
            if not rule.enabled:
                continue
            for names, bucket in (
                (rule.when.use_case, self._by_use_case),
                (rule.when.request_model, self._by_model),
                (rule.when.task_type, self._by_task),
            ):
                if names:
                    for name in names:
                        bucket.setdefault(name, []).append((place, rule))
                    break
            else:
                self._any.append((place, rule))

    def first_match(self, request: Request) -> Rule | None:
        """The first enabled rule, in the order of the policy, that matches `request`."""
        best_place = -1
        best: Rule | None = None
        for bucket in (
            self._by_use_case.get(request.use_case_id),
            self._by_use_case.get(request.use_case_name) if request.use_case_name else None,
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
