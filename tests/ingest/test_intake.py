from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tierwise.errors import MalformedPayload, StoreError
from tierwise.ingest import lander, limits, otlp
from tierwise.ingest.intake import Intake, Unavailable
from tierwise.ingest.otlp import JSON, PROTOBUF
from tierwise.ingest.wal import Body, encode, segment_paths
from tierwise.store.duckdb import DuckDBStore

MAGIC = b"tierwise-wal-1\n"
Make = Callable[..., Any]


@pytest.fixture
def batch(protobuf_request: Make) -> Callable[..., Body]:
    """Makes the body of a trace request with the calls of the numbers given."""
    return lambda *numbers, **options: Body(
        "traces", PROTOBUF, "", protobuf_request(*numbers, **options).SerializeToString()
    )


def stored(store: DuckDBStore) -> list[int]:
    return [
        int(span_id, 16) for span_id in store.sql("SELECT span_id FROM llm_calls ORDER BY ALL")["span_id"].to_pylist()
    ]


def break_land(
    monkeypatch: pytest.MonkeyPatch, store: DuckDBStore, error: Exception | None, *, poison: int | None
) -> None:
    """Make landing fail, always or when a call of a number is among what lands."""
    genuine = store.land

    def land(**arguments: Any) -> Any:
        numbers = {int(record.span_id, 16) for record in arguments.get("calls", ())}
        if error is not None and (poison is None or poison in numbers):
            raise error
        return genuine(**arguments)

    monkeypatch.setattr(store, "land", land)


class TestAccept:
    def test_acknowledged_is_soon_queryable(self, store: DuckDBStore, intake: Intake, batch: Make) -> None:
        """A call can be queried within half a second of its acknowledgement."""
        intake.accept(batch(1, 2))
        acknowledged = time.monotonic()

        while stored(store) != [1, 2]:
            assert time.monotonic() - acknowledged < 0.5
            time.sleep(0.01)

    def test_same_bytes_are_stored_once(self, store: DuckDBStore, intake: Intake, batch: Make) -> None:
        """A request that is sent again is acknowledged again and stored once, also when both are under way."""
        body = batch(1, 2, 3)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(intake.accept, [body] * 20))
        intake.flush()

        assert stored(store) == [1, 2, 3]
        assert intake.metrics.value("tierwise_requests_repeated_total") == 19
        assert intake.metrics.value("tierwise_spans_received_total") == 3

    def test_overlapping_requests_store_each_call_once(self, store: DuckDBStore, intake: Intake, batch: Make) -> None:
        """A proxy may batch anew: calls that come in two different requests are stored once."""
        intake.accept(batch(1, 2))
        intake.accept(batch(2, 3))
        intake.flush()

        assert stored(store) == [1, 2, 3]
        assert intake.metrics.value("tierwise_calls_repeated_total") == 1

    def test_traces_and_logs_of_the_same_bytes_are_two(self, intake: Intake) -> None:
        """An empty request of traces is not a repetition of an empty one of logs."""
        intake.accept(Body("traces", PROTOBUF, "", b""))
        intake.accept(Body("logs", PROTOBUF, "", b""))

        assert intake.metrics.value("tierwise_requests_repeated_total") == 0

    def test_refused_spans_are_told(self, intake: Intake, make_request: Make, make_span: Make, as_bytes: Make) -> None:
        """The receipt says which spans were left out."""
        body = Body("traces", JSON, "", as_bytes(make_request([make_span(1, traceId="")])))

        assert len(intake.accept(body).refusals) == 1

    def test_garbage_leaves_nothing(self, store: DuckDBStore, intake: Intake, tmp_path: Path) -> None:
        """A malformed request is refused before anything of it is written."""
        with pytest.raises(MalformedPayload):
            intake.accept(Body("traces", PROTOBUF, "gzip", b"nonsense"))

        assert segment_paths(tmp_path / "ingest") == []

    def test_evaluations_arrive_as_logs(
        self, store: DuckDBStore, intake: Intake, make_logs: Make, as_bytes: Make
    ) -> None:
        """Evaluation events are stored."""
        logs = make_logs({"gen_ai.evaluation.name": "exact", "gen_ai.evaluation.score.value": 1.0})
        intake.accept(Body("logs", JSON, "gzip", gzip.compress(as_bytes(logs))))
        intake.flush()

        assert store.sql("SELECT name, score FROM evaluations").to_pylist() == [{"name": "exact", "score": 1.0}]


