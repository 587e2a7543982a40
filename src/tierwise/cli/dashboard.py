"""Show spend, use cases, recommendations, simulation, policy and verification in the browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

import tierwise
from tierwise.cli.options import add_store, port, resolved
from tierwise.cli.processes import require_free_port, stopped_at_the_end
from tierwise.cli.terminal import warn
from tierwise.errors import MissingExtra, TierwiseError
from tierwise.settings import Settings

EXAMPLES = """\
  tierwise dashboard
  tierwise dashboard --db http://127.0.0.1:4318 --port 8600
"""

DEFAULT_PORT = 8501
LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset({LOOPBACK, "localhost", "::1"})


def configure(parser: ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on (default: {LOOPBACK})")
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, help=f"port to listen on (default: {DEFAULT_PORT})")


def run(options: Namespace) -> int:
    settings = resolved(options)
    with stopped_at_the_end(start(settings, db=settings.db, host=options.host, port=options.port)) as process:
        print(f"dashboard at http://{options.host}:{options.port}, store {settings.db}", flush=True)
        if options.host not in LOOPBACK_NAMES:
            warn("whoever reaches the dashboard may look at everything; sign-in and TIERWISE_ROLES say who may do more")
        return process.wait()


def start(settings: Settings, *, db: str, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> subprocess.Popen[bytes]:
    """Start the dashboard as a process of its own.

    Args:
        db: the store it reads.

    Raises:
        MissingExtra: Streamlit is not installed.
        TierwiseError: the port is taken, or the dashboard's files are not there.
    """
    if find_spec("streamlit") is None:
        raise MissingExtra("the dashboard", "dashboard")
    app = app_path()
    require_free_port(host, port, "dashboard", "--dashboard-port or --port")
    environment = {**os.environ, "TIERWISE_DB": db, "TIERWISE_ENDPOINT": settings.endpoint}
    if host not in LOOPBACK_NAMES:
        # It answers only to names it knows, so that a web page elsewhere cannot reach it under one of its own.
        names = f"{host} {socket.gethostname()} 127.0.0.1 localhost"
        environment.setdefault("STREAMLIT_SERVER_ALLOWED_HOSTS", names)
    command = [sys.executable, "-m", "streamlit", "run", str(app)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--server.address", host, "--server.port", str(port)]
    # A session of its own: Ctrl-C reaches this process, which then stops its parts in order.
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def app_path() -> Path:
    """The Streamlit app: inside the wheel, or beside `src` in a clone.

    Raises:
        TierwiseError: it is in neither place.
    """
    package = Path(tierwise.__file__).parent
    for path in (package / "_dashboards" / "app.py", package.parents[1] / "dashboards" / "app.py"):
        if path.is_file():
            return path
    raise TierwiseError("the dashboard's files are not part of this installation: pip install 'tierwise[dashboard]'")
