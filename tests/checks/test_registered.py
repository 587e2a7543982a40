from __future__ import annotations

from collections.abc import Iterator

import pytest

from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext
from tierwise.checks.registered import context_of, register_function, register_schema, unregister


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    unregister("invoices")
    unregister("uc_1")


def right(request: object, answer: Answer) -> bool:
    return True


def wrong(request: object, answer: Answer) -> bool:
    return False


def test_what_is_registered_by_name_or_id_is_found() -> None:
    """A use case is known by its id and by its name, and what was registered for either counts."""
    register_schema("invoices", {"type": "object"})
    register_function("uc_1", "right", right)

    context = context_of(use_case_id="uc_1", use_case_name="invoices", task_type="extraction")

    assert context.schema == {"type": "object"}
    assert [check.name for check in context.functions] == ["right"]
    assert context.task_type == "extraction"


def test_a_function_of_the_same_name_is_replaced() -> None:
    """Registering again, as a reloaded module does, leaves one function of a name."""
    register_function("invoices", "totals", right)
    register_function("invoices", "totals", wrong)

    [check] = context_of(use_case_id="invoices").functions

    assert check.function is wrong


def test_other_use_cases_have_nothing() -> None:
    """What was registered for one use case does not reach another."""
    register_schema("invoices", {"type": "object"})

    assert context_of(use_case_id="letters") == CheckContext()
