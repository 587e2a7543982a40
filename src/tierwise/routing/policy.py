"""The policy file: the rules a person approved, as values; read whole or refused whole, written back the same.

    version = 7                       # monotonic, given by the store
    mode = "enforce"                  # off | shadow | enforce

    [[rule]]
    id = "invoice-extraction"
    kind = "route"                    # a module of tierwise.routing.rules
    when = { task_type = ["extraction"], request_model = ["claude-opus-5-5"], max_input_tokens = 8000 }
    # when.attributes = { plan = ["free"] }, when.hours = "08:00-18:00", when.days, when.timezone
    to = "claude-haiku-5-5"
    share = 0.10
    sticky = "conversation"           # conversation | use_case | none
    holdout = 0.03
    [rule.guard]
    min_retention = 0.95

    [shadow]
    sample = 0.1
    daily_budget_usd = 5.0
    [shadow.candidates]
    "claude-opus-5-5" = ["claude-haiku-5-5"]

    [deployments."azure.ai.openai"]   # model = the name it is deployed under
    "gpt-6-luna" = "luna-prod"

The first enabled rule that matches a call decides about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, cast

from tierwise.call import Request
from tierwise.errors import PolicyError
from tierwise.routing.deployments import Deployments, read_deployments
from tierwise.routing.document import TableReader, load_toml
from tierwise.routing.guard import Guard
from tierwise.routing.index import RuleIndex
from tierwise.routing.rule import Rule, ShadowPlan, Sticky, When
from tierwise.routing.rules import known_kinds, rule_kind
from tierwise.routing.toml_writer import Inline, to_toml
from tierwise.settings import MODES, Mode
from tierwise.tasks.taxonomy import TASKS

__all__ = ["Change", "Guard", "Policy", "Rule", "ShadowPlan", "When", "diff", "dump", "load", "parse"]

MAX_HOLDOUT = 0.5
_COMPLEXITIES = ("low", "medium", "high", "unknown")
_STICKY = ("conversation", "use_case", "none")
_RULE_KEYS = frozenset({"id", "kind", "when", "enabled", "evidence"})
_LIST_MATCHERS = ("task_type", "use_case", "request_model", "tenant", "provider", "complexity")
_NUMBER_MATCHERS = ("min_input_tokens", "max_input_tokens")
_OTHER_MATCHERS = ("attributes", "hours", "days", "timezone")


@dataclass(frozen=True, slots=True)
class Policy:
    """Every rule in force, in the order in which they are tried."""

    version: int = 0
    mode: Mode = "shadow"
    rules: tuple[Rule, ...] = ()
    shadow: ShadowPlan = field(default_factory=ShadowPlan)
    deployments: Deployments = field(default_factory=Deployments)
    content_hash: str = field(init=False, compare=False, default="")
    """SHA-256 (hex) of the canonical text without its version: two policies that say the same share it."""
    _index: RuleIndex = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        canonical = to_toml(_document(self, with_version=False))
        object.__setattr__(self, "content_hash", hashlib.sha256(canonical.encode()).hexdigest())
        object.__setattr__(self, "_index", RuleIndex(self.rules))

    def first_match(self, request: Request) -> Rule | None:
        """The rule that decides about `request`; None when no enabled rule matches."""
        return self._index.first_match(request)

    def rule(self, rule_id: str) -> Rule | None:
        """The rule called `rule_id`."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def describe(self) -> str:
        """The policy in plain sentences, one a line."""
        modes = {"off": "nothing is routed", "shadow": "rules are tried on paper only", "enforce": "rules are in force"}
        lines = [f"Version {self.version}, mode {self.mode}: {modes[self.mode]}."]
        lines += [f"{place}. {rule.id}: {rule.describe()}" for place, rule in enumerate(self.rules, start=1)]
        return "\n".join([*lines, self.shadow.describe(), *self.deployments.describe()])


def parse(text: str, *, origin: str = "policy.toml") -> Policy:
    """The policy that `text` says.

    Args:
        text: TOML.
        origin: the file or URL, for messages.

    Raises:
        PolicyError: anything in it cannot be used; the message has file, line, value and way out.
    """
    values, spans = load_toml(text, origin=origin)
    document = TableReader(values, origin=origin, spans=spans)
    document.only({"version", "mode", "rule", "shadow", "deployments"})
    rules: list[Rule] = []
    for table in document.tables("rule"):
        rule = _read_rule(table)
        if any(rule.id == other.id for other in rules):
            table.fail(f"has id {rule.id!r}, which a rule above it has too; ids are unique", "id")
        rules.append(rule)
    return Policy(
        version=document.whole("version", 0) or 0,
        mode=cast("Mode", document.choice("mode", MODES, "shadow")),
        rules=tuple(rules),
        shadow=_read_shadow(document) if "shadow" in values else ShadowPlan(),
        deployments=read_deployments(document.table("deployments", subject="[deployments]")),
    )


