"""Which rule of a policy a stored call falls under, and how likely it is then sent to the rule's target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tierwise.call import Request
from tierwise.routing.policy import Policy, Rule
from tierwise.routing.rules import rule_kind
from tierwise.routing.window import Window
from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Flags, Floats, Ints, Labels, Traffic

_GENERATING = frozenset({None, "", "chat", "text_completion", "generate_content"})
"""Operations that write text; no rule moves an embedding to another model."""
_TOLERANCE = 1e-9
_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What the matchers of a rule look at; every column has shape (n,)."""

    provider: Labels
    model: Labels
    """The model asked for."""
    operation: Labels
    task_type: Labels
    use_case_id: Labels
    use_case_name: Labels
    tenant: Labels
    complexity: Labels
    input_tokens: Floats
    """As billed; in the app a rule's size limits look at an estimate from the size of the text."""
    declared_attributes: Labels
    start_ns: Ints

    def __len__(self) -> int:
        return len(self.input_tokens)


def scope_of(calls: Traffic | Pairs) -> Scope:
    """What the matchers of a rule see of `calls`, or of the requests that `calls` are pairs of: what the app saw."""
    if isinstance(calls, Pairs):
        unsaid = Labels((None,), np.zeros(len(calls), dtype=np.int32))
        return Scope(
            calls.provider,
            calls.strong_model,
            unsaid,
            calls.observed_task_type,
            calls.observed_use_case_id,
            calls.observed_use_case_name,
            calls.tenant,
            calls.complexity,
            calls.strong_input_tokens,
            calls.declared_attributes,
            calls.start_ns,
        )
    return Scope(
        calls.provider,
        calls.requested_model,
        calls.operation,
        calls.observed_task_type,
        calls.observed_use_case_id,
        calls.observed_use_case_name,
        calls.tenant,
        calls.complexity,
        # Calls that a policy's size limits tell apart are never added up in one row.
        calls.largest_input_tokens,
        calls.declared_attributes,
        calls.start_ns,
    )


@dataclass(frozen=True, slots=True)
class Match:
    """The first rule that matches each call; every array has shape (n,)."""

    rule: npt.NDArray[np.int64]
    """Place among `Policy.rules`; -1 where none matches."""
    target: Labels
    """The model the rule sends to; None where no rule matches or the rule sends nowhere."""


def match(policy: Policy, scope: Scope) -> Match:
    """Which rule of `policy` decides about each call.

    Mode `shadow` is taken as `enforce`: the question is what the rules would do. Under mode `off` no rule matches.
    """
    place = np.full(len(scope), -1, dtype=np.int64)
    targets: list[str | None] = [None]
    target_code = np.zeros(len(scope), dtype=np.int32)
    group, requests = _distinct_requests(scope)
    size = np.nan_to_num(scope.input_tokens)
    for index, rule in enumerate(policy.rules if policy.mode != "off" else ()):
        if not rule.enabled:
            continue
        kind = rule_kind(rule.kind)
        # Size and time differ from call to call, and are looked at below.
        alike = replace(rule.when, min_input_tokens=None, max_input_tokens=None, hours=None, days=())
        group_matches = np.zeros(len(requests), dtype=bool)
        group_target = np.zeros(len(requests), dtype=np.int32)
        for at, request in enumerate(requests):
            if request.operation in _GENERATING and alike.matches(request):
                group_matches[at] = True
                target = kind.target(rule, request)
                if target not in targets:
                    targets.append(target)
                group_target[at] = targets.index(target)
        matched = (place < 0) & group_matches[group]
        if rule.when.min_input_tokens is not None:
            matched &= size >= rule.when.min_input_tokens
        if rule.when.max_input_tokens is not None:
            matched &= size <= rule.when.max_input_tokens
        if rule.when.window is not None:
            matched &= _within(rule.when.window, scope.start_ns)
        place[matched] = index
        target_code[matched] = group_target[group[matched]]
    return Match(place, Labels(tuple(targets), target_code))


