"""Scores of the task types for a prompt's text: one pass over its tokens, then a few rules on its structure.

`TABLES` is where evidence by word comes from; a learned one is one more table in it. `benchmarks/tasks/train.py` prints
what a learned table adds on sources it was not trained on, and the lexicon stands alone until it adds something there.
Scores are natural logs up to a constant, so their softmax is a probability.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from tierwise.tasks import lexicon
from tierwise.tasks.tokens import SENTENCE_END, tokenize

CLASSES = lexicon.CLASSES
CLASS_INDEX: Mapping[str, int] = {name: index for index, name in enumerate(CLASSES)}

Weights = tuple[tuple[int, float], ...]
"""(class index, weight) pairs."""

_BEFORE_LEAD = frozenset({SENTENCE_END, "please"})
_OBJECT_REACH = 8
"""Tokens after a making verb in which its object is looked for."""


Phrases = tuple[tuple[tuple[str, ...], Weights], ...]
"""(following tokens, weights) pairs, longest first; only the first that matches counts."""


class Entry(NamedTuple):
    """Evidence that a token brings."""

    word: Weights = ()
    lead: Weights = ()
    """On top, when the token begins a line or a sentence."""
    phrases: Mapping[str, Phrases] | None = None
    """Phrases that the token begins, by their second token."""
    takes_object: bool = False
    """Whether what follows may name the thing to be made."""


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Evidence by token."""

    entries: Mapping[str, Entry]
    objects: Mapping[str, Weights]
    """Evidence of a noun among the tokens after a verb that takes one."""
    damping: float
    """What the lesser of two pieces of evidence for one class adds to the greater; 1.0 adds them up, as a log-linear
    model wants it. Hand-set weights of many common words must not outvote the one that tells."""
    scale: float = 1.0

    def add(self, row: list[float], found: Sequence[str]) -> None:
        """Add the evidence of a run of tokens to a row of scores, one a class."""
        damping = self.damping
        size = len(found)
        seen: set[str] = set()
        led: set[str] = set()
        for position, entry in enumerate(map(self.entries.get, found)):
            if entry is None:
                continue
            word, lead, phrases, takes_object = entry
            evidence = word
            if word:
                if (token := found[position]) in seen:
                    evidence = ()
                seen.add(token)
            if lead and (position == 0 or found[position - 1] in _BEFORE_LEAD):
                if (token := found[position]) not in led:
                    evidence += lead
                led.add(token)
            after = position + 1
            if phrases is not None and after < size and (begun := phrases.get(found[after])) is not None:
                for rest, weights in begun:
                    if len(rest) == 1 or tuple(found[after : after + len(rest)]) == rest:
                        evidence += weights
                        break
            if takes_object:
                for later in found[after : after + _OBJECT_REACH]:
                    if later == SENTENCE_END:
                        break
                    if later in self.objects:
                        evidence += self.objects[later]
                        break
            for index, weight in evidence:
                held = row[index]
                row[index] = held + damping * weight if held >= weight else weight + damping * held


def _by_tokens(evidence: lexicon.Evidence) -> dict[tuple[str, ...], Weights]:
    rows: dict[tuple[str, ...], dict[int, float]] = {}
    for task, by_weight in evidence.items():
        for weight, entries in by_weight.items():
            for entry in entries.split("|"):
                rows.setdefault(tuple(tokenize(entry)), {})[CLASS_INDEX[task]] = weight
    return {key: tuple(row.items()) for key, row in rows.items()}


