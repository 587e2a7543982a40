"""Whether what the answer quotes or extracts occurs in the request: nothing made up, for extraction and summaries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, cast

from tierwise.checks import json_text
from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.request_text import read_texts
from tierwise.checks.schema import declared_schema

_TASKS = frozenset({"extraction", "summarization"})
_MAX_VALUES = 200
_MAX_CONTEXT_CHARS = 400_000
"""Folding more than that takes too long, and cannot be interrupted."""
_MAX_ANSWER_CHARS = 200_000
_SHORTEST_QUOTE_WORDS = 3
_LONGEST_VALUE_CHARS = 2_000

_QUOTE = re.compile(r"[\"“”«»„「]([^\"“”«»„「」]{8,2000})[\"“”«»」]")
_NUMBER = re.compile(r"\d{1,24}(?:[.,'\u00a0\u202f]\d{1,24}){0,8}")
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[T ][\d:.+Z-]{0,32})?")
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_NOT_DIGITS = re.compile(r"\D+")
_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_COMMENTARY = re.compile(
    r"reason|rationale|explanation|justification|thought|analysis|confidence|comment|note|summary|score|language|"
    r"currency|format|unit|type|category|label|status|kind|country|id$",
    re.IGNORECASE,
)
"""Fields that say something about a value, or name it in the schema's own words, rather than give it as it stands."""


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when a value extracted, a passage quoted or a number given is nowhere in the request's texts.

    Compared without case, accents, punctuation and spacing; a date by its year and day alone, a number by its digits.
    It does not apply when part of the context is not text (an image, a file, a turn the provider keeps) or too long.
    """
    if context.task_type not in _TASKS:
        return Finding(None, "neither extraction nor summary")
    if answer.refused or not (answer.text or answer.tool_calls):
        return Finding(None, "no answer")
    asked = read_texts(request_body)
    if not asked.whole or sum(map(len, asked.texts)) > _MAX_CONTEXT_CHARS:
        return Finding(None, "part of the context is not text, or too long")
    deadline.check()
    haystack = _Haystack("\n".join(asked.texts), deadline)
    deadline.check()
    values = list(_claims(request_body, answer, context))
    if not values:
        return Finding(None, "nothing quoted or extracted")
    missing = 0
    for value in values:
        deadline.check()
        missing += not haystack.has(value)
    if missing:
        return Finding(False, f"{missing} of {len(values)} values are not in the request")
    return Finding(True)


class _Haystack:
    """The request's texts, folded once; their numbers read when the first is looked for."""

    def __init__(self, text: str, deadline: Deadline) -> None:
        self._text = text
        self._deadline = deadline
        self._words = _folded(text)

    @cached_property
    def _written(self) -> set[str]:
        return set(_NUMBER.findall(self._text))

    @cached_property
    def _numbers(self) -> set[str]:
        found: set[str] = set()
        for number in self._written:
            self._deadline.check()
            found |= _readings(number)
        return found

    @cached_property
    def _number_parts(self) -> set[str]:
        return {part for number in self._written for part in _NOT_DIGITS.split(number)}

    def has(self, value: str | float) -> bool:
        if not isinstance(value, str):
            return not self._numbers.isdisjoint(_readings(_plain(value)))
        if _DATE.fullmatch(value.strip()):
            groups = _DIGITS.findall(value)[:3]
            year, day = max(groups, key=len), groups[2] if len(groups[0]) == 4 else groups[0]
            alternatives = {day, day.lstrip("0"), groups[1], groups[1].lstrip("0")}
            return year in self._number_parts and bool(alternatives & self._number_parts)
        folded = _folded(value)
        if not folded or folded in self._words:
            return True
        amount = value.strip("$€£¥% ")
        return _NUMBER.fullmatch(amount) is not None and not self._numbers.isdisjoint(_readings(amount))


def _folded(text: str) -> str:
    """A text's words without case and accents, each between spaces."""
    plain = text.casefold()
    if not plain.isascii():
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain))
    words = _WORD.findall(plain)
    return f" {' '.join(words)} " if words else ""


def _readings(written: str) -> set[str]:
    """What a number may be, as digits with a point before the decimals: two when its last separator may be either."""
    found = _NUMBER.search(written)
    if found is None:
        return set()
    number = found[0].rstrip(".,'")
    places = [at for at, mark in enumerate(number) if not mark.isdigit()]
    whole = _NOT_DIGITS.sub("", number).lstrip("0")
    if not places:
        return {whole}
    last = places[-1]
    decimals = number[last + 1 :].rstrip("0")
    head = _NOT_DIGITS.sub("", number[:last]).lstrip("0")
    split = f"{head}.{decimals}" if decimals else head
    # A mark that comes twice, or before other than three digits, tells which it is.
    if len(number) - last - 1 != 3 or any(number[at] != number[last] for at in places):
        return {split}
    return {whole} if len(places) > 1 else {whole, split}


def _plain(value: float) -> str:
    """A JSON number without exponent and sign."""
    return f"{abs(value):.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(abs(value))


# --- what is claimed --------------------------------------------------------------------------------------------------


def _claims(request_body: Mapping[str, Any], answer: Answer, context: CheckContext) -> Iterator[str | float]:
    text = answer.text[:_MAX_ANSWER_CHARS]
    structured = [call.arguments for call in answer.tool_calls]
    if json_text.looks_like_json(inner := json_text.unfenced(text)):
        structured.append(inner)
    count = 0
    for document in structured:
        schema = declared_schema(request_body) if document == inner else None
        for value in _leaves(json_text.parse(document, line_breaks=True).value, schema):
            count += 1
            if count > _MAX_VALUES:
                return
            yield value
    if structured:
        return
    for quoted in _QUOTE.findall(text)[:_MAX_VALUES]:
        if len(_WORD.findall(quoted)) >= _SHORTEST_QUOTE_WORDS:
            yield quoted.strip(" .…")
    if context.task_type == "summarization":
        # Two digits at least: what is less may count the points of the summary.
        for number in _NUMBER.findall(text)[:_MAX_VALUES]:
            if sum(map(str.isdigit, number)) >= 2:
                yield number


def _leaves(value: Any, schema: Any, depth: int = 0) -> Iterator[str | float]:
    """Texts and numbers of a JSON value that are given rather than chosen or explained."""
    if depth > 20:
        return
    declared = cast("Mapping[str, Any]", schema) if isinstance(schema, Mapping) else {}
    if "enum" in declared or "const" in declared:
        return
    if isinstance(value, dict):
        properties = declared.get("properties")
        inner = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
        for name, member in cast("dict[str, Any]", value).items():
            if _COMMENTARY.search(name) is None:
                yield from _leaves(member, inner.get(name), depth + 1)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from _leaves(member, declared.get("items"), depth + 1)
    elif isinstance(value, str):
        if 2 <= len(value) <= _LONGEST_VALUE_CHARS:
            yield value
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 10:
        yield value
