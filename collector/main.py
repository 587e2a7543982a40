"""The collector as a process of its own: settings → store → app → serve."""

from __future__ import annotations

import argparse
import logging

from tierwise import settings
from tierwise.errors import TierwiseError
from tierwise.ingest.serve import DEFAULT_HOST, DEFAULT_PORT, serve

log = logging.getLogger("tierwise.collector")


def main() -> None:
    """Serve until SIGTERM; exit with 2 and one line when that cannot begin."""
    parser = argparse.ArgumentParser(description="Receive OTLP, keep it in DuckDB, answer queries about it.")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (needs TIERWISE_TOKEN off loopback)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 lets the system choose")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(
            settings.load(),
            host=arguments.host,
            port=arguments.port,
            ready=lambda url: log.info("accepting OTLP and queries at %s", url),
        )
    except TierwiseError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
