"""Receive OTLP from applications and keep calls in the embedded store.

The collector owns the DuckDB file while it runs; the command line and the dashboard read through it.
"""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser, Namespace

from tierwise.cli.options import add_store, port, resolved

EXAMPLES = """\
  tierwise collect
  tierwise collect --port 4319 --db duckdb:/var/lib/tierwise/calls.duckdb
  TIERWISE_TOKEN=secret tierwise collect --host 0.0.0.0
"""


def configure(parser: ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=port, default=4318, help="port to listen on, 0 for any (default: 4318)")


def run(options: Namespace) -> int:
    from tierwise.ingest.serve import serve

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    settings = resolved(options)

    def ready(url: str) -> None:
        print(f"collector at {url}, store {settings.db}", flush=True)

    serve(settings, host=options.host, port=options.port, ready=ready)
    return 0
