from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.complexity import HIGH_FROM, MEDIUM_FROM, Complexity, complexity
from tierwise.tasks.prompt import read_prompt


def measured(user: str, system: str = "") -> Complexity:
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return complexity(read_prompt({"messages": messages}))


def test_counts():
    """Digits and the ends of sentences, questions and lines are counted in the user's message."""
    found = measured("Is 17 prime? It is. Then\nadd 5", "Never use more than 400 words.")

    assert (found.digits, found.sentences) == (3, 3)
    assert found.input_chars == len("Is 17 prime? It is. Then\nadd 5") + len("Never use more than 400 words.")


def test_a_greeting_is_low():
    """A short message without numbers is in the lowest band."""
    assert measured("Hello there").band == "low"


def test_a_long_analysis_is_high():
    """A long text full of figures is in the highest band."""
    assert measured("In 2019 sales were 1,284.50, in 2020 they were 998.20. Why?\n" * 200).band == "high"


def test_a_character_outside_unicode_is_read():
    """A lone surrogate, legal in a Python text, breaks nothing."""
    assert measured("\ud800 7").digits == 1


@given(st.text(max_size=2_000), st.text(max_size=500))
def test_band_follows_the_score(user: str, system: str):
    """The score stays in [0, 1] and the bands cut it in two places."""
    found = measured(user, system)

    assert 0.0 <= found.score <= 1.0
    assert found.band == ("high" if found.score >= HIGH_FROM else "medium" if found.score >= MEDIUM_FROM else "low")


@given(st.integers(min_value=0, max_value=200))
def test_a_longer_request_never_scores_lower(words: int):
    """Adding words after the part that is read can only raise the score."""
    assert measured("word " * words).score <= measured("word " * (words + 100)).score