def lexicon_table() -> TokenTable:
    """The lexicon compiled for lookup."""
    words, leads = _by_tokens(lexicon.WORDS), _by_tokens(lexicon.LEADS)
    phrases: dict[str, dict[str, Phrases]] = {}
    for key, weights in sorted(words.items(), key=lambda item: -len(item[0])):
        if len(key) > 1:
            begun = phrases.setdefault(key[0], {})
            begun[key[1]] = (*begun.get(key[1], ()), (key[1:], weights))
    making_verbs = set(lexicon.MAKING_VERBS.split())
    firsts = {key[0] for key in (*words, *leads)} | making_verbs
    entries = {
        first: Entry(
            words.get((first,), ()),
            leads.get((first,), ()),
            phrases.get(first),
            first in making_verbs,
        )
        for first in firsts
    }
    objects = {key[0]: weights for key, weights in _by_tokens(lexicon.OBJECTS).items()}
    return TokenTable(entries, objects, damping=0.35)


TABLES: tuple[TokenTable, ...] = (lexicon_table(),)

_SUBSTRINGS = tuple(
    (substring, CLASS_INDEX[task], weight)
    for task, by_weight in lexicon.SUBSTRINGS.items()
    for weight, entries in by_weight.items()
    for substring in entries.split("|")
)

_HEAD_CHARS = 400
_TAIL_CHARS = 150
_OPENING_CHARS = 250
_OPENING_LINE_CHARS = 40
"""A shorter first line is a title or a salutation; what follows it belongs to the opening."""


def _ends_of_instructions(instructions: str) -> str:
    if len(instructions) <= _HEAD_CHARS + _TAIL_CHARS:
        return instructions
    return f"{instructions[:_HEAD_CHARS]}\n{instructions[-_TAIL_CHARS:]}"


def _ends_of_message(text: str) -> str:
    """The first paragraph and the last line: between them stands mostly what the instruction is applied to."""
    size = len(text)
    if size <= _OPENING_CHARS:
        return text
    cut = text.find("\n\n", 0, _OPENING_CHARS)
    if cut < 0:
        cut = text.find("\n", _OPENING_LINE_CHARS, _OPENING_CHARS)
    if cut < 0:
        cut = _OPENING_CHARS
    start = max(cut, text.rfind("\n", size - _TAIL_CHARS), size - _TAIL_CHARS)
    return f"{text[:cut]}\n{text[start:]}"


def ends(instructions: str, message: str) -> str:
    """What is read of the words: the head and tail of the instructions and of the message."""
    return f"{_ends_of_instructions(instructions)}\n{_ends_of_message(message)}"


_OPTIONS = re.compile(r"\n[ \t]*\(?A[).:] ?[^\n]+\n[ \t]*\(?B[).:]")
_INSTRUCTION_HEADING = re.compile(
    r"\n#{1,6}[ \t]*(?:Instruction|Output|Response|Format|Requirement|Rule|Guideline|Constraint)"
)
_CODE_LINE = re.compile(
    r"\n[ \t]*(?:```(?!json|\s)|def \w|class \w+[:({]|import \w|from \w+ import|#include|public |private |const \w"
    r"|let \w+ =|var \w|function \w*\(|SELECT |CREATE TABLE|INSERT INTO|assert |return |for \w+ in |if \()"
)
# An operator before a number, but no hyphen or slash inside a date or a word; a LaTeX command. It starts with one set
# of characters, so that `re` skips quickly to where a match can begin.
_FORMULA = re.compile(r"[-+*/=×÷^\\](?: [0-9(]|[0-9(](?<![-/].)|[a-z]{2}(?<=\\..))")
_HOW_MUCH = re.compile(r"ow (?:many|much|long|old|far|tall|fast|big) ")
_AMOUNTS = ("% of ", "total", "percent", "altogether", "in all ")
_NUMBER = re.compile(r"(?<![\n\d])\d+")
"""Not those that number the lines of a list."""
_YES_NO = re.compile(r"(?:is|are|do|does|did|was|were|has|have|(?:would|can|could) (?!you|i )) ?\w")
_LONG_PAYLOAD_CHARS = 450
_PAYLOAD_BEFORE_QUESTION_CHARS = 120
_TEXT_BEFORE_YES_NO_CHARS = 40
_SHORT_QUESTION_CHARS = 80

