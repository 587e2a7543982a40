"""The whole loop on bundled real data: observe, recommend, simulate, apply, enforce, verify.

Real prompts go through the real OpenAI and Anthropic clients to a provider on loopback that answers with what several
models really wrote. Needs no key and no network. Afterwards collector and dashboard stay up until Ctrl-C.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

from tierwise.cli import dashboard
from tierwise.cli.options import add_json, add_seed, port
from tierwise.cli.processes import require_free_port, stopped_at_the_end
from tierwise.cli.terminal import print_json
from tierwise.errors import MissingExtra
from tierwise.settings import Settings, data_home

EXAMPLES = """\
  tierwise demo                   run it, then keep collector and dashboard up
  tierwise demo --exit            stop after the summary
  tierwise demo --json --exit     the summary as JSON
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--exit", action="store_true", help="stop after the summary")
    parser.add_argument(
        "--db", type=Path, metavar="PATH", help="DuckDB file to make (default: demo.duckdb in the data folder)"
    )
    parser.add_argument("--port", type=port, default=0, help="port of the collector (default: any free one)")
    parser.add_argument(
        "--dashboard-port",
        type=port,
        default=dashboard.DEFAULT_PORT,
        help=f"port of the dashboard (default: {dashboard.DEFAULT_PORT})",
    )
    add_seed(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    for package in ("anthropic", "duckdb", "openai", "streamlit"):
        if find_spec(package) is None:
            raise MissingExtra("the demo", "demo")
    if not options.exit:
        require_free_port(dashboard.LOOPBACK, options.dashboard_port, "dashboard", "--dashboard-port")
    from tierwise.cli.demo_summary import print_summary
    from tierwise.demo.loop import Options, demonstrated

    progress = sys.stderr if options.json else sys.stdout

    def report(message: str) -> None:
        print(message, file=progress, flush=True)

    demo = Options(
        db_path=options.db or data_home() / "demo.duckdb",
        replace=options.db is None,
        port=options.port,
        seed=options.seed,
    )
    with demonstrated(demo, report) as (summary, collector):
        if options.json:
            print_json(summary.to_dict())
        else:
            print_summary(summary)
        if options.exit:
            return 0
        page = dashboard.start(Settings(endpoint=collector.url), db=collector.url, port=options.dashboard_port)
        with stopped_at_the_end(page):
            report(
                f"\ncollector  {collector.url}\n"
                f"dashboard  http://{dashboard.LOOPBACK}:{options.dashboard_port}\n\nCtrl-C stops both."
            )
            return page.wait()
