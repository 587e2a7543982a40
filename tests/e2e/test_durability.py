"""What the collector acknowledged is stored, whole and once, whatever happens to it or to its disk.

`DURABILITY_ROUNDS=100 pytest tests/e2e/test_durability.py -s` kills it a hundred times and prints what it counted.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from running import SPANS_IN_A_BATCH, TLS, Process, batch, collector, json_batch

from tierwise.store import open_store

ROUNDS = int(os.environ.get("DURABILITY_ROUNDS", "8"))
RESENT = 0.05
CLIENTS = ("http", "json", "grpc", "http")

EVERY_THIRD_SYNC_FAILS = """
import errno, itertools, os
genuine, count = os.fdatasync, itertools.count(1)
def failing(descriptor):
    if next(count) % 3 == 0:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return genuine(descriptor)
os.fdatasync = failing
"""
THE_CLOCK_JUMPS = """
import itertools, time
genuine_s, genuine_ns, step = time.time, time.time_ns, itertools.count()
def jump():
    return (0, 86_400, -86_400, 3_600, -400_000_000)[next(step) % 5]
time.time = lambda: genuine_s() + jump()
time.time_ns = lambda: genuine_ns() + jump() * 10**9
"""
NOTHING_LANDS = """
from tierwise.ingest import lander
lander.Lander._run = lambda self: __import__("time").sleep(60)
"""


class Load:
    """Clients that send until the collector is gone, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.acknowledged: list[int] = []
        self.resent = 0
        self._unanswered: list[int] = []
        self._next = 1
        self._lock = threading.Lock()

    def on(self, process: Process, seconds: float, protocols: tuple[str, ...], end: signal.Signals) -> None:
        """Send for so long, by one client a protocol, and end the collector in the midst of it."""
        over = threading.Event()
        clients = [threading.Thread(target=self._send, args=(process, name, over)) for name in protocols]
        for client in clients:
            client.start()
        time.sleep(seconds)
        process.end(end)
        over.set()
        for client in clients:
            client.join()

    def _send(self, process: Process, protocol: str, over: threading.Event) -> None:
        with process.sender("http" if protocol == "json" else protocol) as deliver:
            while not over.is_set():
                with self._lock:
                    # What got no answer is sent again, as exporters do: it may have been stored all the same. So is
                    # some of what was answered, for the answer may have been lost on its way.
                    again = self.rng.random() < RESENT and bool(self.acknowledged)
                    self.resent += again
                    first = self.rng.choice(self.acknowledged) if again else self._take()
                answered = deliver(json_batch(first) if protocol == "json" else batch(first))
                with self._lock:
                    if not again:
                        (self.acknowledged if answered else self._unanswered).append(first)

    def _take(self) -> int:
        if self._unanswered:
            return self._unanswered.pop()
        self._next += SPANS_IN_A_BATCH
        return self._next - SPANS_IN_A_BATCH


def stored_numbers(path: Path) -> list[int]:
    """The numbers of the calls in the store, in order, after a collector has landed whatever a dead one left."""
    with collector(path) as process:
        assert process.end(signal.SIGTERM) == 0
    store = open_store(f"duckdb:{path}", read_only=True)
    numbers = sorted(int(span_id, 16) for span_id in store.query("calls")["span_id"].to_pylist())
    store.close()
    return numbers


def promised(batches: list[int]) -> set[int]:
    return {number for first in batches for number in range(first, first + SPANS_IN_A_BATCH)}


def partial_batches(numbers: list[int]) -> list[int]:
    """First numbers of the batches of which only a part is stored."""
    held: dict[int, int] = {}
    for number in numbers:
        first = number - (number - 1) % SPANS_IN_A_BATCH
        held[first] = held.get(first, 0) + 1
    return [first for first, count in held.items() if count % SPANS_IN_A_BATCH]


@pytest.mark.timeout(60 + 15 * ROUNDS)
def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Killed round after round under load of three protocols: nothing lost, no batch in part, no call twice."""
    path, load = tmp_path / "calls.duckdb", Load(7)

    for _ in range(ROUNDS):
        with collector(path) as process:
            load.on(process, load.rng.uniform(0.05, 0.6), CLIENTS, signal.SIGKILL)
    numbers = stored_numbers(path)

    lost = promised(load.acknowledged) - set(numbers)
    duplicated = len(numbers) - len(set(numbers))
    sys.stdout.write(
        f"\n{ROUNDS} rounds: {len(load.acknowledged):,} batches acknowledged, {load.resent:,} of them sent again; "
        f"spans lost {len(lost)}, duplicated {duplicated}, batches in part {len(partial_batches(numbers))}\n"
    )
    assert len(load.acknowledged) > 10 * ROUNDS
    assert (lost, duplicated, partial_batches(numbers)) == (set(), 0, [])


def test_killed_behind_tls_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """The same for gRPC over TLS, once."""
    path, load = tmp_path / "calls.duckdb", Load(8)

    with collector(path, **TLS) as process:
        load.on(process, 0.6, ("grpc over TLS",) * 3, signal.SIGKILL)
    numbers = stored_numbers(path)

    assert load.acknowledged
    assert promised(load.acknowledged) <= set(numbers)
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("trouble", [EVERY_THIRD_SYNC_FAILS, THE_CLOCK_JUMPS], ids=["sync fails", "clock jumps"])
def test_trouble_underneath_costs_nothing_acknowledged(tmp_path: Path, trouble: str) -> None:
    """With a disk that fails every third sync, or a clock that jumps by years, promises hold through a kill."""
    path, load = tmp_path / "calls.duckdb", Load(9)

    for end in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        with collector(path, first=trouble) as process:
            load.on(process, 0.5, CLIENTS, end)
    numbers = stored_numbers(path)

    assert load.acknowledged
    assert promised(load.acknowledged) <= set(numbers)
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_damaged_segment_is_reported_and_the_rest_is_kept(tmp_path: Path, damage: str) -> None:
    """A segment cut short or with one bit flipped costs what it held from there on, no more, and that is said."""
    path = tmp_path / "calls.duckdb"
    with collector(path) as process, process.sender("http") as deliver:
        assert all(deliver(batch(first)) for first in range(1, 201, SPANS_IN_A_BATCH))
        assert process.end(signal.SIGTERM) == 0
    with collector(path, first=NOTHING_LANDS) as process, process.sender("http") as deliver:
        assert all(deliver(batch(first)) for first in range(1001, 1401, SPANS_IN_A_BATCH))
        process.end(signal.SIGKILL)
    segment = max(Path(f"{path}.ingest").glob("*.segment"), key=lambda found: found.stat().st_size)
    content = bytearray(segment.read_bytes())
    if damage == "cut":
        del content[len(content) * 3 // 4 :]
    else:
        content[len(content) * 3 // 4] ^= 0x10
    segment.write_bytes(content)

    with collector(path) as process:
        said = process.said.read_text()
    numbers = stored_numbers(path)

    kept = promised(list(range(1, 201, SPANS_IN_A_BATCH)))
    assert kept < set(numbers) < kept | promised(list(range(1001, 1401, SPANS_IN_A_BATCH)))
    assert partial_batches(numbers) == []
    if damage == "bit":
        assert "damaged" in said
        assert list((Path(f"{path}.ingest") / "damaged").iterdir())
