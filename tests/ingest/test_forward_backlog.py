from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tierwise.ingest import forward_backlog
from tierwise.ingest.forward_backlog import Backlog, Cursor, Dropped
from tierwise.ingest.otlp import PROTOBUF, Payload
from tierwise.ingest.wal import Body, Durable, WriteAheadLog, encode, segment_paths

NOTHING = Payload("traces", 0, 0, (), lambda: (), lambda: ())
HEADER_BYTES = 20


def body(number: int, size: int = 100) -> Body:
    return Body("traces", PROTOBUF, "", bytes([number]) * size)


def write(folder: Path, *numbers: int, segment_bytes: int = 1 << 20) -> list[Durable]:
    """Write a body for each number, of which the number is the sequence too."""
    entries: list[Durable] = []
    log = WriteAheadLog(folder, next_sequence=numbers[0], on_durable=entries.append, segment_bytes=segment_bytes)
    for number in numbers:
        log.append(body(number), NOTHING).result(5)
    log.close()
    return entries


Open = Callable[..., Backlog]


@pytest.fixture
def open_backlog(tmp_path: Path) -> Open:
    """Opens the backlog of a destination over the segments in `tmp_path`."""

    def make(*, start: int = 0, max_bytes: int = 1 << 30, max_age_s: float = 3600.0) -> Backlog:
        cursor = Cursor(tmp_path / "forward" / "x.cursor", start=start)
        return Backlog(tmp_path, cursor, max_bytes=max_bytes, max_age_s=max_age_s)

    return make


def drain(backlog: Backlog) -> list[int]:
    """Finish all there is; the sequences, checked against the bodies."""
    found: list[int] = []
    while (header := backlog.next_header()) is not None:
        stored = backlog.read(header)
        assert stored is None or stored == body(header.sequence)
        if stored is None:
            backlog.skip_segment()
            continue
        backlog.finish(header)
        found.append(header.sequence)
    return found


def test_records_of_all_segments_in_sequence(tmp_path: Path, open_backlog: Open) -> None:
    """Every record beyond the cursor comes once, oldest first, across segments."""
    write(tmp_path, 1, 2, 3, 4, segment_bytes=150)
    backlog = open_backlog(start=1)
    size = backlog.size_bytes

    assert drain(backlog) == [2, 3, 4]
    assert size == 3 * (HEADER_BYTES + 100)
    assert (backlog.size_bytes, backlog.cursor) == (0, 4)
    backlog.close()


def test_cursor_survives_a_restart(tmp_path: Path, open_backlog: Open) -> None:
    """What was finished does not come again after the next start."""
    write(tmp_path, 1, 2, 3)
    first = open_backlog()
    header = first.next_header()
    assert header is not None
    first.finish(header)
    first.close()

    second = open_backlog()

    assert drain(second) == [2, 3]
    second.close()


def test_torn_cursor_begins_again(tmp_path: Path, open_backlog: Open) -> None:
    """A cursor that a power failure has torn is not believed: records go out twice rather than never."""
    write(tmp_path, 1, 2)
    drain(first := open_backlog())
    first.close()
    (path,) = (tmp_path / "forward").iterdir()
    path.write_bytes(path.read_bytes().replace(b"2 ", b"9 "))

    second = open_backlog()

    assert drain(second) == [1, 2]
    second.close()


def test_records_come_while_the_log_is_written(tmp_path: Path, open_backlog: Open) -> None:
    """A record is seen once it is durable, in the segment that is being written and in the next."""
    backlog = open_backlog()
    log = WriteAheadLog(tmp_path, next_sequence=1, on_durable=backlog.extend, segment_bytes=250)
    found: list[int] = []
    for number in range(1, 8):
        log.append(body(number), NOTHING).result(5)
        found += drain(backlog)
        log.release(backlog.cursor)
    log.close()

    assert found == [1, 2, 3, 4, 5, 6, 7]
    backlog.close()


def test_record_that_is_not_durable_is_not_seen(tmp_path: Path, open_backlog: Open) -> None:
    """Bytes behind the last durable record may still be cut off, so they are not sent, even where that one is lost."""
    backlog = open_backlog()
    for entry in (*write(tmp_path, 1), Durable(2, body(2), NOTHING)):
        backlog.extend(entry)
    with segment_paths(tmp_path)[0].open("ab") as file:
        file.write(b"".join(encode(3, body(3))))

    assert drain(backlog) == [1]
    backlog.close()


def test_oldest_go_past_the_byte_cap(tmp_path: Path, open_backlog: Open) -> None:
    """Beyond the cap in bytes the oldest are dropped, as few as suffice."""
    write(tmp_path, 1, 2, 3, 4)
    backlog = open_backlog(max_bytes=2 * (HEADER_BYTES + 100))

    assert backlog.drop_past_caps() == Dropped(2, 2 * (HEADER_BYTES + 100))
    assert drain(backlog) == [3, 4]
    backlog.close()


def test_what_is_too_old_goes(tmp_path: Path, open_backlog: Open) -> None:
    """A segment that was last written before the cap in age is dropped, a later one is not."""
    write(tmp_path, 1, 2, 3, segment_bytes=200)
    os.utime(segment_paths(tmp_path)[0], (0, 0))
    backlog = open_backlog()

    assert backlog.drop_past_caps().requests == 2
    assert drain(backlog) == [3]
    backlog.close()


def test_nearly_full_disk_takes_the_backlog(
    tmp_path: Path, open_backlog: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room on the disk all but the newest segment is given up, for what comes in needs the room."""
    write(tmp_path, 1, 2, 3, segment_bytes=1)
    backlog = open_backlog()
    monkeypatch.setattr(forward_backlog, "_NEARLY_FULL_BYTES", 1 << 62)

    assert backlog.drop_past_caps().requests == 2
    assert drain(backlog) == [3]
    backlog.close()


def test_damaged_segment_costs_its_rest_alone(tmp_path: Path, open_backlog: Open) -> None:
    """Past a flipped bit the segment cannot be trusted; the next one can."""
    write(tmp_path, 1, 2, 3, segment_bytes=200)
    first = segment_paths(tmp_path)[0]
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    backlog = open_backlog()

    assert drain(backlog) == [1, 3]
    backlog.close()


def test_lost_segment_does_not_stop_the_rest(tmp_path: Path, open_backlog: Open) -> None:
    """Records that are gone from the disk are passed over, and said."""
    write(tmp_path, 1, 2)
    backlog = open_backlog()
    segment_paths(tmp_path)[0].unlink()

    assert drain(backlog) == []
    assert backlog.size_bytes == 0
    backlog.close()
