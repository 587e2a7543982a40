from __future__ import annotations

import pytest

from tierwise.instrumentation.arguments import Arguments


@pytest.mark.parametrize(
    "arguments",
    [Arguments(("type", "options", "more"), {"stream": True}), Arguments(("type",), {"options": "options", "x": 1})],
    ids=["by place", "by name"],
)
def test_options_are_found_and_replaced_where_they_are(arguments: Arguments) -> None:
    """Options are read and replaced by place or by name, and the arguments given stay as they are."""
    changed = arguments.with_options("others")

    assert (arguments.options, changed.options) == ("options", "others")
    assert len(changed.args) == len(arguments.args)
    assert changed.kwargs.keys() == arguments.kwargs.keys()


def test_arguments_without_options() -> None:
    """There may be none."""
    assert Arguments(("type",), {}).options is None
