"""Write calls, recommendations or policy versions to a file or to standard output, or costs in FOCUS columns."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tierwise.cli.options import add_days, add_store, opened_store, since
from tierwise.cli.terminal import progress
from tierwise.errors import SettingsError, TierwiseError
from tierwise.reports.recommendation_rows import recommendation_rows
from tierwise.reports.table_files import FORMATS, table_of, write_parquet, write_text

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.store import Store

EXAMPLES = """\
  tierwise export calls --days 7 -o calls.parquet
  tierwise export calls --days 1 | head
  tierwise export recommendations --format json
  tierwise export policies -o policies.csv
  tierwise export --format focus --days 31 -o focus.csv     # costs by day, as FinOps tools import them
"""

FOCUS = "focus"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default="calls", choices=("calls", "recommendations", "policies"))
    parser.add_argument(
        "--format",
        choices=(*FORMATS, FOCUS),
        help="default: what the file's name ends in, else csv; focus: costs by day in the columns of FOCUS 1.2, "
        "as CSV or Parquet by the file's name",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    add_days(parser)
    add_store(parser)


def run(options: Namespace) -> int:
    ending = Path(options.output).suffix.removeprefix(".") if options.output else ""
    by_name = ending if ending in FORMATS else "csv"
    focus = options.format == FOCUS
    if focus and options.what != "calls":
        raise SettingsError(
            f"FOCUS has columns for costs, not for {options.what}; leave them out: export --format focus"
        )
    form: str = by_name if focus else options.format or by_name
    if form == "parquet" and not options.output:
        raise SettingsError("Parquet is not text; name a file with -o FILE")
    what = "costs" if focus else options.what
    with opened_store(options) as store, progress(f"Reading {what}…"):
        table = _TABLES[what](store, options.days)
    if form == "parquet":
        with _refusals(options.output):
            write_parquet(table, options.output)
    else:
        with _text_output(options.output) as out:
            write_text(table, form, out)
    if options.output:
        print(f"{len(table):,} {'rows of costs' if focus else what} written to {options.output}", file=sys.stderr)
    return 0


def _policies(store: Store, days: float) -> pa.Table:
    return table_of(
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


_TABLES: Mapping[str, Callable[[Store, float], pa.Table]] = {
    "calls": lambda store, days: store.query("calls", since=since(days)),
    "costs": lambda store, days: store.query("focus_costs", since=since(days)),
    "recommendations": lambda store, days: table_of(recommendation_rows(store.recommendations())),
    "policies": _policies,
}


@contextmanager
def _text_output(path: str | None) -> Generator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with _refusals(path), Path(path).open("w", encoding="utf-8", newline="") as out:
        yield out


@contextmanager
def _refusals(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be written: {error.strerror or error}") from error
