"""What a collector does beside receiving: jobs that look at its store again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tierwise.errors import TierwiseError
from tierwise.store.duckdb import DuckDBStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do with the store at fixed intervals."""

    name: str
    """What it does, to continue "could not": `look after the rules in force`."""
    every_s: float
    run: Callable[[DuckDBStore], None]


@contextmanager
def running(jobs: Sequence[Job], store: DuckDBStore) -> Generator[None]:
    """Do each job at once and then at its interval, on a thread of its own, for as long as the block lasts.

    A job that fails is logged and done again at its next time.
    """
    stopping = threading.Event()

    def repeat(job: Job) -> None:
        while True:
            try:
                job.run(store)
            except TierwiseError as error:
                if not stopping.is_set():
                    log.error("the collector could not %s, and tries again in %.0f s: %s", job.name, job.every_s, error)
            except Exception:  # one bad look must not be the last
                log.exception("the collector could not %s, and tries again in %.0f s", job.name, job.every_s)
            if stopping.wait(job.every_s):
                return

    threads = [threading.Thread(target=repeat, args=(job,), name="tierwise-job", daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