_CLASSIFICATION = CLASS_INDEX["classification"]
_CODE = CLASS_INDEX["code_generation"]
_CONTEXT = CLASS_INDEX["question_answering_context"]
_CREATIVE = CLASS_INDEX["creative_generation"]
_MATH = CLASS_INDEX["math"]
_OPEN = CLASS_INDEX["question_answering_open"]
_SUMMARIZATION = CLASS_INDEX["summarization"]


def _payload(text: str) -> str:
    """A message without the sections under headings of instruction."""
    while (heading := _INSTRUCTION_HEADING.search(text)) is not None:
        following = text.find("\n#", heading.end())
        text = text[: heading.start()] + (text[following:] if following >= 0 else "")
    return text.rstrip()


def _add_structure(row: list[float], text: str, *, told: bool) -> None:
    """Add what the shape of a user message says: code, formulas, options, a question and what stands before it.

    Args:
        told: whether instructions beside the message say what to do with it.
    """
    if "\n#" in text:
        text = _payload(text)
    if (options := _OPTIONS.search(text)) is not None:
        text = text[: options.start()].rstrip()
        row[_OPEN] += 1.0 if told else 2.5
        row[_CONTEXT] += 0.5 if told else 1.5
    size = len(text)
    is_clipped = size > _HEAD_CHARS + _TAIL_CHARS
    window = f"\n{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}" if is_clipped else f"\n{text}"
    formulas = 0
    if len(_CODE_LINE.findall(window)) >= 2:
        row[_CODE] += 3.0
    else:
        formulas = len(_FORMULA.findall(window))
    row[_MATH] += min(2.0 * formulas, 4.0)
    is_long = size > _LONG_PAYLOAD_CHARS
    if not is_long and (_HOW_MUCH.search(window) or any(amount in window for amount in _AMOUNTS)):
        row[_MATH] += 1.5 * min(len(_NUMBER.findall(window)), 3)
    elif row[_MATH] < 2.0:
        row[_MATH] -= 1.0
    if row[_OPEN] >= 2.0 <= row[_CONTEXT]:
        row[_CONTEXT] += 1.5
    if is_long:
        row[_CONTEXT] += 1.0
        row[_SUMMARIZATION] += 0.5
        row[_OPEN] -= 2.0
        row[_CREATIVE] -= 0.5
    if text[-1:] not in ("?", "？"):
        return
    row[_CREATIVE] -= 0.5
    row[_CONTEXT] += 0.5
    if formulas and size <= _SHORT_QUESTION_CHARS:
        row[_MATH] += 2.0
    elif not is_long:
        row[_OPEN] += 1.5
    last = text[-_HEAD_CHARS:]
    question = last[max(last.rfind("\n"), last.rfind(". "), last.rfind("? "), 0) :].lstrip(" \n.?").lower()
    before = size - len(question)
    if before > _TEXT_BEFORE_YES_NO_CHARS and _YES_NO.match(question):
        row[_CLASSIFICATION] += 2.5
    elif before > _PAYLOAD_BEFORE_QUESTION_CHARS:
        row[_CONTEXT] += 1.5


@lru_cache(maxsize=1_024)
def score_text(instructions: str, message: str) -> tuple[float, ...]:
    """One score a class, in the order of `CLASSES`, for instructions and a user message; either may be empty."""
    text = message.strip()
    read = ends(instructions, text)
    found = tokenize(read)
    total = [0.0] * len(CLASSES)
    for table in TABLES:
        row = [0.0] * len(CLASSES)
        table.add(row, found)
        total = [score + table.scale * added for score, added in zip(total, row, strict=True)]
    if not read.isascii():
        for substring, index, weight in _SUBSTRINGS:
            if substring in read:
                total[index] = max(total[index], weight)
    if text:
        _add_structure(total, text, told=bool(instructions))
    return tuple(total)


def probabilities(row: Sequence[float]) -> list[float]:
    """Softmax of a row of scores."""
    top = max(row)
    powers = [math.exp(score - top) for score in row]
    total = sum(powers)
    return [power / total for power in powers]