def _within(window: Window, start_ns: Ints) -> Flags:
    """Which moments lie in `window`, shape (n,)."""
    minutes, place = np.unique(start_ns // _MINUTE_NS, return_inverse=True)
    return np.array([window.contains(minute * _MINUTE_NS) for minute in minutes.tolist()], dtype=bool)[place]


def _distinct_requests(scope: Scope) -> tuple[npt.NDArray[np.int64], list[Request]]:
    """The distinct requests as rules see them, size apart, and which of them each call is, shape (n,)."""
    columns = (
        scope.provider,
        scope.model,
        scope.operation,
        scope.task_type,
        scope.use_case_id,
        scope.use_case_name,
        scope.tenant,
        scope.complexity,
        scope.declared_attributes,
    )
    code = np.zeros(len(scope), dtype=np.int64)
    for column in columns:
        _, code = np.unique(code * len(column.values) + column.codes, return_inverse=True)
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    requests: list[Request] = []
    for row in first:
        provider, model, operation, task_type, use_case_id, use_case_name, tenant, complexity, declared = (
            column[row] for column in columns
        )
        requests.append(
            Request(
                provider=provider or "",
                operation=operation or "",
                api="",
                model=model or "",
                body={},
                task_type=task_type or "unknown",
                use_case_id=use_case_id or "",
                use_case_name=use_case_name,
                tenant=tenant,
                complexity=complexity or "unknown",
                attributes=dict(item.split("=", 1) for item in declared.split("\x1f") if "=" in item)
                if declared
                else None,
            )
        )
    return group, requests


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a policy does with each call, share and holdout in expectation; every array has shape (n,)."""

    rule: npt.NDArray[np.int64]
    """As in `Match`."""
    target: Labels
    """As in `Match`."""
    probability: Floats
    """Of being sent to `target`, given the arm that the call was in when it was logged under the same rule."""
    settled: Flags
    """The call ran under this very rule and the target could not serve it, failed, or gave an answer that was not
    taken: it goes as it went."""


def assign(policy: Policy, traffic: Traffic) -> Assignment:
    """What `policy` does with each call of `traffic`; modes as in `match`."""
    matched = match(policy, scope_of(traffic))
    probability, settled = np.zeros(len(traffic)), np.zeros(len(traffic), dtype=bool)
    for index in np.unique(matched.rule[matched.rule >= 0]):
        rule = policy.rules[index]
        rows = matched.rule == index
        same_rule = rows & traffic.rule_id.equal(rule.id)
        in_an_arm = same_rule & ~traffic.arm.equal(None)
        probability[rows] = rule.share * (1.0 - rule.holdout)
        probability[in_an_arm] = _given_arm(rule, traffic, in_an_arm)
        for decision in ("fell_back", "refused", "escalated"):
            settled |= same_rule & traffic.decision.equal(decision)
    probability[matched.target.equal(None)] = 0.0
    return Assignment(matched.rule, matched.target, probability, settled)


def _given_arm(rule: Rule, traffic: Traffic, rows: Flags) -> Floats:
    """The probability of being treated for calls that ran under a rule of this id, given the arm each was in.

    The draw is a hash that does not change with the share: a larger share treats whom the smaller one did and more. So
    under an unchanged rule every call keeps its arm, which is how simulating the logging policy gives back the logged
    cost; under a changed one, a call's arm says where its hash can lie. A call whose propensity was not recorded keeps
    its arm.
    """
    planned = rule.share * (1.0 - rule.holdout)
    drawn = traffic.propensity[rows]
    recorded = drawn > 0
    drawn = np.where(recorded, drawn, 1.0)
    arm = traffic.arm.take(rows)
    treated, held_back = arm.equal("treated") | arm.equal("canary"), arm.equal("holdout")
    # A control call's propensity is what neither the old share nor the holdout took.
    formerly_treated = np.maximum(0.0, 1.0 - drawn - rule.holdout)
    still_held_back = np.minimum(1.0, rule.holdout / drawn)
    probability = np.where(
        treated,
        planned / drawn,
        np.where(held_back, (1.0 - still_held_back) * rule.share, (planned - formerly_treated) / drawn),
    )
    probability = np.where(recorded, np.clip(probability, 0.0, 1.0), treated.astype(np.float64))
    probability[probability < _TOLERANCE] = 0.0
    probability[probability > 1.0 - _TOLERANCE] = 1.0
    return probability
