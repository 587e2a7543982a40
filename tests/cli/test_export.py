from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from tierwise.reports.table_files import cell

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_calls_in_every_format(run: RunCommand, db: str, tmp_path: Path) -> None:
    """The same calls come out as CSV, JSON, JSON lines and Parquet, by the name of the file."""
    for name in ("calls.csv", "calls.json", "calls.jsonl", "calls.parquet"):
        assert run("export", "calls", "-o", name).code == 0

    rows = parquet.read_table(tmp_path / "calls.parquet")
    from_csv = list(csv.DictReader(io.StringIO((tmp_path / "calls.csv").read_text(encoding="utf-8"))))
    from_json = json.loads((tmp_path / "calls.json").read_text())
    from_lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert len(rows) == len(from_csv) == len(from_json) == len(from_lines) > 100
    assert from_json == from_lines
    assert [row["trace_id"] for row in from_csv] == rows["trace_id"].to_pylist()
    assert float(from_csv[0]["cost_usd"]) == pytest.approx(float(rows["cost_usd"][0].as_py()))
    assert json.loads(from_csv[0]["finish_reasons"]) == ["stop"]


def test_standard_output_is_csv(run: RunCommand, db: str) -> None:
    """Without a file the rows go to standard output, as CSV unless asked otherwise."""
    policies = run("export", "policies")
    as_json = run("export", "policies", "--json")

    assert next(csv.DictReader(io.StringIO(policies.out)))["who"] == "ada"
    assert as_json.json[0]["version"] == 1


def test_recommendations(run: RunCommand, db: str) -> None:
    """Recommendations are one flat row each, with saving and retention between their bounds."""
    empty = run("export", "recommendations", "--json")
    run("recommend")

    (row,) = run("export", "recommendations", "--json").json

    assert empty.json == []
    assert row["monthly_saving_usd_low"] < row["monthly_saving_usd"] < row["monthly_saving_usd_high"]
    assert row["retention_low"] <= row["retention"]
    assert row["state"] == "certified"


def test_parquet_needs_a_file(run: RunCommand, db: str) -> None:
    """Parquet on a terminal is refused as wrong usage; a folder that is not there is an error."""
    assert run("export", "calls", "--format", "parquet").code == 2
    for name in ("no/such/folder.parquet", "no/such/folder.csv"):
        found = run("export", "calls", "-o", name)
        assert found.code == 1
        assert "cannot be written" in found.err


def test_cells_are_no_formulas() -> None:
    """Text that a spreadsheet would run is marked as text; numbers stay numbers."""
    assert cell("=1+1") == "'=1+1"
    assert cell("plain") == "plain"
    assert cell(-1.5) == "-1.5"
    assert cell(None) == ""
