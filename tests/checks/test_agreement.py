from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.checks.agreement import agreement, check
from tierwise.checks.answer import Answer, ToolCall
from tierwise.checks.check import CheckContext, Deadline


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Answer('{"reasoning": "a", "answer": "42"}'), Answer('```json\n{"answer": "42", "reasoning": "b"}\n```')),
        (Answer('{"n": 2}'), Answer('{"n": 2.0}')),
        (Answer("So it is 12, and x = 1,500."), Answer("We get 1500.00")),
        (Answer(r"Thus \boxed{\frac{1}{2}}"), Answer(r"\boxed{\frac{1}{2}}.")),
        (Answer("The answer is Paris."), Answer("**Answer:** paris")),
        (Answer("", (ToolCall("f", '{"a": 1, "b": 2}'),)), Answer("Sure", (ToolCall("f", '{"b": 2, "a": 1}'),))),
        (Answer("Yes "), Answer("yes")),
    ],
)
def test_answers_that_say_the_same_agree(one: Answer, other: Answer) -> None:
    """Reasoning, order of fields, formatting and case do not matter."""
    assert agreement([one, other]).share == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Answer('{"answer": "42"}'), Answer('{"answer": "43"}')),
        (Answer('{"ok": true}'), Answer('{"ok": 1}')),
        (Answer("x = -3"), Answer("x = 3")),
        (Answer("", (ToolCall("f", '{"a": 1}'),)), Answer("", (ToolCall("g", '{"a": 1}'),))),
        (Answer("yes"), Answer("no")),
    ],
)
def test_answers_that_say_something_else_do_not(one: Answer, other: Answer) -> None:
    """Another value, sign or tool is another answer."""
    assert agreement([one, other]).share == 0.5


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=9))
def test_the_share_is_that_of_the_commonest_answer(said: list[str]) -> None:
    """Of k answers, as many agree as the commonest of them is said."""
    found = agreement([Answer(text) for text in said])

    assert found.share == max(map(said.count, said)) / len(said)
    assert said.count(said[found.most_common]) == max(map(said.count, said))


def test_no_answers_do_not_agree() -> None:
    """Agreement of nothing is an error, not 0."""
    with pytest.raises(ValueError, match="no answers"):
        agreement([])


@pytest.mark.parametrize(
    ("samples", "min_agreement", "passed", "reason"),
    [
        ((), 1.0, None, "no further answers were drawn"),
        (("a", "a"), 1.0, True, ""),
        (("a", "b"), 1.0, False, "2 of 3 answers agree"),
        (("a", "b"), 0.6, True, ""),
        (("b", "b"), 0.6, False, "2 of 3 answers agree, on another answer"),
    ],
)
def test_the_check_compares_with_what_was_drawn(
    samples: tuple[str, ...], min_agreement: float, passed: bool | None, reason: str
) -> None:
    """An answer passes when enough of the samples say the same as it does."""
    context = CheckContext(samples=tuple(map(Answer, samples)), min_agreement=min_agreement)

    assert check({}, Answer("a"), context, Deadline(10.0)) == (passed, reason)
