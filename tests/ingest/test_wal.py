from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.ingest.otlp import JSON, PROTOBUF, Payload
from tierwise.ingest.wal import Body, Durable, WriteAheadLog, encode, read_segment, segment_paths

NOTHING = Payload("traces", 0, 0, (), list, list)
MAGIC = b"tierwise-wal-1\n"

bodies = st.lists(
    st.builds(
        Body,
        signal=st.sampled_from(["traces", "logs"]),
        kind=st.sampled_from([PROTOBUF, JSON]),
        encoding=st.sampled_from(["", "gzip", "deflate"]),
        content=st.binary(max_size=200),
    ),
    max_size=6,
)


def body(content: bytes = b"x") -> Body:
    return Body("traces", PROTOBUF, "", content)


def open_log(folder: Path, seen: list[int] | None = None, **options: Any) -> WriteAheadLog:
    def on_durable(entry: Durable) -> None:
        if seen is not None:
            seen.append(entry.sequence)

    return WriteAheadLog(folder, next_sequence=1, on_durable=on_durable, **options)


def stored(folder: Path) -> list[bytes]:
    return [item.content for path in segment_paths(folder) for _, item in read_segment(path).bodies]


@settings(max_examples=60)
@given(written=bodies, data=st.data())
def test_cut_anywhere_what_was_whole_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[Body], data: st.DataObject
) -> None:
    """A segment cut at any byte gives exactly the records that are whole before the cut, and is not called damaged."""
    records = [b"".join(encode(sequence, item)) for sequence, item in enumerate(written, 1)]
    whole = MAGIC + b"".join(records)
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("wal") / "1.segment"
    path.write_bytes(whole[:cut])

    content = read_segment(path)

    ends = [len(MAGIC) + sum(map(len, records[: count + 1])) for count in range(len(records))]
    complete = sum(end <= cut for end in ends)
    assert content.bodies == tuple(enumerate(written[:complete], 1))
    assert content.damaged is False


