"""What a cascade escalates on, tuned by reviews: triggers that find wrong answers come in, those that do not go out.

A trigger is measured on the cheaper model's answers that people reviewed: how often it fires on a wrong one, against
how often an answer is wrong at all. It is informative when the whole interval of its precision lies above that base
rate, and spends escalations on chance when the whole interval lies below. In between nothing is changed: there is not
enough data, and both rates are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tierwise.call import Request
from tierwise.checks import KNOWN
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData, wilson_bounds
from tierwise.evidence.signals import SignalAudit, audit
from tierwise.routing.escalation import COMPLEXITY, DEFAULT_CHECKS, why_skipped
from tierwise.routing.policy import Policy, Rule, dump, parse
from tierwise.routing.policy import diff as policy_diff

if TYPE_CHECKING:
    from tierwise.routing.policy import Change
    from tierwise.store import PolicyRecord, Store

Advice = Literal["keep", "add", "drop", "leave out", "not measured"]
_TABLES: Mapping[str, str] = {"cascade": "escalate", "speculative": "speculate"}
"""Rule kind → its sub-table with the checks that escalate."""
_KEYS_OF: Mapping[str, tuple[str, ...]] = {COMPLEXITY: ("complexity_at", "max_input_tokens"), "agreement": ("samples",)}
"""What else in that table is about a trigger, and goes with it."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One reason to escalate, measured on reviewed answers of the cheaper model."""

    name: str
    in_force: bool
    """Whether the rule escalates on it."""
    answers: int
    """Reviewed, with a finding of this trigger."""
    fired: int
    measured: SignalAudit
    advice: Advice

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "name": self.name,
            "in_force": self.in_force,
            "answers": self.answers,
            "fired": self.fired,
            "advice": self.advice,
            **self.measured.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class RuleTuning:
    """The triggers of one rule."""

    rule_id: str
    wrong: Estimate | NotEnoughData
    """Share of the cheaper model's answers that people found wrong, whatever fires: the base rate."""
    triggers: tuple[Trigger, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "rule_id": self.rule_id,
            "wrong": self.wrong.to_dict(),
            "triggers": [item.to_dict() for item in self.triggers],
        }


