"""The figures of a week, or of any period, as one HTML page that needs nothing else, or as JSON."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tierwise.cli.options import add_days, add_json, add_seed, add_store, moment, opened_store
from tierwise.cli.terminal import print_json, progress
from tierwise.errors import TierwiseError

EXAMPLES = """\
  tierwise report                                    # the last 7 days, to tierwise-report.html
  tierwise report --days 30 --tenant acme -o acme.html
  tierwise report --json | jq .overview_totals.spend_usd
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="default: tierwise-report.html; - is standard output")
    parser.add_argument("--until", type=moment, metavar="DATE", help="end of the period (default: now)")
    parser.add_argument("--since", type=moment, metavar="DATE", help="its beginning, in place of --days")
    for name in ("service", "tenant", "model", "task-type", "use-case"):
        parser.add_argument(
            f"--{name}", action="append", metavar="NAME", help=f"only this {name.replace('-', ' ')}; may be repeated"
        )
    add_days(parser, 7.0)
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    from tierwise.reports.figures import FILTERS, read_figures
    from tierwise.reports.page import page

    until = options.until or datetime.now(UTC)
    since = options.since or until - timedelta(days=options.days)
    filters = {name: tuple(getattr(options, name)) for name in FILTERS if getattr(options, name)}
    with opened_store(options) as store, progress("Adding up…"):
        figures = read_figures(store, since=since, until=until, filters=filters, seed=options.seed)
    if options.json:
        print_json(figures.to_dict())
        return 0
    text = page(figures)
    if options.output == "-":
        sys.stdout.write(text)
        return 0
    path = Path(options.output or "tierwise-report.html")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be written: {error.strerror or error}") from error
    print(f"report written to {path}", file=sys.stderr)
    return 0
