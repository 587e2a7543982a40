"""Runs a collector: opens the store, accepts, and on the way out lands the rest and lets go of the file."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from tierwise import prices
from tierwise.errors import CollectorUnavailable, MissingExtra, SettingsError, StoreLocked
from tierwise.ingest import tls
from tierwise.ingest.app import create_app
from tierwise.ingest.forward import require_not_self
from tierwise.ingest.guard import require_token_off_loopback
from tierwise.ingest.intake import Intake
from tierwise.ingest.jobs import Job, running
from tierwise.ingest.pruner import pruning
from tierwise.ingest.reception import Reception
from tierwise.settings import Settings
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.sidecar import collector_of, remove_sidecar, write_sidecar

if TYPE_CHECKING:
    from tierwise.ingest.grpc_server import GrpcServer

log = logging.getLogger(__name__)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4318
DEFAULT_GRPC_PORT: Final = 4317
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
    grpc_port: int | None = None,
    jobs: Sequence[Job] = (),
    ready: Callable[[Collector], None] | None = None,
) -> None:
    """Run the collector on `settings.db` until SIGTERM or SIGINT, then land what was acknowledged.

    Args:
        port: of HTTP; 0 lets the system choose.
        grpc_port: of gRPC; 0: no gRPC; None: DEFAULT_GRPC_PORT where it is free and grpcio is installed, else a
            warning and no gRPC.
        jobs: what is done with the store beside, for as long as it runs.
        ready: called once requests are accepted.

    Raises:
        SettingsError: `settings.db` is no DuckDB file, the address would be open to the network without a token, or the
            TLS files are of no use.
        CollectorUnavailable: an address is taken.
        MissingExtra: a gRPC port is asked for, and grpcio is not installed.
        StoreLocked, StoreTooNew: the file cannot be opened.
    """
    kind, _, path = settings.db.partition(":")
    if kind != "duckdb" or not path:
        raise SettingsError(f"TIERWISE_DB is {settings.db!r}; a collector needs duckdb:PATH")
    # Landing makes and drops objects by the hundred thousand; looking for cycles among them finds none.
    gc.set_threshold(100_000, 20, 50)
    with (
        _opened(settings, Path(path), host, port, grpc_port) as collector,
        running(jobs, collector.store),
        _stopping_on_signals(collector),
    ):
        collector.run(ready)


@contextmanager
def running_collector(
    db_path: str | Path, *, port: int = 0, grpc_port: int = 0, settings: Settings | None = None
) -> Generator[Collector]:
    """A collector on a thread of this process, on loopback, for as long as the block lasts.

    Args:
        grpc_port: 0: no gRPC.

    Raises: as `serve()`.
    """
    with _opened(settings or Settings(), Path(db_path), DEFAULT_HOST, port, grpc_port) as collector:
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
            collector.end()
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
    reception: Reception
    settings: Settings
    identity: tls.Identity | None
    grpc_address: str | None
    """`host:port` of OTLP over gRPC; None: there is none."""

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything acknowledged so far can be queried; False when that takes longer."""
        return self.intake.flush(timeout_s)

    def end(self) -> None:
        """Make `run()` return, once requests that are under way are answered."""
        self.intake.drain()
        self.server.should_exit = True

    def run(self, ready: Callable[[Collector], None] | None) -> None:
        """Accept requests until `end()`.

        Raises:
            CollectorUnavailable: somebody took the gRPC address meanwhile.
        """

        async def run() -> None:
            serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
            while not self.server.started and not serving.done():
                await asyncio.sleep(0.005)
            grpc_server: GrpcServer | None = None
            try:
                if self.server.started:
                    grpc_server = await self._start_grpc()
                    write_sidecar(self.db_path, self.url, self.identity and self.identity.certificate_path)
                    if ready is not None:
                        ready(self)
            except BaseException:
                self.server.should_exit = True
                raise
            finally:
                await serving
                if grpc_server is not None:
                    await grpc_server.stop(_GRACE_S)

        asyncio.run(run())

    async def _start_grpc(self) -> GrpcServer | None:
        if self.grpc_address is None:
            return None
        from tierwise.ingest.grpc_server import GrpcServer  # costs a fifth of a second and 20 MB

        return await GrpcServer.start(
            self.reception, self.grpc_address, token=self.settings.token, identity=self.identity
        )


