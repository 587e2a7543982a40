"""How demanding a request looks: cheap counts over its text, and a band.

Weak evidence. Within one kind of task, length, numbers and reasoning words separate the requests that a cheaper model
gets wrong from those it gets right only slightly better than chance; `benchmarks/tasks_rules.py --complexity` prints
the figures. The band describes a request; it does not predict the quality of an answer, and no routing rule should rest
on it alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from tierwise.tasks.prompt import Prompt
from tierwise.tasks.tokens import SENTENCE_END, tokenize

_CACHED_TEXTS = 1_024

_REASONING_WORDS = (
    "analyse analysis analyze argue argument assess assume assumption assumptions because cause causes compare "
    "comparison conclude conclusion consequences deduce derive determine evaluate evidence explain hypotheses "
    "hypothesis if implications imply infer justify logic logical optimal optimise optimize prove proof rationale "
    "reason reasoning respectively strategy step-by-step steps therefore trade-off trade-offs tradeoffs why"
)
_CONSTRAINT_WORDS = (
    "always avoid cannot don ensure exactly except least limit maximum minimum most must never no not only required "
    "shall should strictly unless without"
)
_REASONING = frozenset(_REASONING_WORDS.split())
_CUES = _REASONING | frozenset(_CONSTRAINT_WORDS.split())


@dataclass(frozen=True, slots=True)
class Complexity:
    """Counts over the heads of the instructions and of the last user message, and what they add up to."""

    band: Literal["low", "medium", "high"]
    score: float
    """In [0, 1]; descriptive, not a probability."""
    input_chars: int
    """Characters of text in the whole request."""
    sentences: int
    numbers: int
    reasoning_cues: int
    """Different words of analysis, comparison, cause or proof."""
    constraint_cues: int
    """Different words that restrict the answer."""


class _Counts(NamedTuple):
    sentences: int
    numbers: int
    cues: frozenset[str]


@lru_cache(maxsize=_CACHED_TEXTS)
def _counts(text: str) -> _Counts:
    tokens = tokenize(text)
    return _Counts(tokens.count(SENTENCE_END), sum(map(str.isdecimal, tokens)), _CUES.intersection(tokens))


@lru_cache(maxsize=_CACHED_TEXTS)
def _measure(system: str, user: str, input_chars: int) -> Complexity:
    of_system, of_user = _counts(system), _counts(user)
    sentences = of_system.sentences + of_user.sentences
    numbers = of_system.numbers + of_user.numbers
    cues = of_system.cues | of_user.cues
    reasoning_cues = len(cues & _REASONING)
    constraint_cues = len(cues) - reasoning_cues
    # Each term saturates: the difference between 2 and 6 numbers says more than that between 20 and 60.
    score = (
        0.30 * min(math.log2(1 + input_chars / 100) / 8, 1.0)
        + 0.30 * min(reasoning_cues / 4, 1.0)
        + 0.15 * min(numbers / 8, 1.0)
        + 0.15 * min(constraint_cues / 5, 1.0)
        + 0.10 * min(sentences / 20, 1.0)
    )
    band = "high" if score >= 0.5 else "medium" if score >= 0.25 else "low"
    return Complexity(band, round(score, 3), input_chars, sentences, numbers, reasoning_cues, constraint_cues)


_TEXT_CHARS = 400
"""Of the instructions and of the user's message each, from the head: enough to tell the bands apart."""


def complexity(prompt: Prompt) -> Complexity:
    """Complexity of a request, from the heads of its instructions and of its last user message."""
    return _measure(prompt.system[:_TEXT_CHARS], prompt.user[:_TEXT_CHARS], prompt.input_chars)