def load(path: str | Path) -> Policy:
    """The policy in the file at `path`.

    Raises:
        PolicyError: no such file, or a file that is refused.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PolicyError(f"{path}: cannot be read: {reason}") from error
    return parse(text, origin=str(path))


def _read_rule(table: TableReader) -> Rule:
    rule_id = table.text("id")
    table.subject = f'rule "{rule_id}"'
    kind_name = table.values.get("kind", "route")
    if kind_name not in known_kinds():
        table.fail(f"has kind {kind_name!r}; known kinds: {', '.join(known_kinds())}", "kind")
    kind = rule_kind(kind_name)
    table.only(_RULE_KEYS | kind.KEYS | kind.TABLES.keys())
    rule = Rule(
        id=rule_id,
        kind=kind_name,
        when=_read_when(table.table("when", subject=f'rule "{rule_id}" when')),
        to=table.text("to") if "to" in kind.KEYS else None,
        share=table.number("share", 1.0, low=0.0, high=1.0, low_allowed=False),
        sticky=cast("Sticky", table.choice("sticky", _STICKY, "conversation")),
        holdout=table.number("holdout", 0.0, low=0.0, high=MAX_HOLDOUT),
        allow_unknown_target=table.flag("allow_unknown_target", False),
        enabled=table.flag("enabled", True),
        options={name: read(table.table(name)) for name, read in kind.TABLES.items() if name in table.values},
        evidence=table.table("evidence").values,
    )
    if rule.to is not None and rule.to in rule.when.request_model:
        table.fail(f"sends {rule.to} to itself; take it out of request_model or name another target", "to")
    return rule


def _read_when(table: TableReader) -> When:
    table.only({*_LIST_MATCHERS, *_NUMBER_MATCHERS, *_OTHER_MATCHERS}, what="matcher")
    matchers: dict[str, Any] = {name: table.texts(name) for name in _LIST_MATCHERS}
    matchers |= {name: table.whole(name) for name in _NUMBER_MATCHERS}
    attributes = table.table("attributes")
    matchers["attributes"] = {name: attributes.texts(name) for name in attributes.values}
    matchers["hours"] = table.text("hours") if "hours" in table.values else None
    matchers["days"] = table.texts("days")
    if "timezone" in table.values:
        matchers["timezone"] = table.text("timezone")
        if matchers["hours"] is None and not matchers["days"]:
            table.fail("has a timezone and neither hours nor days for it to be about", "timezone")
    try:
        when = When(**matchers)
    except ValueError as error:
        table.fail(f"cannot be used: {error}", next(name for name in ("hours", "days") if name in table.values))
    for name, allowed in (("task_type", TASKS), ("complexity", _COMPLEXITIES)):
        for value in getattr(when, name):
            if value not in allowed:
                table.fail(f"has {name} = {value!r}; known: {', '.join(allowed)}", name)
    if (
        when.min_input_tokens is not None
        and when.max_input_tokens is not None
        and when.min_input_tokens > when.max_input_tokens
    ):
        table.fail("has min_input_tokens above max_input_tokens, so it matches nothing", "min_input_tokens")
    return when


def _read_shadow(document: TableReader) -> ShadowPlan:
    table = document.table("shadow", subject="[shadow]")
    table.only({"sample", "daily_budget_usd", "candidates"})
    candidates = table.table("candidates", subject="[shadow.candidates]")
    models = {model: candidates.texts(model) for model in candidates.values}
    for model, cheaper in models.items():
        if model in cheaper:
            candidates.fail(f"shadows {model} by itself; name another model", model)
    return ShadowPlan(
        sample=table.number("sample", 0.1, low=0.0, high=1.0),
        daily_budget_usd=Decimal(str(table.number("daily_budget_usd", 5.0, low=0.0, high=1e9))),
        candidates=models,
    )


def dump(policy: Policy) -> str:
    """`policy` as canonical TOML: `parse(dump(policy)) == policy`."""
    return to_toml(_document(policy, with_version=True))


def _document(policy: Policy, *, with_version: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"version": policy.version} if with_version else {}
    document["mode"] = policy.mode
    if policy.rules:
        document["rule"] = [_rule_table(rule) for rule in policy.rules]
    if policy.shadow != ShadowPlan():
        document["shadow"] = {
            "sample": policy.shadow.sample,
            "daily_budget_usd": policy.shadow.daily_budget_usd,
            "candidates": _sorted({model: list(models) for model, models in policy.shadow.candidates.items()}),
        }
    if policy.deployments:
        document["deployments"] = _sorted(policy.deployments.names)
    return document


def _rule_table(rule: Rule) -> dict[str, Any]:
    when = {
        name: value
        for name in (*_LIST_MATCHERS, *_NUMBER_MATCHERS, "hours", "days")
        if (value := getattr(rule.when, name)) not in ((), None)
    }
    if rule.when.attributes:
        when["attributes"] = _sorted(rule.when.attributes)
    if rule.when.window is not None and rule.when.timezone != "UTC":
        when["timezone"] = rule.when.timezone
    table: dict[str, Any] = {"id": rule.id, "kind": rule.kind, "enabled": rule.enabled, "when": Inline(when)}
    takes = rule_kind(rule.kind).KEYS
    table |= {name: getattr(rule, name) for name in ("to", "share", "sticky", "holdout") if name in takes}
    if rule.allow_unknown_target:
        table["allow_unknown_target"] = True
    table |= _sorted(rule.options)
    if rule.evidence:
        table["evidence"] = _sorted(rule.evidence)
    return table


def _sorted(value: Any) -> Any:
    """Tables in `value` in the order of their keys, which says nothing and so must not change the content hash."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two policies."""

    subject: str
    """`mode`, `shadow`, `deployments` or a rule's id."""
    what: Literal["added", "removed", "changed", "moved"]
    field: str | None = None
    """The key that changed; None when the whole subject did."""
    before: Any = None
    after: Any = None

    def describe(self) -> str:
        """The change in one plain sentence."""
        name = self.subject if self.subject in ("mode", "shadow", "deployments") else f'rule "{self.subject}"'
        match self.what:
            case "added":
                return f"{name} is new: {self.after}"
            case "removed":
                return f"{name} is gone: {self.before}"
            case "moved":
                return f"{name} is tried at place {self.after} instead of {self.before}"
            case "changed":
                key = f" {self.field}" if self.field else ""
                return f"{name}{key}: {_shown(self.before)} becomes {_shown(self.after)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, (), {}) else str(value)


