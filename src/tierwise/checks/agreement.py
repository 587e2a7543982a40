"""Whether several answers of a cheap model to one request agree.

The check compares; it draws nothing. Each further answer is a call of its own, paid in full: k answers of a model that
costs 1/g of the stronger one cost k/g of its answer before anything is escalated, and from k = g on the stronger model
alone is cheaper.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from tierwise.checks import json_text
from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding

_COMMENTARY_WORDS = (
    "reasoning reason reasons rationale explanation justification thought thoughts thinking analysis confidence "
    "comment comments notes steps"
)
_COMMENTARY = frozenset(_COMMENTARY_WORDS.split())
"""Fields that explain an answer and are worded anew each time."""
_LONGEST_CHARS = 100_000
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}")
_FINAL = re.compile(r"(?:final answer|the answer|answer)\W{0,6}(?:is)?\W{0,6}([^\n]{1,200})", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class Agreement(NamedTuple):
    """How far answers agree."""

    share: float
    """Of the answers, those that say what most say; in (0, 1]."""
    answers: int
    most_common: int
    """Index of the first answer that says what most say."""


def agreement(answers: Sequence[Answer]) -> Agreement:
    """How far answers to one request agree on what they say, whatever their words around it.

    Compared are the tools called with their arguments; of JSON all fields but explanations; else the last number or
    boxed or announced answer; else the words of the text.

    Raises:
        ValueError: no answers.
    """
    said = [_said(answer) for answer in answers]
    if not said:
        raise ValueError("agreement() of no answers")
    most, count = Counter(said).most_common(1)[0]
    return Agreement(count / len(said), len(said), said.index(most))


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when fewer than `min_agreement` of the answer and its samples agree, or the answer is not what most say."""
    if not context.samples:
        return Finding(None, "no further answers were drawn")
    found = agreement([answer, *context.samples])
    deadline.check()
    agreeing = round(found.share * found.answers)
    if found.share < context.min_agreement:
        return Finding(False, f"{agreeing} of {found.answers} answers agree")
    if found.most_common != 0:
        return Finding(False, f"{agreeing} of {found.answers} answers agree, on another answer")
    return Finding(True)


def _said(answer: Answer) -> str:
    if answer.tool_calls:
        return "calls " + json.dumps([[call.name, _canonical(call.arguments)] for call in answer.tool_calls])
    text = answer.text.strip()[-_LONGEST_CHARS:]
    if json_text.looks_like_json(inner := json_text.unfenced(text).strip()):
        return "json " + _canonical(inner)
    for pattern in (_BOXED, _FINAL):
        if found := pattern.findall(text):
            return "said " + _plain(found[-1])
    if numbers := _NUMBER.findall(text):
        return "number " + _number(numbers[-1])
    return "text " + _plain(text)


def _canonical(text: str) -> str:
    parsed = json_text.parse(text, line_breaks=True)
    if parsed.error or parsed.unknown:
        return _plain(text)
    try:
        return json.dumps(_essential(parsed.value), sort_keys=True)
    except RecursionError:
        return _plain(text)


def _essential(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        kept = {name: member for name, member in members.items() if name.casefold() not in _COMMENTARY}
        return {name: _essential(member) for name, member in (kept or members).items()}
    if isinstance(value, list):
        return [_essential(member) for member in cast("list[Any]", value)]
    if isinstance(value, str):
        return _plain(value)
    # 2 and 2.0 are one number in JSON.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(text: str) -> str:
    """A text without spaces, case and the marks around it; a number as it is written without separators."""
    stripped = text.strip().strip("$*`'\". ")
    return _number(stripped) if _NUMBER.fullmatch(stripped) else "".join(stripped.casefold().split())


def _number(digits: str) -> str:
    whole, _, fraction = digits.replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
