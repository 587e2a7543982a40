"""When the answer of a cheaper model will not do: the tables of a rule that say so, read and put in words.

[rule.escalate]                     # kind = "cascade"
on = ["schema", "refusal", "truncation", "complexity"]
to = ["claude-sonnet-5-5"]          # in between; the requested model always comes last
complexity_at = "high"              # this complex before the call: the first model is not asked
max_input_tokens = 8000             # nor for a request larger than this
samples = 3                         # answers of the first model that the `agreement` check compares
check_timeout_s = 0.25

[rule.speculate]                    # kind = "speculative"
patience_s = 1.5                    # then the requested model is asked beside the first
on = ["schema", "refusal"]
check_timeout_s = 0.25
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tierwise.call import Escalation, Request
from tierwise.checks import KNOWN

if TYPE_CHECKING:
    from tierwise.routing.document import TableReader
    from tierwise.routing.rule import Rule

COMPLEXITY = "complexity"
"""In `on` beside the checks of an answer: it looks at the request, before the call."""
DEFAULT_CHECKS = ("schema", "refusal", "truncation")
"""They need nothing but request and answer, and take no call of their own."""
DEFAULT_TIMEOUT_S = 0.25
MAX_TIMEOUT_S = 10.0
"""An answer waits for its checks."""
DEFAULT_PATIENCE_S = 2.0
MAX_PATIENCE_S = 600.0
DEFAULT_SAMPLES = 3
MAX_SAMPLES = 9
_BANDS = ("low", "medium", "high")


def read_escalate(table: TableReader) -> Mapping[str, Any]:
    """The `[rule.escalate]` table: the keys it gives."""
    table.only({"on", "to", "complexity_at", "max_input_tokens", "samples", "check_timeout_s"})
    given = _read_checks(table, (*KNOWN, COMPLEXITY))
    on = given.get("on", DEFAULT_CHECKS)
    if "to" in table.values:
        given["to"] = table.texts("to")
    for name, check in (("complexity_at", COMPLEXITY), ("max_input_tokens", COMPLEXITY), ("samples", "agreement")):
        if name in table.values and check not in on:
            table.fail(f"has {name}, and no {check!r} in on for it to be about", name)
    if "complexity_at" in table.values:
        given["complexity_at"] = table.choice("complexity_at", _BANDS, "high")
    if "max_input_tokens" in table.values:
        given["max_input_tokens"] = table.whole("max_input_tokens")
    if "samples" in table.values:
        samples = table.whole("samples") or 0
        if not 2 <= samples <= MAX_SAMPLES:
            table.fail(f"has samples = {samples}; a whole number from 2 to {MAX_SAMPLES} is needed", "samples")
        given["samples"] = samples
    return given


def read_speculate(table: TableReader) -> Mapping[str, Any]:
    """The `[rule.speculate]` table: the keys it gives."""
    table.only({"on", "patience_s", "check_timeout_s"})
    # Further samples take as long as the answer they are compared with: nothing is left to overlap.
    given = _read_checks(table, tuple(name for name in KNOWN if name != "agreement"))
    if "patience_s" in table.values:
        given["patience_s"] = table.number("patience_s", DEFAULT_PATIENCE_S, low=0.0, high=MAX_PATIENCE_S)
    return given


def _read_checks(table: TableReader, known: tuple[str, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if "on" in table.values:
        given["on"] = table.texts("on")
        for name in given["on"]:
            if name not in known:
                table.fail(f"has on = {name!r}; known: {', '.join(known)}", "on")
    if "check_timeout_s" in table.values:
        given["check_timeout_s"] = table.number(
            "check_timeout_s", DEFAULT_TIMEOUT_S, low=0.0, high=MAX_TIMEOUT_S, low_allowed=False
        )
    return given


def tiers(rule: Rule, request: Request) -> tuple[str, ...]:
    """The models of a cascade in the order in which `request` is put to them, without the requested one."""
    named = ("" if rule.to is None else rule.to, *_options(rule, "escalate").get("to", ()))
    first = 1 if why_skipped(rule, request) is not None else 0
    return tuple(model for model in dict.fromkeys(named[first:]) if model != request.model)


def why_skipped(rule: Rule, request: Request) -> str | None:
    """Why `request` is not put to the first model of a cascade, in words; None when it is."""
    options = _options(rule, "escalate")
    if COMPLEXITY not in options.get("on", ()):
        return None
    bands = _BANDS[_BANDS.index(options.get("complexity_at", "high")) :]
    if request.complexity in bands:
        return f"its complexity is {request.complexity}"
    limit = options.get("max_input_tokens")
    if limit is not None and request.input_tokens_estimate > limit:
        return f"it has about {request.input_tokens_estimate:,} input tokens, more than {limit:,}"
    return None


def cascade(rule: Rule, request: Request) -> Escalation:
    """What may follow the first model of a cascade."""
    options = _options(rule, "escalate")
    checks = tuple(name for name in options.get("on", DEFAULT_CHECKS) if name != COMPLEXITY)
    return Escalation(
        models=(*tiers(rule, request)[1:], request.model),
        checks=checks,
        check_timeout_s=options.get("check_timeout_s", DEFAULT_TIMEOUT_S),
        samples=options.get("samples", DEFAULT_SAMPLES) if "agreement" in checks else 1,
    )


def speculation(rule: Rule, request: Request) -> Escalation:
    """What may be asked beside the first model of a speculative rule."""
    options = _options(rule, "speculate")
    return Escalation(
        models=(request.model,),
        checks=options.get("on", DEFAULT_CHECKS),
        check_timeout_s=options.get("check_timeout_s", DEFAULT_TIMEOUT_S),
        patience_s=options.get("patience_s", DEFAULT_PATIENCE_S),
    )


def describe_checks(rule: Rule, table: str) -> str:
    """What an answer is checked for, in words: `schema, refusal or truncation`."""
    names = [name for name in _options(rule, table).get("on", DEFAULT_CHECKS) if name != COMPLEXITY]
    if not names:
        return "nothing"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def describe_proxy(rule: Rule) -> str:
    """Which requests skip the first model, in words; empty when none does."""
    options = _options(rule, "escalate")
    if COMPLEXITY not in options.get("on", ()):
        return ""
    text = f"requests of {options.get('complexity_at', 'high')} complexity"
    if options.get("complexity_at", "high") != "high":
        text += " and above"
    if (limit := options.get("max_input_tokens")) is not None:
        text += f" or more than {limit:,} input tokens"
    return text


def _options(rule: Rule, table: str) -> Mapping[str, Any]:
    return rule.options.get(table, {})
