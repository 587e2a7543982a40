"""The collector as a process of its own: settings → store → app → serve."""

from __future__ import annotations

import argparse
import logging

from tierwise import settings
from tierwise.alerts.watch import alert_watch
from tierwise.errors import TierwiseError
from tierwise.ingest.serve import DEFAULT_GRPC_PORT, DEFAULT_HOST, DEFAULT_PORT, Collector, serve
from tierwise.recommend.watch import rule_watch

log = logging.getLogger("tierwise.collector")


def main() -> None:
    """Serve until SIGTERM; exit with 2 and one line when that cannot begin."""
    parser = argparse.ArgumentParser(description="Receive OTLP, keep it in DuckDB, answer queries about it.")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (needs TIERWISE_TOKEN off loopback)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of HTTP; 0 lets the system choose")
    parser.add_argument(
        "--grpc-port", type=int, help=f"of gRPC; 0: none (default: {DEFAULT_GRPC_PORT}, or none where that is taken)"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def ready(collector: Collector) -> None:
        log.info(
            "accepting OTLP and queries at %s, OTLP over gRPC at %s", collector.url, collector.grpc_address or "none"
        )

    try:
        loaded = settings.load()
        serve(
            loaded,
            host=arguments.host,
            port=arguments.port,
            grpc_port=arguments.grpc_port,
            jobs=[rule_watch(), alert_watch(loaded.alert_webhook)],
            ready=ready,
        )
    except TierwiseError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
