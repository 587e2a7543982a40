from __future__ import annotations

import threading
from typing import Any

import pytest

from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding, UserCheck
from tierwise.checks.contradiction import check

ANSWER = Answer("42")


def found(*functions: Any, body: dict[str, Any] | None = None, timeout_s: float = 10.0) -> Finding:
    named = tuple(UserCheck(f"check{at}", function) for at, function in enumerate(functions))
    return check(body or {}, ANSWER, CheckContext(functions=named), Deadline(timeout_s))


@pytest.mark.parametrize(
    ("value", "passed"),
    [(True, True), (False, False), (0.5, True), (0.49, False), (None, None), ("yes", None), (7, None)],
)
def test_a_function_s_verdict_counts(value: Any, passed: bool | None) -> None:
    """True or a score from 0.5 on is good, False or less is bad, and what is neither is no verdict."""
    assert found(lambda request, answer: value).passed is passed


def test_the_first_bad_verdict_decides() -> None:
    """One function that finds the answer wrong is enough, and is named."""
    finding = found(lambda request, answer: True, lambda request, answer: False)

    assert finding == (False, "check1 found it wrong")


def test_functions_see_request_and_answer() -> None:
    """A function gets the request body and the answer, and cannot change what the next one sees."""

    def first(request: dict[str, Any], answer: Answer) -> None:
        request.clear()

    assert found(
        first, lambda request, answer: request == {"model": "m"} and answer.text == "42", body={"model": "m"}
    ).passed


def test_without_functions_it_does_not_apply() -> None:
    """With nothing registered there is nothing to contradict."""
    assert found().passed is None


def test_a_function_that_raises_is_no_verdict() -> None:
    """An error is named by its type, and its message, which may quote the answer, is not."""
    finding = found(lambda request, answer: 1 / 0)

    assert finding == (None, "check0 raised ZeroDivisionError")


def test_a_function_that_hangs_is_no_verdict() -> None:
    """What takes longer than the check may is left behind."""
    release = threading.Event()

    finding = found(lambda request, answer: release.wait(), timeout_s=0.05)
    release.set()

    assert finding == (None, "check0 timed out")