@contextmanager
def _opened(settings: Settings, db_path: Path, host: str, port: int, grpc_port: int | None) -> Generator[Collector]:
    require_token_off_loopback(host, settings.token)
    identity = tls.load(settings.tls_cert, settings.tls_key)
    if (other := collector_of(db_path)) is not None:
        raise StoreLocked(f"{db_path} is held by the collector at {other}: open that address, or stop it first")
    grpc_address = _grpc_address(host, grpc_port)
    listener = _listen(host, port, "--port")
    try:
        own_ports = (listener.getsockname()[1], int(grpc_address.rpartition(":")[2]) if grpc_address else 0)
        require_not_self(settings.forward, own_ports)
        url = _url("http" if identity is None else "https", host, listener.getsockname()[1])
        if settings.prices is not None:
            prices.configure(settings.prices)
        prices.load()
        store = DuckDBStore.open(db_path)
        try:
            intake = Intake(store, Path(f"{db_path}.ingest"), destinations=settings.forward)
            try:
                reception = Reception(intake)
                server = _Server(
                    uvicorn.Config(
                        create_app(
                            store, reception, token=settings.token, policy_key=settings.policy_key, hosts=(host,)
                        ),
                        log_config=None,
                        access_log=False,
                        lifespan="off",
                        server_header=False,
                        timeout_graceful_shutdown=_GRACE_S,
                        timeout_keep_alive=_KEEP_ALIVE_S,
                        ssl_certfile=identity and identity.certificate_path,
                        ssl_keyfile=identity and identity.key_path,
                    )
                )
                with pruning(store, days=settings.retention_days, size=settings.retention_size):
                    yield Collector(
                        url, db_path, store, intake, server, listener, reception, settings, identity, grpc_address
                    )
            finally:
                intake.stop()
                # Before the file is let go, for the next collector on it writes a note of its own.
                remove_sidecar(db_path)
        finally:
            store.close()
    finally:
        listener.close()


def _grpc_address(host: str, port: int | None) -> str | None:
    """Where to listen for gRPC; None: nowhere. Raises as `serve()`."""
    if port == 0:
        return None
    trouble: MissingExtra | CollectorUnavailable | None = None
    if find_spec("grpc") is None:
        trouble = MissingExtra("OTLP over gRPC", "collector")
    else:
        try:
            _listen(host, port or DEFAULT_GRPC_PORT, "--grpc-port").close()
        except CollectorUnavailable as error:
            trouble = error
    if trouble is None:
        name = host.strip("[]") or "0.0.0.0"
        return f"[{name}]:{port or DEFAULT_GRPC_PORT}" if ":" in name else f"{name}:{port or DEFAULT_GRPC_PORT}"
    if port is not None:
        raise trouble
    # Nobody asked for it: who sends over HTTP must not be kept waiting for who might send over gRPC.
    log.warning("no OTLP over gRPC: %s; --grpc-port 0 goes without, and without this warning", trouble)
    return None


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise CollectorUnavailable(
            f"the collector cannot listen on {host}:{port} ({error.strerror}): stop what does, or choose another port "
            f"with {option}"
        ) from error
    return listener


def _url(scheme: str, host: str, port: int) -> str:
    """Where processes on this machine reach the collector."""
    name = DEFAULT_HOST if host in ("", "0.0.0.0", "::") else host.strip("[]")
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


@contextmanager
def _stopping_on_signals(collector: Collector) -> Generator[None]:
    """Let SIGTERM and SIGINT end the collector, so that what comes after it still happens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signal_number: int, frame: object) -> None:
        log.info("stopping on %s", signal.Signals(signal_number).name)
        collector.end()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