def diff(old: Policy, new: Policy) -> tuple[Change, ...]:
    """What a person has to know to approve `new` in place of `old`; empty when they say the same."""
    changes: list[Change] = []
    if old.mode != new.mode:
        changes.append(Change("mode", "changed", before=old.mode, after=new.mode))
    old_rules = {rule.id: rule for rule in old.rules}
    new_rules = {rule.id: rule for rule in new.rules}
    changes += [Change(id, "removed", before=rule.describe()) for id, rule in old_rules.items() if id not in new_rules]
    kept_before = [id for id in old_rules if id in new_rules]
    kept_after = [id for id in new_rules if id in old_rules]
    for id, rule in new_rules.items():
        if id not in old_rules:
            changes.append(Change(id, "added", after=rule.describe()))
            continue
        changes += _rule_changes(old_rules[id], rule)
        before, after = kept_before.index(id) + 1, kept_after.index(id) + 1
        if before != after:
            changes.append(Change(id, "moved", before=before, after=after))
    for name in ("sample", "daily_budget_usd", "candidates"):
        before, after = getattr(old.shadow, name), getattr(new.shadow, name)
        if before != after:
            changes.append(Change("shadow", "changed", name, before, after))
    for provider in dict.fromkeys([*old.deployments.names, *new.deployments.names]):
        before, after = (policy.deployments.names.get(provider, {}) for policy in (old, new))
        if before != after:
            changes.append(Change("deployments", "changed", provider, dict(before), dict(after)))
    return tuple(changes)


def _rule_changes(old: Rule, new: Rule) -> list[Change]:
    before, after = _rule_table(old), _rule_table(new)
    before |= {f"when.{name}": value for name, value in before.pop("when").items()}
    after |= {f"when.{name}": value for name, value in after.pop("when").items()}
    return [
        Change(new.id, "changed", name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
