from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.errors import StoreError
from tierwise.ingest import pruner
from tierwise.ingest.pruner import pruning
from tierwise.ingest.serve import running_collector
from tierwise.settings import Settings
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.retention import DAY_NS
from tierwise.store.rows import SpanRecord


def span(days: float) -> SpanRecord:
    start_ns = time.time_ns() - round(days * DAY_NS)
    return SpanRecord(f"{1:032x}", f"{round(days):016x}", start_ns, start_ns, "GET /")


def spans(store: DuckDBStore) -> int:
    return store.sql("SELECT count(*) AS n FROM spans")["n"].to_pylist()[0]


def eventually(check: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + 10
    while not check() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(check())


def test_every_hour(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What is too old goes at once, and what has become so by the next time goes then; both are logged."""
    monkeypatch.setattr(pruner, "_EVERY_S", 0.05)
    store.add_calls([], [span(40), span(20)])
    caplog.set_level("INFO", logger=pruner.__name__)

    with pruning(store, days=30, size=None):
        first = eventually(lambda: spans(store) == 1)
        store.add_calls([], [span(50)])
        second = eventually(lambda: spans(store) == 1)

    assert (first, second) == (True, True)
    assert "deleted 0 calls, " in caplog.text


def test_without_retention_nothing_is_deleted(store: DuckDBStore) -> None:
    """Data is kept for ever unless somebody says otherwise."""
    store.add_calls([], [span(4000)])

    with pruning(store, days=None, size=None):
        time.sleep(0.1)

    assert spans(store) == 1


def test_failure_is_said_and_tried_again(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store in trouble does not end the pruning."""
    monkeypatch.setattr(pruner, "_EVERY_S", 0.05)
    genuine, failures = store.delete_oldest, [StoreError("disk full")]

    def fail_once(before_ns: int, *, limit: int) -> Any:
        if failures:
            raise failures.pop()
        return genuine(before_ns, limit=limit)

    monkeypatch.setattr(store, "delete_oldest", fail_once)
    store.add_calls([], [span(40)])

    with pruning(store, days=30, size=None):
        assert eventually(lambda: spans(store) == 0)

    assert "disk full" in caplog.text


def test_collector_prunes(tmp_path: Path) -> None:
    """A collector does what its settings say."""
    path = tmp_path / "calls.duckdb"
    before = DuckDBStore.open(path)
    before.add_calls([], [span(40), span(20)])
    before.close()

    with running_collector(path, settings=Settings(retention_days=30)) as collector:
        assert eventually(lambda: spans(collector.store) == 1)
