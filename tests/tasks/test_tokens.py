from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.tokens import SENTENCE_END, tokenize


def test_words_are_lower_case_without_punctuation():
    """Quotes, brackets and commas are dropped; hyphens and signs of names such as C++ stay in the word."""
    assert tokenize('Write (in C++) a "state-of-the-art", snake_case parser') == [
        "write", "in", "c++", "a", "state-of-the-art", "snake_case", "parser",
    ]  # fmt: skip


def test_every_end_of_a_sentence_line_or_label_is_one_token():
    """A line break, a colon and a question mark read alike."""
    assert tokenize("Context: none\nWhy? Now.") == [
        "context", SENTENCE_END, "none", SENTENCE_END, "why", SENTENCE_END, "now", SENTENCE_END,
    ]  # fmt: skip


@given(st.text())
def test_no_token_holds_white_space(text: str):
    """Any text, in any script, splits into tokens without white space."""
    assert all(token and not any(map(str.isspace, token)) for token in tokenize(text))
