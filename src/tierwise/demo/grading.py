"""Is an answer right? Ground truth for the demo's prompts, from the answer's text alone.

This is what an application's own check does: no judge, no model, the reference beside it. Nothing is guessed in an
answer's favour: one that cannot be found in the text is wrong.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

_ABSENT: Final = object()
_FENCED: Final = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_ANSWER_FIELD: Final = re.compile(r'"answer"\s*:\s*("(?:[^"\\]|\\.)*"|[^\n,}]+)', re.DOTALL)
_NUMBER: Final = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|-?\$?\.\d+")
_CHOICE: Final = re.compile(r"answer is:?\s*\**\(?([A-J])\b")
_MINUS_SIGN: Final = "−"


def grade_answer(dataset: str, reference: str, text: str) -> float | None:
    """1.0 when the text answers with the reference, 0.0 when it does not, None for an empty text.

    Args:
        dataset: `gsm8k`, `crux`, `math_hard` or `mmlu_pro`.
        reference: as the data set gives it: `# 1,875`, `[(4, 1)]`, `-15`, `E`.
        text: the model's whole answer.

    Raises:
        KeyError: a data set that the demo does not have.
    """
    is_right = _RULES[dataset]
    if not text.strip():
        return None
    return float(is_right(reference, text))


def answer_field(text: str) -> Any:
    """The value of `answer` in the JSON that a text holds, or None.

    Takes the last JSON object with that field, fenced or bare; failing that, reads the field out of JSON that does
    not parse, as when LaTeX backslashes stand unescaped in a neighbouring string.
    """
    for candidate in _json_objects(text):
        if "answer" in candidate:
            return candidate["answer"]
    fields: list[str] = _ANSWER_FIELD.findall(text)
    if not fields:
        return None
    raw = fields[-1].strip()
    if not raw.startswith('"'):
        return raw
    try:
        return json.loads(raw, strict=False)
    except ValueError:
        return raw[1:-1]


def _json_objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text: fenced ones from the last to the first, then the one at the first brace."""
    decoder = json.JSONDecoder(strict=False)
    for candidate in [*reversed(_FENCED.findall(text)), text]:
        start = candidate.find("{")
        if start < 0:
            continue
        try:
            value, _ = decoder.raw_decode(candidate, start)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def last_number(value: object) -> Decimal | None:
    """The last number in a value, without `$`, `%`, thousands separators or trailing zeros; None without one."""
    numbers: list[str] = _NUMBER.findall(str(value).replace(_MINUS_SIGN, "-"))
    return Decimal(numbers[-1].replace("$", "").replace(",", "")) if numbers else None


def _same_number(reference: str, text: str) -> bool:
    answered = last_number(answer_field(text))
    return answered is not None and answered == last_number(reference)


def _same_literal(reference: str, text: str) -> bool:
    """Whether the answer is the same Python value. A string may stand without its quotes; nothing else is relaxed."""
    expected, answer = ast.literal_eval(reference), answer_field(text)
    value = _literal(answer) if isinstance(answer, str) else answer
    if value is not _ABSENT:
        # True == 1 and [1] == [1.0] for Python, and (1,) != [1]; the type of the whole value must agree.
        return type(value) is type(expected) and value == expected
    return isinstance(expected, str) and expected in (answer, answer.strip(), answer.strip()[1:-1])


def _literal(source: str) -> object:
    try:
        return ast.literal_eval(source.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _ABSENT


def _same_choice(reference: str, text: str) -> bool:
    choices: list[str] = _CHOICE.findall(text)
    return bool(choices) and choices[-1] == reference


_RULES: Final[dict[str, Callable[[str, str], bool]]] = {
    "gsm8k": _same_number,
    "crux": _same_literal,
    "math_hard": _same_number,
    "mmlu_pro": _same_choice,
}