class TestLarge:
    def test_large_requests_are_decoded_one_at_a_time(
        self, store: DuckDBStore, intake: Intake, batch: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Many large requests at once are all stored, and never two of them are being decoded."""
        monkeypatch.setattr(limits, "SMALL", limits.Bounds(1000, 1000))
        genuine = otlp.read
        decoding: list[int] = []
        together: list[int] = []

        def read(*arguments: Any, bounds: limits.Bounds, **options: Any) -> otlp.Payload:
            if bounds is limits.SMALL:
                return genuine(*arguments, bounds=bounds, **options)
            decoding.append(1)
            together.append(len(decoding))
            time.sleep(0.01)
            payload = genuine(*arguments, bounds=bounds, **options)
            decoding.pop()
            return payload

        monkeypatch.setattr(otlp, "read", read)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(intake.accept, [batch(number, text="x" * 2000) for number in range(1, 9)]))
        intake.flush()

        assert together == [1] * 8
        assert stored(store) == list(range(1, 9))

    def test_large_requests_leave_room_for_others(
        self, intake: Intake, batch: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When too many large requests wait, the next is told to come back, and a small one is taken."""
        monkeypatch.setattr(limits, "SMALL", limits.Bounds(1000, 1000))
        for _ in range(8):
            assert intake._large_places.acquire(blocking=False)

        with pytest.raises(Unavailable, match="large"):
            intake.accept(batch(1, text="x" * 2000))
        assert intake.accept(batch(2)).refusals == ()


class TestFull:
    def test_full_backlog_is_unavailable_until_landed(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Past the backlog's bound requests are refused; when the store has caught up they are taken."""
        may_land = threading.Event()
        genuine = store.land

        def land(**arguments: Any) -> Any:
            may_land.wait(5)
            return genuine(**arguments)

        monkeypatch.setattr(store, "land", land)
        intake = Intake(store, tmp_path / "ingest", max_backlog_bytes=200)
        intake.accept(batch(1))

        with pytest.raises(Unavailable, match="waits"):
            intake.accept(batch(*range(2, 50)))
        may_land.set()
        intake.flush()
        intake.accept(batch(99))
        intake.stop()

        assert stored(store) == [1, 99]

    def test_one_request_larger_than_the_backlog_is_taken(
        self, store: DuckDBStore, batch: Make, tmp_path: Path
    ) -> None:
        """A request that alone exceeds the bound is taken when nothing waits, or it could never be."""
        intake = Intake(store, tmp_path / "ingest", max_backlog_bytes=10)

        intake.accept(batch(1))
        intake.stop()

        assert stored(store) == [1]

    def test_full_disk_is_unavailable(
        self, store: DuckDBStore, intake: Intake, batch: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the write-ahead log cannot be written the request is refused, and taken when it can again."""
        with monkeypatch.context() as patch:
            patch.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(Unavailable, match="No space left"):
                intake.accept(batch(1))

        intake.accept(batch(1))
        intake.flush()

        assert stored(store) == [1]

    def test_stopping_is_unavailable(self, intake: Intake, batch: Make) -> None:
        """A stopped intake takes nothing; stopping twice is fine."""
        intake.stop()
        intake.stop()

        with pytest.raises(Unavailable, match="stopping"):
            intake.accept(batch(1))


class TestStop:
    def test_everything_acknowledged_is_landed(
        self, store: DuckDBStore, intake: Intake, batch: Make, tmp_path: Path
    ) -> None:
        """Stopping lands what was acknowledged and leaves no segment."""
        for number in range(1, 30):
            intake.accept(batch(number))
        intake.stop()

        assert stored(store) == list(range(1, 30))
        assert list((tmp_path / "ingest").iterdir()) == []


class TestReplay:
    @pytest.fixture
    def write_segment(self, tmp_path: Path) -> Callable[..., Path]:
        """Writes a segment as a crash would leave it."""

        def write(*records: tuple[int, Body], tail: bytes = b"", name: str = "1") -> Path:
            folder = tmp_path / "ingest"
            folder.mkdir(exist_ok=True)
            path = folder / f"{name}.segment"
            path.write_bytes(MAGIC + b"".join(b"".join(encode(*record)) for record in records) + tail)
            return path

        return write

    def test_only_what_is_not_landed_is(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, write_segment: Any
    ) -> None:
        """Sequences that the store has landed are not landed again; later ones are, once."""
        store.land(sequence=2)
        path = write_segment((1, batch(1)), (2, batch(2)), (3, batch(3)), (4, batch(4)))

        Intake(store, tmp_path / "ingest").stop()
        Intake(store, tmp_path / "ingest").stop()

        assert stored(store) == [3, 4]
        assert store.landed_sequence() == 4
        assert not path.exists()

    def test_torn_tail_is_no_trouble(self, store: DuckDBStore, batch: Make, tmp_path: Path, write_segment: Any) -> None:
        """A record cut short by the crash is left out, and later segments are read."""
        torn = b"".join(encode(2, batch(2)))[:-5]
        write_segment((1, batch(1)), tail=torn, name="1")
        write_segment((3, batch(3)), name="3")

        Intake(store, tmp_path / "ingest").stop()

        assert stored(store) == [1, 3]
        assert list((tmp_path / "ingest").iterdir()) == []

    def test_damaged_segment_is_kept(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, write_segment: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A segment that the disk has changed gives what it can, and is kept aside for a person to look at."""
        path = write_segment((1, batch(1)), (2, batch(2)))
        content = bytearray(path.read_bytes())
        content[-1] ^= 255
        path.write_bytes(content)

        Intake(store, tmp_path / "ingest").stop()

        assert stored(store) == [1]
        assert (tmp_path / "ingest" / "damaged" / path.name).read_bytes() == content
        assert "damaged" in caplog.text

    def test_new_sequences_follow_the_old(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, write_segment: Any
    ) -> None:
        """What is accepted after a replay has sequences above everything replayed."""
        write_segment((7, batch(1)))

        intake = Intake(store, tmp_path / "ingest")
        intake.accept(batch(2))
        intake.stop()

        assert store.landed_sequence() == 8

    def test_body_that_cannot_be_read_any_more_is_kept(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, write_segment: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A stored body that no longer decodes does not keep the collector from starting, and is not thrown away."""
        path = write_segment((1, batch(1)), (2, Body("traces", PROTOBUF, "", b"\xff")), (3, batch(3)))

        Intake(store, tmp_path / "ingest").stop()

        assert stored(store) == [1, 3]
        assert (tmp_path / "ingest" / "damaged" / path.name).exists()
        assert "cannot be read any more" in caplog.text

    def test_letters_of_another_file_hide_nothing(self, store: DuckDBStore, batch: Make, tmp_path: Path) -> None:
        """When the file was replaced by a new one, sequences of old letters are not given to new requests."""
        letters = tmp_path / "ingest" / "dead-letters"
        letters.mkdir(parents=True)
        for sequence in (1, 2, 3):
            (letters / f"{sequence:020d}.traces.pb").write_bytes(b"")

        intake = Intake(store, tmp_path / "ingest")
        intake.accept(batch(1))
        intake.stop()

        assert stored(store) == [1]
        assert store.landed_sequence() == 4


class TestTrouble:
    def test_poison_is_set_aside(
        self,
        store: DuckDBStore,
        intake: Intake,
        batch: Make,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A request that cannot be landed is kept aside with its reason; those around it are landed."""
        break_land(monkeypatch, store, ValueError("no such thing"), poison=3)
        poison = batch(3, 33)

        for body in (batch(1, 2), poison, batch(4, 5)):
            intake.accept(body)
        intake.flush()

        assert stored(store) == [1, 2, 4, 5]
        letter, reason = sorted((tmp_path / "ingest" / "dead-letters").iterdir())
        assert letter.read_bytes() == poison.content
        assert letter.name.endswith(".traces.pb")
        assert reason.read_text() == "ValueError: no such thing\n"
        assert intake.metrics.value("tierwise_dead_letters_total") == 1
        assert store.landed_sequence() == 3
        assert "set aside" in caplog.text

    def test_unreadable_payload_is_set_aside(
        self, store: DuckDBStore, intake: Intake, batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A request that breaks decoding is set aside as well."""
        genuine = lander.read_arrivals

        def read(payload: Any) -> Any:
            if payload.spans_offered == 2:
                raise RuntimeError("broken")
            return genuine(payload)

        monkeypatch.setattr(lander, "read_arrivals", read)

        for body in (batch(1), batch(2, 3), batch(4)):
            intake.accept(body)
        intake.flush()

        assert stored(store) == [1, 4]
        assert len(list((tmp_path / "ingest" / "dead-letters").glob("*.pb"))) == 1

    def test_disk_at_its_end_is_waited_for(
        self,
        store: DuckDBStore,
        intake: Intake,
        batch: Make,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """When the engine cannot write, nothing is set aside and nothing is lost; it is tried until it can."""
        monkeypatch.setattr(lander, "_RETRY_S", (0.02,))
        cause = duckdb.IOException("No space left on device")
        error = StoreError(str(cause))
        error.__cause__ = cause
        with monkeypatch.context() as patch:
            break_land(patch, store, error, poison=None)
            intake.accept(batch(1))
            while intake.trouble is None:
                time.sleep(0.01)
            assert "No space" in intake.trouble
        intake.flush()

        assert intake.trouble is None
        assert stored(store) == [1]
        assert not (tmp_path / "ingest" / "dead-letters").exists()

    def test_surprise_does_not_end_the_landing(
        self, store: DuckDBStore, intake: Intake, batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error that nobody foresaw is trouble that passes: nothing is set aside and landing goes on."""
        monkeypatch.setattr(lander, "_RETRY_S", (0.02,))
        with monkeypatch.context() as patch:
            break_land(patch, store, MemoryError(), poison=None)
            intake.accept(batch(1))
            while intake.trouble is None:
                time.sleep(0.01)
            assert intake.trouble == "MemoryError"
        intake.flush()

        assert stored(store) == [1]
        assert not (tmp_path / "ingest" / "dead-letters").exists()

    def test_stopping_in_trouble_keeps_the_segments(
        self, store: DuckDBStore, batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What cannot be landed before a stop is landed at the next start."""
        cause = duckdb.IOException("No space left on device")
        error = StoreError(str(cause))
        error.__cause__ = cause
        with monkeypatch.context() as patch:
            break_land(patch, store, error, poison=None)
            intake = Intake(store, tmp_path / "ingest")
            intake.accept(batch(1))
            intake.stop()
        assert stored(store) == []

        Intake(store, tmp_path / "ingest").stop()

        assert stored(store) == [1]
