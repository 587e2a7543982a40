from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.complexity import Complexity, complexity
from tierwise.tasks.prompt import read_prompt


def measured(user: str, system: str = "") -> Complexity:
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return complexity(read_prompt({"messages": messages}))


def test_counts():
    """Sentences, numbers and different cue words are counted, as they are found in the text."""
    found = measured("Compare 3 plans. Explain why one must win, never 2. Compare again.")

    assert (found.sentences, found.numbers) == (3, 2)
    assert (found.reasoning_cues, found.constraint_cues) == (3, 2)


def test_a_greeting_is_low():
    """A short message without numbers or cues is in the lowest band."""
    assert measured("Hello there").band == "low"


def test_a_long_analysis_is_high():
    """A long text of analysis, conditions and figures is in the highest band."""
    task = (
        "Analyze the evidence step-by-step and compare 4 hypotheses. Derive the optimal strategy, justify every "
        "assumption, and explain why it must hold. You should never use more than 3 sources, except if required. "
    )

    assert measured(task + "1. 2. 3. 4. 5. " * 10 + "data " * 5_000, task).band == "high"


def test_instructions_count():
    """The instructions' words count as well as the user's."""
    assert measured("Go", "You must prove it.").reasoning_cues == 1
    assert measured("Go", "You must prove it.").constraint_cues == 1


@given(st.text(max_size=2_000), st.text(max_size=500))
def test_band_follows_the_score(user: str, system: str):
    """The score stays in [0, 1] and the bands cut it in two places."""
    found = measured(user, system)

    assert 0.0 <= found.score <= 1.0
    expected = "high" if found.score >= 0.5 else "medium" if found.score >= 0.25 else "low"
    assert found.band == expected or abs(found.score - 0.5) < 0.001 or abs(found.score - 0.25) < 0.001


@given(st.integers(min_value=0, max_value=200))
def test_a_longer_request_never_scores_lower(words: int):
    """Adding words after the part that is read can only raise the score."""
    assert measured("word " * words).score <= measured("word " * (words + 100)).score
