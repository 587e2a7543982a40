"""Write calls, recommendations or policy versions to a file or to standard output."""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tierwise.cli.options import add_days, add_store, opened_store, since
from tierwise.cli.terminal import jsonable, progress
from tierwise.errors import SettingsError, TierwiseError

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.store import Store

EXAMPLES = """\
  tierwise export calls --days 7 -o calls.parquet
  tierwise export calls --days 1 | head
  tierwise export recommendations --format json
  tierwise export policies -o policies.csv
"""

FORMATS = ("csv", "json", "jsonl", "parquet")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("calls", "recommendations", "policies"))
    parser.add_argument("--format", choices=FORMATS, help="default: what the file's name ends in, else csv")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    add_days(parser)
    add_store(parser)


def run(options: Namespace) -> int:
    ending = Path(options.output).suffix.removeprefix(".") if options.output else ""
    kind: str = options.format or (ending if ending in FORMATS else "csv")
    if kind == "parquet" and not options.output:
        raise SettingsError("Parquet is not text; name a file with -o FILE")
    with opened_store(options) as store, progress(f"Reading {options.what}…"):
        table = _TABLES[options.what](store, options.days)
    if kind == "parquet":
        from pyarrow import parquet

        _written(options.output, lambda path: parquet.write_table(table, path))
    else:
        with _text_output(options.output) as out:
            _WRITERS[kind](table, out)
    if options.output:
        print(f"{len(table):,} {options.what} written to {options.output}", file=sys.stderr)
    return 0


def _calls(store: Store, days: float) -> pa.Table:
    return store.query("calls", since=since(days))


def _recommendations(store: Store, days: float) -> pa.Table:
    return _table(
        [
            {
                "id": item["id"],
                "state": item["state"],
                **{name: item["scope"][name] for name in ("use_case_id", "use_case_name", "task_type", "provider")},
                "request_model": item["scope"]["request_model"],
                "target": item["target"],
                "monthly_calls": item["monthly_calls"],
                "monthly_spend_usd": None if item["monthly_spend_usd"] is None else float(item["monthly_spend_usd"]),
                **_figure("monthly_saving_usd", item["monthly_saving"]),
                **_figure("retention", item["certificate"]),
                "pairs": item["pair_count"],
                "evaluation": item["evaluation"],
                "evaluation_source": item["evaluation_source"],
                "missing": "; ".join(item["missing"]),
                "as_of": item["as_of"],
                "price_version": item["price_version"],
                "updated_at": item["updated_at"].isoformat(),
            }
            for item in store.recommendations()
        ]
    )


def _figure(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    """Value and bounds of a stored estimate or certificate; None each when there is not enough data."""
    return {f"{name}{ending}": figure.get(key) for ending, key in (("", "value"), ("_low", "low"), ("_high", "high"))}


def _policies(store: Store, days: float) -> pa.Table:
    return _table(
        [
            {
                "version": record.version,
                "created_at": record.created_at.isoformat(),
                "who": record.who,
                "action": record.action,
                "why": record.why,
                "content_hash": record.content_hash,
                "text": record.text,
            }
            for record in store.policy_history()
        ]
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows))


_TABLES: Mapping[str, Callable[[Store, float], pa.Table]] = {
    "calls": _calls,
    "recommendations": _recommendations,
    "policies": _policies,
}


def _rows(table: pa.Table) -> Generator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _write_csv(table: pa.Table, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in _rows(table):
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A spreadsheet would run a cell that begins like this as a formula.
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return json.dumps(jsonable(value), ensure_ascii=False) if isinstance(value, list) else str(value)


def _write_json(table: pa.Table, out: TextIO) -> None:
    separator = "["
    for row in _rows(table):
        print(f"{separator}\n{json.dumps(jsonable(row), ensure_ascii=False)}", end="", file=out)
        separator = ","
    print("\n]" if separator == "," else "[]", file=out)


def _write_jsonl(table: pa.Table, out: TextIO) -> None:
    for row in _rows(table):
        print(json.dumps(jsonable(row), ensure_ascii=False), file=out)


_WRITERS: Mapping[str, Callable[[pa.Table, TextIO], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
}


@contextmanager
def _text_output(path: str | None) -> Generator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with _refusals(path), Path(path).open("w", encoding="utf-8", newline="") as out:
        yield out


def _written(path: str, write: Callable[[str], None]) -> None:
    with _refusals(path):
        write(path)


@contextmanager
def _refusals(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be written: {error.strerror or error}") from error
