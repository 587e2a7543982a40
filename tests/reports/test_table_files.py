from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pyarrow import parquet

from tierwise.reports.table_files import FORMATS, MIME_TYPES, cell, encoded, jsonable, table_of

ROWS = [{"name": "=1+1", "usd": Decimal("0.5"), "when": datetime(2026, 11, 24, tzinfo=UTC), "tags": ["a", "b"]}]


def test_every_format_has_a_type() -> None:
    """A download says what it is."""
    assert set(MIME_TYPES) == set(FORMATS)


def test_text_cannot_become_a_formula() -> None:
    """A spreadsheet shows what begins like a formula as text; JSON and Parquet keep it as it is."""
    assert encoded(table_of(ROWS), "csv").decode().splitlines()[1].startswith("'=1+1,0.5,")
    assert json.loads(encoded(table_of(ROWS), "jsonl"))["name"] == "=1+1"
    assert parquet.read_table(io.BytesIO(encoded(table_of(ROWS), "parquet"))).to_pylist()[0]["usd"] == Decimal("0.5")


@pytest.mark.parametrize(("value", "text"), [(None, ""), (1.5, "1.5"), ({"a": 1}, '{"a": 1}'), ([1], "[1]")])
def test_cells(value: object, text: str) -> None:
    """Nothing is an empty cell, lists and mappings are JSON."""
    assert cell(value) == text


def test_no_rows_are_an_empty_list() -> None:
    """JSON of nothing is a list with nothing in it."""
    assert encoded(table_of([]), "json") == b"[]\n"


def test_what_is_no_number_is_null() -> None:
    """Infinities and NaN have no place in JSON."""
    assert jsonable({"x": float("inf"), "y": float("nan"), "z": Decimal("1.5")}) == {"x": None, "y": None, "z": 1.5}
