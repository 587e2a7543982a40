from __future__ import annotations

import pytest

from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.language import check

ENGLISH = "The contract was signed by both of the parties in the spring, and it is valid for three years from that day."
GERMAN = "Der Vertrag wurde im Frühjahr von beiden Seiten unterschrieben und ist ab diesem Tag für drei Jahre gültig."
CHINESE = "该合同由双方于春季签署，自签署之日起三年内有效。如有任何问题，请联系负责的工作人员。"


def found(asked: str, answered: str, task_type: str | None = None) -> Finding:
    body = {"messages": [{"role": "user", "content": asked}]}
    return check(body, Answer(answered), CheckContext(task_type=task_type), Deadline(10.0))


@pytest.mark.parametrize(("asked", "answered"), [(ENGLISH, CHINESE), (GERMAN, ENGLISH), (CHINESE, ENGLISH)])
def test_another_language_is_a_mismatch(asked: str, answered: str) -> None:
    """An answer that is clearly in another language than the request is bad."""
    assert found(asked, answered).passed is False


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, CHINESE])
def test_the_same_language_passes(text: str) -> None:
    """An answer in the language of the request is good."""
    assert found(text, text).passed is True


def test_code_is_no_language() -> None:
    """A code block in an answer does not count as English."""
    answer = f"{GERMAN}\n```python\n# {ENGLISH * 4}\n```\n"

    assert found(GERMAN, answer).passed is True


@pytest.mark.parametrize(
    ("asked", "answered", "task_type"),
    [
        (ENGLISH, GERMAN, "translation"),
        (f"Answer in German, please. {ENGLISH}", GERMAN, None),
        (f"{ENGLISH} {GERMAN}", ENGLISH, None),
        (f"{ENGLISH * 2} {GERMAN}", GERMAN, None),
        ("Hi!", GERMAN, None),
        (ENGLISH, "Ja.", None),
        (ENGLISH, '{"text": "' + GERMAN + '"}', None),
    ],
)
def test_where_another_language_may_be_meant_it_does_not_apply(
    asked: str, answered: str, task_type: str | None
) -> None:
    """Translations, requests that name a language or hold two, short texts and JSON are left alone."""
    assert found(asked, answered, task_type).passed is None
