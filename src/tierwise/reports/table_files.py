"""A table as CSV, JSON, JSON lines or Parquet: what is exported and downloaded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("csv", "json", "jsonl", "parquet")
MIME_TYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


def jsonable(value: Any) -> Any:
    """`value` in JSON's own types: decimals become numbers, times ISO 8601, infinities and NaN null."""
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in cast("Mapping[object, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if abs(number) < float("inf") else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def write_text(table: pa.Table, form: str, out: TextIO) -> None:
    """Write `table` as csv, json or jsonl."""
    _WRITERS[form](table, out)


def write_parquet(table: pa.Table, path: str | io.BytesIO) -> None:
    """Write `table` as Parquet to a file or a buffer."""
    from pyarrow import parquet

    parquet.write_table(table, path)


def encoded(table: pa.Table, form: str) -> bytes:
    """`table` in one of FORMATS, as a download hands it over."""
    if form == "parquet":
        buffer = io.BytesIO()
        write_parquet(table, buffer)
        return buffer.getvalue()
    text = io.StringIO()
    write_text(table, form, text)
    return text.getvalue().encode()


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table; the first row's keys are its columns."""
    import pyarrow as pa

    return pa.Table.from_pylist([dict(row) for row in rows])


def _rows(table: pa.Table) -> Generator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _write_csv(table: pa.Table, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in _rows(table):
        writer.writerow([cell(value) for value in row.values()])


def cell(value: Any) -> str:
    """A value as a cell of CSV; None is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        # A spreadsheet would run a cell that begins like this as a formula.
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return json.dumps(jsonable(value), ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _write_json(table: pa.Table, out: TextIO) -> None:
    separator = "["
    for row in _rows(table):
        out.write(f"{separator}\n{json.dumps(jsonable(row), ensure_ascii=False)}")
        separator = ","
    out.write("\n]\n" if separator == "," else "[]\n")


def _write_jsonl(table: pa.Table, out: TextIO) -> None:
    out.writelines(f"{json.dumps(jsonable(row), ensure_ascii=False)}\n" for row in _rows(table))


_WRITERS: Mapping[str, Callable[[pa.Table, TextIO], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
}