@dataclass(frozen=True, slots=True)
class Tuning:
    """A proposed policy and what it rests on."""

    based_on: int | None
    """Version of the policy that was looked at; None: there is none."""
    rules: tuple[RuleTuning, ...]
    """Those that escalate."""
    proposed: Policy | None
    """None where nothing is to be changed."""
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; the policy as TOML."""
        return {
            "based_on": self.based_on,
            "rules": [item.to_dict() for item in self.rules],
            "proposed": None if self.proposed is None else dump(self.proposed),
            "changes": [change.describe() for change in self.changes],
        }


def propose(store: Store, *, level: float = 0.95) -> Tuning:
    """Measure what the policy in force escalates on, and propose a policy with other triggers where reviews say so.

    Structural scores of the cheaper model's answers are what a check would have said of them. Nothing is written: see
    `apply()`.
    """
    current = store.current_policy()
    if current is None:
        return Tuning(None, (), None, ())
    policy = parse(current.text, origin=f"version {current.version}")
    reviewed = store.query("reviewed_scores").to_pylist()
    tuned: list[RuleTuning] = []
    rules: list[Rule] = []
    for rule in policy.rules:
        if rule.kind in _TABLES:
            tuned.append(found := _tuned(rule, reviewed, level))
            rule = _with_triggers(rule, found)
        rules.append(rule)
    changed = replace(policy, rules=tuple(rules))
    changes = tuple(policy_diff(policy, changed))
    return Tuning(current.version, tuple(tuned), changed if changes else None, changes)


def apply(store: Store, tuning: Tuning, *, who: str, why: str) -> PolicyRecord:
    """Put the proposed policy in force as a new version.

    Raises:
        Conflict: the policy has changed since it was measured.
        ValueError: nothing was proposed.
    """
    if tuning.proposed is None:
        raise ValueError("the reviews propose no change")
    reason = "; ".join(change.describe() for change in tuning.changes)
    return store.put_policy(
        dump(tuning.proposed), who=who, why=f"{why} ({reason})" if why else reason, action="retune",
        based_on=tuning.based_on,
    )  # fmt: skip


def _escalates_on(rule: Rule) -> tuple[str, ...]:
    return tuple(rule.options.get(_TABLES[rule.kind], {}).get("on", DEFAULT_CHECKS))


def _tuned(rule: Rule, reviewed: Sequence[Mapping[str, Any]], level: float) -> RuleTuning:
    own = [row for row in reviewed if row["weak_model"] == rule.to and rule.when.matches(_request(row))]
    answers = {(row["shadow_trace_id"], row["shadow_span_id"]): row for row in own}
    wrong = _base_rate(list(answers.values()), level)
    in_force = _escalates_on(rule)
    triggers: list[Trigger] = []
    for name in dict.fromkeys((*in_force, *KNOWN)):
        if name == COMPLEXITY:
            graded = list(answers.values())
            fires = np.array([why_skipped(rule, _request(row)) is not None for row in graded], dtype=np.float64)
        else:
            graded = [row for row in own if row["evaluation_source"] == "structural" and row["evaluation_name"] == name]
            fires = np.array([row["weak_score"] < 0.5 for row in graded], dtype=np.float64)
        if not graded and name not in in_force:
            continue
        measured = audit(
            fires,
            np.array([row["weak_human"] for row in graded]),
            weight=np.array([1.0 / row["propensity"] for row in graded]),
            level=level,
        )
        fired = int(fires.sum())
        advice = _advice(measured, wrong, in_force=name in in_force, answers=len(graded))
        triggers.append(Trigger(name, name in in_force, len(graded), fired, measured, advice))
    return RuleTuning(rule.id, wrong, tuple(triggers))


def _base_rate(rows: Sequence[Mapping[str, Any]], level: float) -> Estimate | NotEnoughData:
    n = len(rows)
    if n < ENOUGH:
        return NotEnoughData(n, ENOUGH, "answers of the cheaper model reviewed by people")
    weight = np.array([1.0 / row["propensity"] for row in rows])
    bad = np.array([row["weak_human"] < 0.5 for row in rows])
    effective_n = float(weight.sum() ** 2 / (weight @ weight))
    share = float(weight[bad].sum() / weight.sum())
    low, high = wilson_bounds(share, effective_n, level)
    return Estimate(share, low, high, level, n, effective_n, "Wilson score interval, weighted", "share")


def _advice(measured: SignalAudit, wrong: Estimate | NotEnoughData, *, in_force: bool, answers: int) -> Advice:
    stays: Advice = "keep" if in_force else "leave out"
    if not answers:
        return "not measured"
    if isinstance(wrong, NotEnoughData) or isinstance(measured.precision, NotEnoughData):
        return stays
    if in_force and measured.precision.high < wrong.value:
        return "drop"
    if not in_force and measured.precision.low > wrong.value:
        return "add"
    return stays


def _with_triggers(rule: Rule, tuning: RuleTuning) -> Rule:
    """The rule with the triggers as advised; the last one that is left is not dropped, for a cascade needs one."""
    advice = {item.name: item.advice for item in tuning.triggers}
    before = _escalates_on(rule)
    after = [name for name in before if advice.get(name) != "drop"]
    after += [name for name, what in advice.items() if what == "add"]
    if not after or list(before) == after:
        return rule
    gone = {key for name, keys in _KEYS_OF.items() if name not in after for key in keys}
    table = {key: value for key, value in rule.options.get(_TABLES[rule.kind], {}).items() if key not in gone}
    return replace(rule, options={**rule.options, _TABLES[rule.kind]: {**table, "on": tuple(after)}})


def _request(row: Mapping[str, Any]) -> Request:
    """The reviewed call, as far as a rule's matchers look at it."""
    return Request(
        provider=row["provider"],
        operation="chat",
        api="",
        model=row["strong_model"],
        body={},
        task_type=row["task_type"] or "unknown",
        use_case_id=row["use_case_id"] or "",
        use_case_name=row["use_case_name"],
        tenant=row["tenant"],
        complexity=row["complexity"] or "unknown",
        input_tokens_estimate=row["input_tokens"] or 0,
    )
