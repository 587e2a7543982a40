"""Runs a collector: opens the store, accepts, and on the way out lands the rest and lets go of the file."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from tierwise import prices
from tierwise.errors import CollectorUnavailable, SettingsError, StoreLocked
from tierwise.ingest.app import create_app
from tierwise.ingest.guard import require_token_off_loopback
from tierwise.ingest.intake import Intake
from tierwise.settings import Settings
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.sidecar import collector_of, remove_sidecar, write_sidecar

log = logging.getLogger(__name__)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4318
_GRACE_S: Final = 5
"""How long requests that are under way may take to end when the collector stops."""
_KEEP_ALIVE_S: Final = 75
"""Longer than exporters rest between two batches, so that none sends on a connection that is being closed."""
_START_S: Final = 60.0


def serve(
    settings: Settings,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run the collector on `settings.db` until SIGTERM or SIGINT, then land what was acknowledged.

    Args:
        port: 0 lets the system choose.
        ready: called with the collector's URL once it accepts requests.

    Raises:
        SettingsError: `settings.db` is no DuckDB file, or the address would be open to the network without a token.
        CollectorUnavailable: the address is taken.
        StoreLocked, StoreTooNew: the file cannot be opened.
    """
    kind, _, path = settings.db.partition(":")
    if kind != "duckdb" or not path:
        raise SettingsError(f"TIERWISE_DB is {settings.db!r}; a collector needs duckdb:PATH")
    # Landing makes and drops objects by the hundred thousand; looking for cycles among them finds none.
    gc.set_threshold(100_000, 20, 50)
    with _opened(settings, Path(path), host, port) as collector, _stopping_on_signals(collector.server):
        collector.run(ready)


@contextmanager
def running_collector(db_path: str | Path, *, port: int = 0, settings: Settings | None = None) -> Generator[Collector]:
    """A collector on a thread of this process, on loopback, for as long as the block lasts.

    Raises: as `serve()`.
    """
    with _opened(settings or Settings(), Path(db_path), DEFAULT_HOST, port) as collector:
        started = threading.Event()
        thread = threading.Thread(
            target=collector.run, args=(lambda _: started.set(),), name="tierwise-collector", daemon=True
        )
        thread.start()
        try:
            if not started.wait(_START_S):
                raise CollectorUnavailable(f"the collector at {collector.url} does not start")
            yield collector
        finally:
            collector.server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: it raises a signal again when it ends, before anything could be landed."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to `serve()`."""
        yield


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector that is open; `running_collector()` runs it."""

    url: str
    db_path: Path
    store: DuckDBStore
    """For use in this process; others open `url`."""
    intake: Intake
    server: _Server
    listener: socket.socket

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything acknowledged so far can be queried; False when that takes longer."""
        return self.intake.flush(timeout_s)

    def run(self, ready: Callable[[str], None] | None) -> None:
        """Accept requests until the server is told to exit."""

        async def run() -> None:
            serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
            while not self.server.started and not serving.done():
                await asyncio.sleep(0.005)
            if self.server.started:
                write_sidecar(self.db_path, self.url)
                if ready is not None:
                    ready(self.url)
            await serving

        asyncio.run(run())


@contextmanager
def _opened(settings: Settings, db_path: Path, host: str, port: int) -> Generator[Collector]:
    require_token_off_loopback(host, settings.token)
    if (other := collector_of(db_path)) is not None:
        raise StoreLocked(f"{db_path} is held by the collector at {other}: open that address, or stop it first")
    listener = _listen(host, port)
    try:
        url = _url(host, listener.getsockname()[1])
        if settings.prices is not None:
            prices.configure(settings.prices)
        prices.load()
        store = DuckDBStore.open(db_path)
        try:
            intake = Intake(store, Path(f"{db_path}.ingest"))
            try:
                app = create_app(store, intake, token=settings.token, hosts=(host,))
                config = uvicorn.Config(
                    app,
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    server_header=False,
                    timeout_graceful_shutdown=_GRACE_S,
                    timeout_keep_alive=_KEEP_ALIVE_S,
                )
                yield Collector(url, db_path, store, intake, _Server(config), listener)
            finally:
                intake.stop()
                # Before the file is let go, for the next collector on it writes a note of its own.
                remove_sidecar(db_path)
        finally:
            store.close()
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise CollectorUnavailable(
            f"the collector cannot listen on {host}:{port} ({error.strerror}): stop what does, or choose another port"
        ) from error
    return listener


def _url(host: str, port: int) -> str:
    """Where processes on this machine reach the collector."""
    name = DEFAULT_HOST if host in ("", "0.0.0.0", "::") else host.strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


@contextmanager
def _stopping_on_signals(server: _Server) -> Generator[None]:
    """Let SIGTERM and SIGINT end the server, so that what comes after it still happens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signal_number: int, frame: object) -> None:
        log.info("stopping on %s", signal.Signals(signal_number).name)
        server.should_exit = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
