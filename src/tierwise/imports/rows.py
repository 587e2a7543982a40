"""Objects out of a log, each with the line it stands on: JSON lines, a JSON array or document, CSV, or Parquet.

What cannot be read is there as its refusal, and reading goes on behind it as far as the container allows.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

MAX_ROW_BYTES: Final = 32 * 1024 * 1024
"""Of one line or object. A request with attached files may have some; a line without end must not fill the memory."""

_CHUNK_BYTES: Final = 1024 * 1024
_PARQUET: Final = b"PAR1"
_PARQUET_BATCH: Final = 1_000
_SPACE: Final = " \t\r\n"
_DELIMITERS: Final = (",", ";", "\t")
_ENVELOPE: Final = frozenset({"count", "data", "error", "meta", "pagination", "total"})
"""Members of an API's answer that holds rows under `data`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One object."""

    line: int
    """1 is the first line of the file; in Parquet, the row."""
    value: dict[str, Any]
    raw: bytes | None = None
    """Its bytes, where it is a whole line."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not read, and why."""

    line: int
    reason: str


def read_rows(stream: io.BufferedReader) -> Iterator[Row | Refused]:
    """The rows of a log of any container.

    Bytes that break off inside their compression end in a refusal, behind what could be read.
    """
    last_line = 0
    try:
        for item in _contained(stream):
            last_line = item.line
            yield item
    except (EOFError, OSError) as error:
        # gzip and zstd say so when the file was cut off or is damaged, in the middle of reading it.
        yield Refused(last_line + 1, f"the file breaks off here, or is damaged: {error}")


def _contained(stream: io.BufferedReader) -> Iterator[Row | Refused]:
    start = stream.peek(_CHUNK_BYTES)
    if start.startswith(_PARQUET):
        return _parquet(stream)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return iter([Refused(1, "the file is UTF-16; save it as UTF-8")])
    if b"\0" in start[:4096]:
        return iter([Refused(1, "the file is binary, and none of Parquet, gzip and zstd")])
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        return iter([Refused(1, "the file is empty")])
    lines = text.splitlines()[:3]
    if text.startswith(b"["):
        return _values(stream)
    if any(_is_object(line) for line in lines):
        return _json_lines(stream)
    if text.startswith(b"{"):
        # One object over many lines, or a first line longer than what was looked at.
        return _values(stream) if len(lines) > 1 else _json_lines(stream)
    delimiter = max(_DELIMITERS, key=lambda mark: lines[0].count(mark.encode()))
    if delimiter.encode() not in lines[0]:
        beginning = lines[0][:40].decode("utf-8", "replace")
        return iter([Refused(1, f"neither JSON, CSV nor Parquet: it begins with {beginning!r}")])
    return _csv(stream, delimiter)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


# --- JSON -------------------------------------------------------------------------------------------------------------


def _json_lines(stream: io.BufferedReader) -> Iterator[Row | Refused]:
    number = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(_CHUNK_BYTES)
            yield Refused(number, f"the line is longer than {MAX_ROW_BYTES >> 20} MiB")
            continue
        if line.isspace():
            continue
        yield from _of_line(number, line)


def _of_line(number: int, line: bytes) -> Iterator[Row | Refused]:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        yield Refused(number, f"not UTF-8: {error.reason} at byte {error.start}")
    except json.JSONDecodeError as error:
        yield Refused(number, f"not JSON: {error.msg} at column {error.colno}{_cut_off(line)}")
    except (ValueError, RecursionError) as error:
        yield Refused(number, f"not JSON that can be read: {error}")
    else:
        yield from _objects(number, value, line)


def _cut_off(line: bytes) -> str:
    return "" if line.rstrip().endswith((b"}", b"]")) else "; the line was not written to its end"


