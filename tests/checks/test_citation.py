from __future__ import annotations

from typing import Any

import pytest

from tierwise.checks.answer import Answer, ToolCall
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.citation import check

INVOICE = """Invoice INV-2041 of 5 March 2024, Müller & Söhne GmbH, Köln.
Twelve chairs at 1,250.50 EUR. Total: 15.006,00 EUR, VAT 19 %. They were late, and "we regret the delay deeply"."""


def found(answer: Answer, task_type: str | None = "extraction", **body: Any) -> Finding:
    body = {"messages": [{"role": "user", "content": f"Extract the fields.\n{INVOICE}"}]} | body
    return check(body, answer, CheckContext(task_type=task_type), Deadline(10.0))


@pytest.mark.parametrize(
    "text",
    [
        '{"number": "INV-2041", "seller": "MÜLLER & SÖHNE GMBH", "city": "Koln"}',
        '{"date": "2024-03-05", "price": 1250.5, "total": 15006, "vat": 19}',
        '```json\n{"total": "15006.00"}\n```',
        '{"items": [{"price": "1,250.50 EUR"}], "note": "nothing like it in the text"}',
        '{"kind": "furniture", "paid": false, "count": 3}',
    ],
)
def test_what_stands_in_the_text_passes(text: str) -> None:
    """Case, accents, separators and ways of writing a date do not matter; labels and comments are not values."""
    assert found(Answer(text)).passed is not False


@pytest.mark.parametrize(
    "text", ['{"number": "INV-2042"}', '{"total": 15007}', '{"date": "2023-03-05"}', '{"seller": "Maier AG"}']
)
def test_what_was_made_up_does_not(text: str) -> None:
    """A value that is nowhere in the request is bad, and is counted, not quoted."""
    assert found(Answer(text)) == (False, "1 of 1 values are not in the request")


def test_tool_arguments_are_extracted_values() -> None:
    """An extraction by way of a tool is looked at as well."""
    assert found(Answer("", (ToolCall("save", '{"seller": "Maier AG"}'),))).passed is False


def test_a_chosen_label_is_no_quotation() -> None:
    """A field whose schema lists its values need not stand in the text."""
    schema = {"type": "object", "properties": {"priority": {"enum": ["urgent", "normal"]}}}
    body = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}

    assert found(Answer('{"priority": "urgent"}'), response_format=body["response_format"]).passed is None


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("They wrote “We regret the delay deeply” and billed 15.006,00 EUR.", True),
        ("They wrote “We are sorry for the wait” in the invoice.", False),
        ("The total is 15.007,00 EUR.", False),
        ("1. The chairs were late.", None),
    ],
)
def test_quotes_and_numbers_of_a_summary(text: str, passed: bool | None) -> None:
    """What a summary quotes, and numbers of two digits and more, have to stand in the text."""
    assert found(Answer(text), "summarization").passed is passed


@pytest.mark.parametrize("task_type", [None, "classification", "generation"])
def test_other_tasks_may_say_what_they_like(task_type: str | None) -> None:
    """Where nothing is extracted or summed up, the check does not apply."""
    assert found(Answer('{"number": "INV-2042"}'), task_type).passed is None


def test_a_context_that_is_not_all_text_is_not_searched() -> None:
    """A value may stand in an image."""
    image = {"type": "image_url", "image_url": {"url": "data:"}}

    assert found(Answer('{"number": "INV-2042"}'), messages=[{"role": "user", "content": [image]}]).passed is None
