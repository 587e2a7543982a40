"""Run the collector and the dashboard on the embedded store until Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from argparse import ArgumentParser, Namespace

from tierwise.cli import dashboard
from tierwise.cli.options import add_collector, add_store, port, resolved
from tierwise.cli.processes import require_free_port, stopped_at_the_end
from tierwise.errors import CollectorUnavailable, SettingsError

EXAMPLES = """\
  tierwise up
  tierwise up --port 4319 --dashboard-port 8600 --db duckdb:./calls.duckdb

  then, in your application:
  import tierwise.auto
"""

_START_S = 60.0


def configure(parser: ArgumentParser) -> None:
    add_store(parser)
    add_collector(parser)
    parser.add_argument(
        "--dashboard-port",
        type=port,
        default=dashboard.DEFAULT_PORT,
        help=f"port of the dashboard (default: {dashboard.DEFAULT_PORT})",
    )


def run(options: Namespace) -> int:
    settings = resolved(options)
    if not settings.db.startswith("duckdb:"):
        raise SettingsError(
            f"the store is {settings.db!r}; `tierwise up` needs duckdb:PATH, `tierwise dashboard` does not"
        )
    dashboard.app_path()
    require_free_port(dashboard.LOOPBACK, options.port, "collector", "--port")
    require_free_port(dashboard.LOOPBACK, options.dashboard_port, "dashboard", "--dashboard-port")
    url = f"{'http' if settings.tls_cert is None else 'https'}://{dashboard.LOOPBACK}:{options.port}"
    command = [sys.executable, "-m", "tierwise.cli", "collect", "--port", str(options.port), "--db", settings.db]
    for option in ("grpc_port", "tls_cert", "tls_key"):
        if getattr(options, option) is not None:
            command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    collector = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    with stopped_at_the_end(collector):
        _wait_until_it_runs(settings.db.partition(":")[2], url, collector)
        # With TLS by way of the file: the note beside it says which certificate to trust.
        page = dashboard.start(
            settings, db=url if settings.tls_cert is None else settings.db, port=options.dashboard_port
        )
        with stopped_at_the_end(page):
            print(f"collector  {url}  (OTLP; store {settings.db})")
            print(f"dashboard  http://{dashboard.LOOPBACK}:{options.dashboard_port}")
            print("Ctrl-C stops both.", flush=True)
            while collector.poll() is None and page.poll() is None:
                time.sleep(0.2)
    ended = "collector" if collector.returncode else "dashboard"
    raise CollectorUnavailable(f"the {ended} ended by itself; what it said is above")


def _wait_until_it_runs(db_path: str, url: str, collector: subprocess.Popen[bytes]) -> None:
    from tierwise.store.sidecar import collector_of

    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if collector.poll() is not None:
            raise CollectorUnavailable("the collector did not start; why is said above")
        if collector_of(db_path) is not None:
            return
        time.sleep(0.1)
    raise CollectorUnavailable(f"the collector at {url} does not answer after {_START_S:.0f} s")


def answers(url: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a collector answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=timeout_s) as response:
            return json.load(response).get("status") == "ok"
    except (OSError, ValueError, AttributeError):
        return False
