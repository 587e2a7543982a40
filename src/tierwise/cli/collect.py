"""Receive OTLP from applications and keep calls in the embedded store.

The collector owns the DuckDB file while it runs; the command line and the dashboard read through it.
"""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser, Namespace

from tierwise.cli.options import add_collector, add_store, resolved

EXAMPLES = """\
  tierwise collect
  tierwise collect --port 4319 --db duckdb:/var/lib/tierwise/calls.duckdb
  TIERWISE_TOKEN=secret tierwise collect --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
"""


def configure(parser: ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add_collector(parser)


def run(options: Namespace) -> int:
    from tierwise.alerts.watch import alert_watch
    from tierwise.ingest.serve import Collector, serve
    from tierwise.recommend.watch import rule_watch

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    settings = resolved(options)

    def ready(collector: Collector) -> None:
        grpc = f"gRPC at {collector.grpc_address}" if collector.grpc_address else "no gRPC"
        print(f"collector at {collector.url}, {grpc}, store {settings.db}", flush=True)

    serve(
        settings,
        host=options.host,
        port=options.port,
        grpc_port=options.grpc_port,
        jobs=[rule_watch(), alert_watch(settings.alert_webhook)],
        ready=ready,
    )
    return 0