def _objects(number: int, value: object, raw: bytes | None) -> Iterator[Row | Refused]:
    """The row that a value is, or those that it holds."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        held: object = found.get("data")
        if isinstance(held, list) and _ENVELOPE.issuperset(found):
            for item in cast("list[object]", held):
                yield from _objects(number, item, None)
        else:
            yield Row(number, found, raw)
    else:
        yield Refused(number, f"{_kind(value)} where an object is needed")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type[object], str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
    }
    return names.get(type(value), type(value).__name__)


class _Text:
    """UTF-8 text that grows as it is read and shrinks as it is used."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text = ""
        self.ended = False

    def grow(self, used: int) -> None:
        """Let go of what was `used`, and read as much again as is left, at least one chunk."""
        self.text = self.text[used:]
        content = self._stream.read(max(_CHUNK_BYTES, len(self.text)))
        self.ended = not content
        self.text += self._decoder.decode(content, final=self.ended)


def _values(stream: io.BufferedReader) -> Iterator[Row | Refused]:
    """The objects of an array, or documents one after the other, whatever lines they are written on."""
    held = _Text(stream)
    decoder = json.JSONDecoder()
    line, at = 1, 0
    while True:
        begin = _after(held.text, at, _SPACE + "[],")
        line += held.text.count("\n", at, begin)
        at = begin
        if at >= len(held.text):
            if held.ended:
                return
            held.grow(at)
            at = 0
            continue
        try:
            value, end = decoder.raw_decode(held.text, at)
        except RecursionError:
            yield Refused(line, "nested too deeply; nothing behind it can be read")
            return
        except ValueError as error:
            if held.ended or len(held.text) - at > MAX_ROW_BYTES:
                yield Refused(line, f"{_why(error, len(held.text) - at)}; nothing behind it can be read")
                return
            held.grow(at)
            at = 0
            continue
        yield from _objects(line, value, None)
        line += held.text.count("\n", at, end)
        at = end


def _after(text: str, at: int, marks: str) -> int:
    while at < len(text) and text[at] in marks:
        at += 1
    return at


def _why(error: ValueError, size: int) -> str:
    if size > MAX_ROW_BYTES:
        return f"an object is not JSON, or is larger than {MAX_ROW_BYTES >> 20} MiB"
    return f"not JSON: {error.msg if isinstance(error, json.JSONDecodeError) else error}"


# --- CSV and Parquet --------------------------------------------------------------------------------------------------


def _csv(stream: io.BufferedReader, delimiter: str) -> Iterator[Row | Refused]:
    csv.field_size_limit(MAX_ROW_BYTES)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Refused(line, f"not CSV: {error}")
            continue
        if cells is None:
            break
        if not any(cells):
            continue
        if not header:
            header = [name.strip() for name in cells]
        elif len(cells) != len(header):
            yield Refused(line, f"the row has {len(cells)} cells, the header {len(header)}")
        else:
            yield Row(line, {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""})
    # The stream is the caller's to close.
    text.detach()


def _parquet(stream: io.BufferedReader) -> Iterator[Row | Refused]:
    # pyarrow is slow to import.
    import pyarrow as pa
    from pyarrow import parquet

    # Parquet is read from its end.
    content = io.BytesIO(stream.read())
    number = 0
    try:
        for batch in parquet.ParquetFile(content).iter_batches(batch_size=_PARQUET_BATCH):
            for value in _without_nanoseconds(batch).to_pylist():
                number += 1
                yield Row(number, {name: cell for name, cell in value.items() if cell is not None})
    except (pa.ArrowException, OSError) as error:
        yield Refused(number + 1, f"Parquet that cannot be read: {error}")


def _without_nanoseconds(batch: Any) -> Any:
    """The batch with times as integers, nanoseconds since 1970: a datetime would not hold them."""
    import pyarrow as pa

    for position, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            exact = batch.column(position).cast(pa.timestamp("ns", field.type.tz), safe=False).cast(pa.int64())
            batch = batch.set_column(position, field.name, exact)
    return batch
