"""How demanding a request looks: its length, its numbers and its sentences, and a band.

Weak evidence. Within one kind of task these separate the requests that a cheaper model gets wrong from those it gets
right only somewhat better than chance, and words of reasoning or constraint beside them made it worse;
`benchmarks/tasks/evaluate.py --complexity` prints the figures. The band describes a request; it does not predict the
quality of an answer, and no routing rule should rest on it alone.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from tierwise.tasks.prompt import Prompt

MEDIUM_FROM = 0.35
HIGH_FROM = 0.55

_DIGITS = b"0123456789"


class Complexity(NamedTuple):
    """Counts over the last user message, clipped as `Prompt` says, and what they add up to."""

    band: Literal["low", "medium", "high"]
    score: float
    """In [0, 1]; descriptive, not a probability."""
    input_chars: int
    """Characters of text in the whole request."""
    digits: int
    sentences: int
    """Ends of sentences, questions and lines."""


def complexity(prompt: Prompt) -> Complexity:
    """Complexity of a request, from its length and from the last user message."""
    # Bytes are counted several times faster than words are split off.
    text = prompt.user.encode("utf-8", "surrogatepass")
    digits = len(text) - len(text.translate(None, _DIGITS))
    sentences = text.count(b". ") + text.count(b"?") + text.count(b"\n")
    # Each term saturates: the difference between 2 and 6 numbers says more than that between 20 and 60.
    score = (
        0.6 * min(math.log2(1 + prompt.input_chars / 100) / 8, 1.0)
        + 0.3 * min(digits / 32, 1.0)
        + 0.1 * min(sentences / 20, 1.0)
    )
    band = "high" if score >= HIGH_FROM else "medium" if score >= MEDIUM_FROM else "low"
    return Complexity(band, score, prompt.input_chars, digits, sentences)
