from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tierwise.errors import StoreError
from tierwise.ingest.jobs import Job, running
from tierwise.store.duckdb import DuckDBStore


def test_a_job_is_done_at_once_and_again(store: DuckDBStore) -> None:
    """It runs with the store, on a thread that is gone when the block ends."""
    done = threading.Semaphore(0)
    seen: list[DuckDBStore] = []

    def look(given: DuckDBStore) -> None:
        seen.append(given)
        done.release()

    with running([Job("look", 0.01, look)], store):
        assert all(done.acquire(timeout=10) for _ in range(3))
    count = len(seen)

    assert seen[:3] == [store] * 3
    assert not any(thread.name == "tierwise-job" for thread in threading.enumerate())
    assert len(seen) == count


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a bug")])
def test_a_job_that_fails_is_tried_again(
    store: DuckDBStore, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """An error is logged with what could not be done, and ends neither the job nor its neighbours."""
    tried, neighbour = threading.Semaphore(0), threading.Semaphore(0)

    def fail(_: DuckDBStore) -> None:
        tried.release()
        raise error

    with running([Job("look", 0.01, fail), Job("count", 0.01, lambda _: neighbour.release())], store):
        assert all(tried.acquire(timeout=10) and neighbour.acquire(timeout=10) for _ in range(2))

    assert "the collector could not look, and tries again" in caplog.text


def test_a_collector_does_its_jobs(tmp_path: Path) -> None:
    """`serve()` runs the jobs it is given, and ends them before it lets go of the store."""
    from tierwise.ingest.serve import Collector, serve
    from tierwise.settings import Settings

    counted: list[int] = []
    running_one: list[Collector] = []
    looked = threading.Event()

    def count(store: DuckDBStore) -> None:
        counted.append(len(store.policy_history()))
        looked.set()

    thread = threading.Thread(
        target=serve,
        args=(Settings(db=f"duckdb:{tmp_path / 'calls.duckdb'}"),),
        kwargs={"port": 0, "grpc_port": 0, "jobs": [Job("count", 60.0, count)], "ready": running_one.append},
    )
    thread.start()
    assert looked.wait(20)
    while not running_one:
        thread.join(0.01)
    running_one[0].end()
    thread.join(20)

    assert not thread.is_alive()
    assert counted == [0]
