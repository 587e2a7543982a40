"""Tokens of a text: lower-case words, and where sentences end."""

from __future__ import annotations

SENTENCE_END = "."
"""The token that stands for every mark that ends a line, a sentence or a label."""

_SPACES = "\"'(),/;<=>@[]{}|~`*&%$\\^\t\r“”‘’«»–—…¿¡，、；「」（）"
_CHARACTERS = str.maketrans({**dict.fromkeys(".?!:\n。？！：", SENTENCE_END), **dict.fromkeys(_SPACES, " ")})


def tokenize(text: str) -> list[str]:
    """Lower-case words, and a token wherever a sentence, line or label ends. `-`, `+`, `#` and `_` stay in words."""
    # For ASCII text this is three passes in C, several times faster than a regular expression.
    return text.lower().translate(_CHARACTERS).replace(SENTENCE_END, " . ").split()