@settings(max_examples=40)
@given(position=st.integers(len(MAGIC), 10**9), flip=st.integers(1, 255))
def test_changed_byte_is_never_taken_for_data(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    """Whatever byte of a record changes on disk, no record comes out other than it went in."""
    written = [body(b"first" * 9), body(b"second" * 9), body(b"third" * 9)]
    content = bytearray(MAGIC + b"".join(b"".join(encode(i, item)) for i, item in enumerate(written, 1)))
    content[len(MAGIC) + position % (len(content) - len(MAGIC))] ^= flip
    path = tmp_path_factory.mktemp("wal") / "1.segment"
    path.write_bytes(content)

    found = read_segment(path).bodies

    assert found == tuple(enumerate(written, 1))[: len(found)]
    assert len(found) < 3


def test_body_is_on_disk_when_the_future_is_done(tmp_path: Path) -> None:
    """A body can be read from the segment as soon as its append is done, and was handed on."""
    seen: list[int] = []
    log = open_log(tmp_path, seen)

    sequence = log.append(body(b"hello"), NOTHING).result(5)

    assert stored(tmp_path) == [b"hello"]
    assert seen == [sequence] == [1]
    log.close()


def test_one_sync_covers_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that come while the disk is busy are synced together."""
    syncing, go_on, syncs = threading.Event(), threading.Event(), []

    def slow_sync(descriptor: int) -> None:
        syncs.append(descriptor)
        syncing.set()
        go_on.wait(5)

    monkeypatch.setattr(os, "fdatasync", slow_sync)
    seen: list[int] = []
    log = open_log(tmp_path, seen)
    first = log.append(body(), NOTHING)
    syncing.wait(5)
    rest = [log.append(body(), NOTHING) for _ in range(50)]
    go_on.set()

    assert [future.result(5) for future in (first, *rest)] == list(range(1, 52))
    assert len(syncs) == 2
    assert seen == list(range(1, 52))
    log.close()


def test_released_segments_are_deleted(tmp_path: Path) -> None:
    """A segment goes when its last sequence is released, and not before."""
    log = open_log(tmp_path, segment_bytes=1)
    for _ in range(3):
        log.append(body(), NOTHING).result(5)

    log.release(2)
    left_at_two = stored(tmp_path)
    log.close()
    log.release(3)

    assert len(left_at_two) == 1
    assert segment_paths(tmp_path) == []
    assert log.size_bytes == 0


class TestFailingDisk:
    def fail(self, monkeypatch: pytest.MonkeyPatch, name: str, error: int) -> None:
        def failing(*_: Any) -> int:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, name, failing)

    @pytest.mark.parametrize(("call", "error"), [("write", errno.ENOSPC), ("fdatasync", errno.EIO)])
    def test_failure_is_not_acknowledged(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
    ) -> None:
        """When writing or syncing fails the append fails, nothing is handed on, and the log works again after."""
        seen: list[int] = []
        log = open_log(tmp_path, seen)
        with monkeypatch.context() as patch:
            self.fail(patch, call, error)
            with pytest.raises(OSError, match=os.strerror(error)):
                log.append(body(b"lost"), NOTHING).result(5)

        later = log.append(body(b"kept"), NOTHING).result(5)

        assert seen == [later]
        assert stored(tmp_path) == [b"kept"]
        log.close()

    def test_half_written_record_is_cut_off(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a failed write left behind is not in the way of what was written before."""
        log = open_log(tmp_path)
        log.append(body(b"before"), NOTHING).result(5)
        genuine: Callable[[int, Any], int] = os.write
        rooms = iter([10])

        def filling_up(descriptor: int, content: Any) -> int:
            for room in rooms:
                return genuine(descriptor, bytes(content)[:room])
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", filling_up)
            with pytest.raises(OSError, match="full"):
                log.append(body(b"half" * 100), NOTHING).result(5)
        log.append(body(b"after"), NOTHING).result(5)

        assert stored(tmp_path) == [b"before", b"after"]
        log.close()

    def test_trouble_lasts_until_the_disk_can_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a failed write the log is in trouble, and by itself out of it when the disk is well again."""
        log = open_log(tmp_path)
        assert log.trouble() is None
        with monkeypatch.context() as patch:
            self.fail(patch, "fdatasync", errno.EIO)
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                log.append(body(), NOTHING).result(5)

            assert log.trouble() == f"the write-ahead log cannot be written: {os.strerror(errno.EIO)}"
        assert log.trouble() is None
        assert not list(tmp_path.glob("probe*"))
        log.close()

    def test_full_disk_is_trouble_before_anything_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody has to lose an attempt to find out that the disk is full."""
        log = open_log(tmp_path)
        free = os.statvfs(tmp_path)
        monkeypatch.setattr(
            os, "statvfs", lambda path: os.statvfs_result((*free[:4], 0, *free[5:])) if path == tmp_path else free
        )

        assert log.trouble() == "the disk of the write-ahead log is full"
        log.close()

    def test_sequence_is_never_used_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sequence whose write failed is not given to another body: its bytes may have reached the disk."""
        log = open_log(tmp_path)
        with monkeypatch.context() as patch:
            self.fail(patch, "fdatasync", errno.EIO)
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                log.append(body(), NOTHING).result(5)

        assert log.append(body(), NOTHING).result(5) == 2
        log.close()


def test_closed_log_takes_nothing(tmp_path: Path) -> None:
    """What was appended before a close is written; what comes after fails."""
    log = open_log(tmp_path)
    before = log.append(body(b"before"), NOTHING)
    log.close()

    assert before.result(0) == 1
    assert stored(tmp_path) == [b"before"]
    with pytest.raises(OSError, match="closed"):
        log.append(body(), NOTHING).result(0)


def test_file_of_another_kind_is_damaged(tmp_path: Path) -> None:
    """A file that never was a segment is reported, not read."""
    path = tmp_path / "1.segment"
    path.write_bytes(b"something else entirely")

    content = read_segment(path)

    assert content.bodies == ()
    assert content.damaged is True
