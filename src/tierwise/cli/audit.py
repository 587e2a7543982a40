"""Audit the calls you have logged: task mix, spend by task, model and use case, and what other models would have cost.

Give it logs, and they are read into a store of their own that ends with the command; give it none, and it reports on
the store. Whatever is not measured is said to be so.
"""

from __future__ import annotations

import re
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.cli.importing import add_logs, exit_code, import_logs, print_totals, totals_dict
from tierwise.cli.options import add_json, add_seed, moment, opened_store
from tierwise.cli.terminal import print_json, progress, warn
from tierwise.errors import SettingsError, TierwiseError

if TYPE_CHECKING:
    from tierwise.audit import Audit
    from tierwise.imports.importer import Totals
    from tierwise.store import Store

EXAMPLES = """\
  tierwise audit calls.jsonl
  tierwise audit litellm-spend.csv --html audit.html
  tierwise audit 'exports/*.jsonl.gz' --last 1000        # the newest thousand calls
  tierwise audit calls.jsonl --keep calls.duckdb         # and look around in it afterwards
  tierwise audit --store http://127.0.0.1:4318 --since 30d --json
"""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
_HOURS = {"h": 1.0, "d": 24.0, "w": 168.0}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs, as `tierwise import` takes them")
    parser.add_argument(
        "--store",
        "--db",
        dest="db",
        metavar="URL",
        help="without FILE: duckdb:PATH, or http://HOST:PORT of a collector (default: TIERWISE_DB)",
    )
    parser.add_argument(
        "--since", type=beginning, metavar="WHEN", help="only calls since a date, or of the last 30d, 12h"
    )
    parser.add_argument("--last", type=int, metavar="N", help="only the newest N calls")
    parser.add_argument("--html", metavar="FILE", help="write the report as one page that needs nothing else, too")
    parser.add_argument("--keep", metavar="PATH", help="keep what was read from the logs in this DuckDB file")
    add_logs(parser)
    add_seed(parser)
    add_json(parser)


def beginning(text: str) -> datetime:
    """Argument type: `30d`, `12h`, `2w`, or a date."""
    found = _SPAN.fullmatch(text)
    if found is None:
        try:
            return moment(text)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(f"{text!r} is neither a date such as 2026-11-01 nor a span such as 30d") from error
    return datetime.now(UTC) - timedelta(hours=float(found[1]) * _HOURS[found[2]])


def run(options: Namespace) -> int:
    if options.files and options.db:
        raise SettingsError("name logs or a store, not both; `tierwise import` puts logs into a store")
    if options.keep and not options.files:
        raise SettingsError("--keep is where the calls of logs are kept; name the logs")
    if options.last is not None and options.last < 1:
        raise SettingsError(f"--last is {options.last}; at least one call is needed")
    with _calls(options) as (store, totals):
        if totals is not None and not options.json:
            print_totals(totals)
            print()
        if totals is not None and totals.interrupted:
            return exit_code(totals)
        return _report(store, options, totals)


@contextmanager
def _calls(options: Namespace) -> Generator[tuple[Store, Totals | None]]:
    """The store to report on, and what was imported into it."""
    if not options.files:
        with opened_store(options) as store:
            yield store, None
        return
    with tempfile.TemporaryDirectory(prefix="tierwise-audit-") as folder:
        options.db = f"duckdb:{options.keep or Path(folder) / 'calls.duckdb'}"
        with opened_store(options, writing=True) as store:
            yield store, import_logs(store, options, options.files)


def _report(store: Store, options: Namespace, totals: Totals | None) -> int:
    from tierwise.audit import audit

    with progress("Working out what it comes to…"):
        found = audit(store, now=datetime.now(UTC), since=options.since, last=options.last, seed=options.seed)
    if not found.calls:
        warn("there are no calls to report on" + ("" if options.since is None else f" since {options.since:%Y-%m-%d}"))
        return 1
    if options.html:
        _write(options.html, found, totals)
    if options.json:
        print_json({**found.to_dict(), "import": None if totals is None else totals_dict(totals)})
    else:
        from tierwise.cli.audit_tables import print_audit

        print_audit(found)
    return 0


def _write(path: str, found: Audit, totals: Totals | None) -> None:
    from tierwise.cli.audit_page import page

    try:
        Path(path).write_text(page(found, totals), encoding="utf-8")
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be written: {error.strerror or error}") from error
    print(f"report written to {path}", file=sys.stderr)
