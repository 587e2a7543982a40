from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tierwise.destinations import Destination
from tierwise.errors import SettingsError
from tierwise.ingest import forward
from tierwise.ingest.forward import cursor_path, require_not_self
from tierwise.ingest.intake import Intake
from tierwise.ingest.otlp import JSON, PROTOBUF
from tierwise.ingest.serve import running_collector
from tierwise.ingest.wal import Body, segment_paths
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.store.duckdb import DuckDBStore

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second attempts come soon."""
    monkeypatch.setattr(forward, "_FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(forward, "_LONGEST_WAIT_S", 0.05)


@pytest.fixture
def batch(protobuf_request: Make) -> Callable[..., Body]:
    """Makes the body of a trace request with the calls of the numbers given."""
    return lambda *numbers, **options: Body(
        "traces", PROTOBUF, "", protobuf_request(*numbers, **options).SerializeToString()
    )


@contextmanager
def forwarding(store: DuckDBStore, folder: Path, *destinations: Destination) -> Generator[Intake]:
    intake = Intake(store, folder, destinations=destinations)
    try:
        yield intake
    finally:
        intake.stop()


def eventually(check: Callable[[], Any], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def contents(fake: Any) -> list[bytes]:
    return [content for _, _, content in fake.requests]


def series(intake: Intake, name: str) -> dict[str, float]:
    lines = (line for line in intake.metrics.render().splitlines() if line.startswith(f"{name}{{"))
    return {line[line.index("{") + 1 : line.rindex("}")]: float(line.rpartition(" ")[2]) for line in lines}


class TestForwarding:
    def test_everything_accepted_goes_out_unchanged(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make, make_logs: Make, as_bytes: Make
    ) -> None:
        """Traces and logs reach the destination in the order they were acknowledged, and land all the same."""
        logs = Body("logs", JSON, "", as_bytes(make_logs({"gen_ai.evaluation.name": "exact"})))
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            for body in (batch(1), batch(2, 3), logs):
                intake.accept(body)

            assert eventually(lambda: len(fake_destination.requests) == 3)
            assert intake.flush()
        assert contents(fake_destination)[:2] == [batch(1).content, batch(2, 3).content]
        assert [path for path, _, _ in fake_destination.requests] == ["/v1/traces", "/v1/traces", "/v1/logs"]
        assert store.sql("SELECT count(*) AS n FROM llm_calls")["n"].to_pylist() == [3]
        assert segment_paths(tmp_path) == []

    def test_signals_that_are_not_wanted_stay(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make, make_logs: Make, as_bytes: Make
    ) -> None:
        """A destination for traces alone gets no logs, and they do not hold its segments."""
        with forwarding(store, tmp_path, Destination(fake_destination.url, signals=("traces",))) as intake:
            intake.accept(Body("logs", JSON, "", as_bytes(make_logs({"gen_ai.evaluation.name": "exact"}))))
            intake.accept(batch(1))

            assert eventually(lambda: fake_destination.requests)
        assert [path for path, _, _ in fake_destination.requests] == ["/v1/traces"]
        assert segment_paths(tmp_path) == []

    def test_segment_stays_until_the_last_destination_has_it(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make
    ) -> None:
        """What has landed is kept over a restart for a destination that is down, and goes when that has it."""
        up, down = Destination(fake_destination.url), Destination("http://127.0.0.1:9")
        with forwarding(store, tmp_path, up, down) as intake:
            intake.accept(batch(1))
            assert intake.flush()
            assert eventually(lambda: fake_destination.requests)
            behind = series(intake, "tierwise_forward_backlog_bytes")
        kept = len(segment_paths(tmp_path))

        with forwarding(store, tmp_path, up):
            left = len(segment_paths(tmp_path))

        assert behind[f'destination="{down.endpoint}"'] > 0
        assert behind[f'destination="{up.endpoint}"'] == 0
        assert (kept, left) == (1, 0)
        assert not cursor_path(tmp_path, down).exists()
        assert len(fake_destination.requests) == 1

    def test_backlog_goes_out_after_a_restart(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make
    ) -> None:
        """A destination that was down gets what was kept for it, once and in order, with what is new behind."""
        fake_destination.down()
        destination = Destination(fake_destination.url)
        with forwarding(store, tmp_path, destination) as intake:
            intake.accept(batch(1))
            intake.accept(batch(2))
        fake_destination.up()

        with forwarding(store, tmp_path, destination) as intake:
            intake.accept(batch(3))
            assert eventually(lambda: len(fake_destination.requests) == 3)

        assert contents(fake_destination) == [batch(number).content for number in (1, 2, 3)]

    def test_new_destination_begins_with_what_is_new(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make
    ) -> None:
        """What landed before a destination was named is not sent to it."""
        with forwarding(store, tmp_path, Destination("http://127.0.0.1:9")) as intake:
            intake.accept(batch(1))
            assert intake.flush()

        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(batch(2))
            assert eventually(lambda: fake_destination.requests)

        assert contents(fake_destination) == [batch(2).content]

    def test_sequences_stay_above_the_cursor(self, tmp_path: Path, fake_destination: Any, batch: Make) -> None:
        """A store that begins anew beside old cursors does not give out sequences that are done with."""
        destination = Destination(fake_destination.url)
        for number in (1, 2):
            fresh = DuckDBStore.open(None)
            with forwarding(fresh, tmp_path, destination) as intake:
                intake.accept(batch(number))
                assert eventually(lambda number=number: len(fake_destination.requests) == number)
            fresh.close()

        assert contents(fake_destination) == [batch(1).content, batch(2).content]

    def test_damaged_segment_is_kept_once(
        self, store: DuckDBStore, tmp_path: Path, batch: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A segment that a destination still needs is set aside as damaged at the first start that finds it, only."""
        destination = Destination("http://127.0.0.1:9")
        with forwarding(store, tmp_path, destination) as intake:
            intake.accept(batch(1))
            intake.accept(batch(2))
        (path,) = segment_paths(tmp_path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

        for _ in range(2):
            with forwarding(store, tmp_path, destination):
                pass

        assert len(list((tmp_path / "damaged").iterdir())) == 1
        assert caplog.text.count("a write-ahead segment is damaged") == 1


class TestAnswers:
    def test_refused_is_dropped_with_one_warning(
        self,
        store: DuckDBStore,
        tmp_path: Path,
        fake_destination: Any,
        batch: Make,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What a destination will never take is counted, said once, and does not stop what comes after."""
        fake_destination.answer = (400, {}, b"no thanks")
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(batch(1))
            intake.accept(batch(2))
            assert eventually(lambda: fake_destination.attempts == 2)
            fake_destination.answer = (200, {}, b"")
            intake.accept(batch(3))
            assert eventually(lambda: fake_destination.requests)
            dropped = series(intake, "tierwise_forward_dropped_total")
            errors = series(intake, "tierwise_forward_last_error_timestamp_seconds")

        label = f'destination="{fake_destination.url}"'
        assert contents(fake_destination) == [batch(3).content]
        assert dropped == {f'{label},reason="refused"': 2}
        assert abs(errors[f'{label},error="HTTP 400"'] - time.time()) < 60
        assert caplog.text.count("no thanks") == 1

    def test_retry_after_is_waited_for(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make
    ) -> None:
        """A destination that says how long it wants to be left alone is."""
        fake_destination.answer = (429, {"Retry-After": "1"}, b"")
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(batch(1))
            assert eventually(lambda: fake_destination.attempts == 1)
            fake_destination.answer = (200, {}, b"")
            asked = time.monotonic()
            assert eventually(lambda: fake_destination.requests)
            waited = time.monotonic() - asked
            retries = series(intake, "tierwise_forward_retries_total")

        assert 0.8 < waited < 5
        assert list(retries.values()) == [1]

    def test_waits_double(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Attempts at a destination that takes nothing become rare."""
        monkeypatch.setattr(forward, "_LONGEST_WAIT_S", 60)
        fake_destination.answer = (503, {}, b"")
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(batch(1))
            time.sleep(1.0)

        # 0.02 s doubled is past a second at the seventh attempt; each wait is at least half of that.
        assert 4 <= fake_destination.attempts <= 8

    def test_request_that_breaks_the_destination_is_given_up(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make
    ) -> None:
        """After some 500s for one request it is dropped, so that it does not block the rest for ever."""
        fake_destination.answer = (500, {}, b"")
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(batch(1))
            assert eventually(lambda: series(intake, "tierwise_forward_dropped_total"))
            attempts = fake_destination.attempts
            fake_destination.answer = (200, {}, b"")
            intake.accept(batch(2))
            assert eventually(lambda: fake_destination.requests)

        assert attempts == 8
        assert contents(fake_destination) == [batch(2).content]

    def test_past_the_cap_the_oldest_is_dropped(
        self, store: DuckDBStore, tmp_path: Path, fake_destination: Any, batch: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A destination that is down keeps no more than its cap, the newest, and the rest is counted."""
        fake_destination.answer = (503, {}, b"")
        size = len(batch(1).content) + 20
        destination = Destination(fake_destination.url, backlog_bytes=2 * size)
        with forwarding(store, tmp_path, destination) as intake:
            for number in range(1, 6):
                intake.accept(batch(number))
            assert eventually(lambda: sum(series(intake, "tierwise_forward_dropped_total").values()) == 3)
            behind = series(intake, "tierwise_forward_backlog_bytes")
            fake_destination.answer = (200, {}, b"")
            assert eventually(lambda: len(fake_destination.requests) == 2)

        assert list(behind.values()) == [2 * size]
        assert contents(fake_destination) == [batch(4).content, batch(5).content]
        assert "too far behind" in caplog.text

    def test_unreadable_for_forwarding_is_dropped(
        self,
        store: DuckDBStore,
        tmp_path: Path,
        fake_destination: Any,
        make_span: Make,
        make_request: Make,
        as_bytes: Make,
        batch: Make,
    ) -> None:
        """JSON that we take and protobuf has no room for is counted, and does not stop what comes after."""
        odd = make_request([make_span(1, {}, droppedAttributesCount="many")])
        with forwarding(store, tmp_path, Destination(fake_destination.url)) as intake:
            intake.accept(Body("traces", JSON, "", as_bytes(odd)))
            intake.accept(batch(2))
            assert eventually(lambda: fake_destination.requests)
            dropped = series(intake, "tierwise_forward_dropped_total")

        assert dropped == {f'destination="{fake_destination.url}",reason="unreadable"': 1}


class TestSelf:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", socket.gethostname()])
    def test_this_collector_is_refused(self, host: str) -> None:
        """A destination that is the collector itself, by whatever name, is refused; another port or host is not."""
        with pytest.raises(SettingsError, match="this collector itself"):
            require_not_self([Destination(f"http://{host}:4318")], [4318, 4317])

        require_not_self([Destination(f"http://{host}:4319"), Destination("http://no-such-host.invalid:4318")], [4318])

    def test_collector_does_not_start(self, tmp_path: Path) -> None:
        """A collector that would forward to itself says so before the file is opened."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = Settings(forward=(Destination(f"http://localhost:{port}"),))

        with (
            pytest.raises(SettingsError, match="this collector itself"),
            running_collector(tmp_path / "x.duckdb", port=port, settings=settings),
        ):
            pass

        assert list(tmp_path.iterdir()) == []


@contextmanager
def collector_process(db: Path, forward_to: str, port: int) -> Generator[subprocess.Popen[str]]:
    """A collector in a process of its own, to be killed."""
    environ = {**os.environ, "TIERWISE_DB": f"duckdb:{db}", "TIERWISE_FORWARD": forward_to}
    command = [sys.executable, "-m", "tierwise.cli", "collect", "--port", str(port), "--grpc-port", "0"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "collector at" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(url: str, bodies: Sequence[bytes]) -> int:
    """Send bodies as an exporter would, until the first that is not acknowledged; how many were."""
    for count, content in enumerate(bodies):
        request = urllib.request.Request(f"{url}/v1/traces", content, {"content-type": PROTOBUF})
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return count
    return len(bodies)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_killed_collector_forwards_every_call_once(tmp_path: Path, batch: Make, scheme: str) -> None:
    """A collector killed while it forwards goes on after the restart: the next has every acknowledged call once."""
    bodies = [batch(*range(10 * number + 1, 10 * number + 11)).content for number in range(120)]
    port, grpc_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    with running_collector(tmp_path / "b.duckdb", grpc_port=grpc_port if scheme == "grpc" else 0) as second:
        destination = second.url if scheme == "http" else f"grpc://127.0.0.1:{grpc_port}"
        with collector_process(tmp_path / "a.duckdb", destination, port) as first:
            threading.Timer(0.3, first.send_signal, (signal.SIGKILL,)).start()
            acknowledged = post(url, bodies)
            first.wait(10)
        with collector_process(tmp_path / "a.duckdb", destination, port):
            # What was not acknowledged is sent again, and so are some that were.
            assert post(url, bodies[max(0, acknowledged - 5) :]) > 0
            store = open_store(second.url)
            expected = 10 * len(bodies)
            assert eventually(lambda: second.flush() and _calls(store) >= expected, 20)
            first_store = open_store(url)
            assert eventually(lambda: _calls(first_store) >= expected)
            ours, theirs = _span_ids(first_store), _span_ids(store)

    assert ours == theirs == sorted(f"{number:016x}" for number in range(1, expected + 1))


def _calls(store: Any) -> int:
    return store.sql("SELECT count(*) AS n FROM llm_calls")["n"].to_pylist()[0]


def _span_ids(store: Any) -> list[str]:
    return store.sql("SELECT span_id FROM llm_calls ORDER BY ALL")["span_id"].to_pylist()


def test_clients_do_not_notice_a_destination_that_is_down(tmp_path: Path, batch: Make) -> None:
    """While the next collector is down the first takes and lands all the same; afterwards the next has it all."""
    port = free_port()
    bodies = [batch(number).content for number in range(1, 41)]
    settings = Settings(forward=(Destination(f"http://127.0.0.1:{port}"),))
    with running_collector(tmp_path / "a.duckdb", settings=settings) as first:
        with running_collector(tmp_path / "b.duckdb", port=port) as second:
            post(first.url, bodies[:10])
            assert eventually(lambda: second.flush() and _calls(second.store) == 10)
        taken_meanwhile = post(first.url, bodies[10:])
        assert first.flush()
        landed_meanwhile = _calls(first.store)
        behind = sum(series(first.intake, "tierwise_forward_backlog_bytes").values())
        with running_collector(tmp_path / "b.duckdb", port=port) as second:
            assert eventually(lambda: second.flush() and _calls(second.store) == 40)
            assert eventually(lambda: not any(series(first.intake, "tierwise_forward_backlog_bytes").values()))

    assert (taken_meanwhile, landed_meanwhile) == (30, 40)
    assert behind >= sum(map(len, bodies[10:]))
