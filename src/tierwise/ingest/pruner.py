"""The collector's hourly look at what its store need not keep any longer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from tierwise.errors import TierwiseError
from tierwise.store import retention
from tierwise.store.duckdb import DuckDBStore

log = logging.getLogger(__name__)

_EVERY_S: Final = 3600.0


@contextmanager
def pruning(store: DuckDBStore, *, days: float | None, size: int | None) -> Generator[None]:
    """Prune `store` at once and every hour, on a thread, for as long as the block lasts.

    Args:
        days, size: as for `retention.prune()`; without either nothing is done.
    """
    if days is None and size is None:
        yield
        return
    stopping = threading.Event()

    def run() -> None:
        while True:
            _prune(store, days, size, stopping)
            if stopping.wait(_EVERY_S):
                return

    thread = threading.Thread(target=run, name="tierwise-pruner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _prune(store: DuckDBStore, days: float | None, size: int | None, stopping: threading.Event) -> None:
    started = time.monotonic()
    try:
        removed = retention.prune(store, days=days, size=size, now_ns=time.time_ns(), pause=stopping.wait)
    except TierwiseError as error:
        log.error("what is past its retention could not be deleted, and is tried again in an hour: %s", error)
        return
    if removed:
        log.info(
            "deleted %d calls, %d spans and %d evaluations past their retention in %.1f s",
            removed.calls,
            removed.spans,
            removed.evaluations,
            time.monotonic() - started,
        )
