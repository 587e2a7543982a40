from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.ingest import lander, otlp
from tierwise.ingest.lander import Lander
from tierwise.ingest.metrics import Metrics
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.wal import Body, Durable
from tierwise.store.duckdb import DuckDBStore

Make = Callable[..., Any]


@pytest.fixture
def entry(protobuf_request: Make) -> Callable[..., Durable]:
    """Makes a durable request of a sequence, with one call of that number."""

    def make(sequence: int) -> Durable:
        content = protobuf_request(sequence).SerializeToString()
        body = Body("traces", PROTOBUF, "", content)
        return Durable(sequence, body, otlp.read("traces", content, kind=PROTOBUF, encoding=""))

    return make


@pytest.fixture
def landed() -> list[int]:
    """The sequences that a lander reports."""
    return []


@pytest.fixture
def one(store: DuckDBStore, tmp_path: Path, landed: list[int]) -> Lander:
    """A lander that is not started."""
    return Lander(
        store, dead_letters=tmp_path / "dead", metrics=Metrics(), on_landed=lambda sequence, _: landed.append(sequence)
    )


def test_what_comes_together_lands_together(one: Lander, entry: Make, landed: list[int], store: DuckDBStore) -> None:
    """Requests that wait are landed in one transaction, whose last sequence is reported."""
    for sequence in range(1, 21):
        one.submit(entry(sequence))
    one.start()
    assert one.wait_until_landed(10)

    assert landed == [20]
    assert store.query("calls").num_rows == 20
    one.stop()


def test_transactions_are_bounded(one: Lander, entry: Make, landed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a transaction may hold is landed in several, in sequence."""
    monkeypatch.setattr(lander, "_MAX_TRANSACTION_BYTES", 1)
    for sequence in (1, 2, 3):
        one.submit(entry(sequence))
    one.start()
    one.stop()

    assert landed == [1, 2, 3]


def test_stop_lands_what_waits(one: Lander, entry: Make, landed: list[int]) -> None:
    """Stopping lands everything submitted before, without lingering for more."""
    one.start()
    one.submit(entry(1))
    one.stop()

    assert landed == [1]


def test_landed_sequences_are_not_landed_again(one: Lander, entry: Make, landed: list[int], store: DuckDBStore) -> None:
    """A sequence that is in the store already is passed over."""
    one.land([entry(1), entry(2)])
    one.land([entry(1), entry(2), entry(3)])

    assert landed == [2, 3]
    assert store.query("calls").num_rows == 3


def test_letter_of_an_earlier_crash_is_not_opened(
    one: Lander, entry: Make, landed: list[int], tmp_path: Path, store: DuckDBStore
) -> None:
    """A request that was set aside, whose sequence never landed, is not tried again."""
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / f"{1:020d}.traces.pb").write_bytes(b"")

    one.land([entry(1), entry(2)])

    assert landed == [2]
    assert store.query("calls").num_rows == 1


def test_idle_moment_is_used_for_a_checkpoint(
    one: Lander, entry: Make, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing has come for a while, what landed is moved from the engine's log into the file, once."""
    monkeypatch.setattr(lander, "_IDLE_BEFORE_CHECKPOINT_S", 0.05)
    done = threading.Event()
    checkpoints: list[int] = []

    def checkpoint() -> None:
        checkpoints.append(1)
        done.set()

    monkeypatch.setattr(store, "checkpoint", checkpoint)
    one.start()
    one.submit(entry(1))

    assert done.wait(5)
    one.wait_until_landed(1)
    one.stop()
    assert checkpoints == [1]
