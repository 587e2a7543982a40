from __future__ import annotations

import io
from argparse import ArgumentTypeError
from collections import Counter
from typing import Any

import pytest

from tierwise.cli.importing import FORMAT_NAMES, column_map, exit_code, print_totals, totals_dict
from tierwise.imports.formats import FORMATS
from tierwise.imports.importer import Totals


def test_formats_of_the_command_line_are_those_there_are() -> None:
    """`--format` offers every format and no other."""
    assert set(FORMAT_NAMES) == set(FORMATS)


def test_column_maps() -> None:
    """Fields and columns come in pairs; a field that does not exist or a column without a name is refused."""
    assert column_map("input_tokens=prompt tok, time = at") == {"input_tokens": "prompt tok", "time": "at"}
    for wrong in ("input_tokens", "input_tokens=", "tokens=x", ""):
        with pytest.raises(ArgumentTypeError, match="fields: model"):
            column_map(wrong)


@pytest.mark.parametrize(
    ("totals", "code"),
    [
        (Totals(calls=1), 0),
        (Totals(calls=1, refused=1), 1),
        (Totals(), 1),
        (Totals(calls=1, interrupted=True), 130),
    ],
    ids=["all", "some", "none", "interrupted"],
)
def test_exit_codes(totals: Totals, code: int) -> None:
    """The exit code says whether all rows came in, some or all did not, or it was broken off."""
    assert exit_code(totals) == code


def test_the_account() -> None:
    """Everything that was counted is said, reasons by number, and nothing that was not."""
    many: Counter[str] = Counter({f"reason {number}": number + 1 for number in range(10)})
    totals = Totals(rows=60, calls=5, added=3, known=2, formats=Counter(otlp=5), refusals=many, refused=55, undated=2)
    out = io.StringIO()

    print_totals(totals, out=out)

    said = out.getvalue()
    assert "60 rows read (otlp 5)" in said
    assert "5 calls: 3 new, 2 in the store already" in said
    assert "2 calls without a time of their own" in said
    assert "55 rows that could not be imported" in said
    assert said.index("10: reason 9") < said.index("9: reason 8")
    assert "and 2 other reasons" in said
    assert "estimated" not in said


def test_the_account_as_json() -> None:
    """The same counts are there as JSON values."""
    found: dict[str, Any] = totals_dict(Totals(rows=2, formats=Counter(csv=2)))

    assert (found["rows"], found["formats"], found["interrupted"]) == (2, {"csv": 2}, False)
