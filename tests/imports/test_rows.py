from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tierwise.imports import rows
from tierwise.imports.rows import Refused, Row, read_rows


def read(content: bytes) -> list[Row | Refused]:
    return list(read_rows(io.BufferedReader(io.BytesIO(content))))  # type: ignore[type-var]


def values(content: bytes) -> list[dict[str, Any]]:
    return [item.value for item in read(content) if isinstance(item, Row)]


def refused(content: bytes) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in read(content) if isinstance(item, Refused)]


objects = st.dictionaries(
    st.text(), st.recursive(st.integers() | st.text() | st.none(), st.lists), min_size=1, max_size=4
)


@given(st.lists(objects, min_size=1))
def test_every_way_of_writing_json_gives_the_same_rows(items: list[dict[str, Any]]) -> None:
    """Lines, an array on one line, an array over many lines and documents over many lines hold the same objects."""
    plain = [item for item in items if not (set(item) <= {"data"} and isinstance(item.get("data"), list))]

    for content in (
        "\n".join(map(json.dumps, plain)),
        json.dumps(plain),
        json.dumps(plain, indent=2),
        "\n".join(json.dumps(item, indent=1) for item in plain),
    ):
        assert not plain or values(content.encode()) == plain


def test_a_line_that_breaks_off_is_refused_alone() -> None:
    """A half-written line is reported with its number and reason, the lines around it are read."""
    content = b'{"a": 1}\n{"b": "hal\n\n{"c": 3}\n[1]\nnull\n{"d": 4}'

    assert values(content) == [{"a": 1}, {"c": 3}, {"d": 4}]
    assert [line for line, _ in refused(content)] == [2, 5, 6]
    assert "not written to its end" in refused(content)[0][1]
    assert refused(content)[1][1] == "a list where an object is needed"


def test_the_first_line_may_be_the_broken_one() -> None:
    """A log that was cut at its beginning is still lines of JSON."""
    content = b'"rest of a line", "x": 1}\n{"a": 1}\n'

    assert values(content) == [{"a": 1}]
    assert refused(content)[0][0] == 1


def test_an_endless_line_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is refused without being held in memory, and the next one is read."""
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 1024)

    content = b'{"a": 1}\n{"x": "' + b"y" * 5000 + b'"}\n{"b": 2}\n'

    assert values(content) == [{"a": 1}, {"b": 2}]
    assert "longer than" in refused(content)[0][1]


def test_an_array_that_breaks_off() -> None:
    """What stands before the break is read, and the break is reported with its line."""
    content = b'[\n  {"a": 1},\n  {"b": 2},\n  {"c": '

    assert values(content) == [{"a": 1}, {"b": 2}]
    assert refused(content)[0][0] == 4


def test_large_arrays_are_read_in_pieces() -> None:
    """Objects that lie across the pieces an array is read in come whole, with their line."""
    items = [{"number": number, "text": "äö" * 400} for number in range(4000)]
    found = [item for item in read(json.dumps(items, indent=1, ensure_ascii=False).encode()) if isinstance(item, Row)]

    assert [item.value for item in found] == items
    assert [item.line for item in found[:2]] == [2, 6]


def test_envelopes_are_opened() -> None:
    """The rows under `data` of an API's answer are the rows; an answer that is a row itself is left whole."""
    embedding = {"object": "list", "data": [{"embedding": [0.1]}], "model": "m"}

    assert values(json.dumps({"data": [{"a": 1}, {"b": 2}], "meta": {"page": 1}}).encode()) == [{"a": 1}, {"b": 2}]
    assert values(json.dumps(embedding).encode()) == [embedding]


def test_csv() -> None:
    """Cells come under their column's name, empty ones not at all; a row of another length is refused."""
    content = '\ufeffmodel;tokens;text\ngpt;12;"two\nlines"\ngpt;13\n\ngpt;;x\n'.encode()

    assert values(content) == [{"model": "gpt", "tokens": "12", "text": "two\nlines"}, {"model": "gpt", "text": "x"}]
    assert refused(content) == [(4, "the row has 2 cells, the header 3")]


def test_parquet() -> None:
    """Rows come without their nulls, times as nanoseconds."""
    table = pa.table({"a": [1, None], "at": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns"))})
    file = io.BytesIO()
    parquet.write_table(table, file)

    assert values(file.getvalue()) == [{"a": 1, "at": 1_700_000_000_123_456_789}, {}]
    assert "Parquet that cannot be read" in refused(file.getvalue()[:-20])[0][1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\0\0", "binary"),
        (b"Dear all\nregards\n", "neither JSON, CSV nor Parquet"),
        ("﻿{}".encode("utf-16"), "UTF-16"),
        (b'{"a": "\xff"}\n', "not UTF-8"),
        (b'[{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "not JSON that can be read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    """What is no log is one refusal in words."""
    ((_, found),) = refused(content)

    assert reason in found
    assert values(content) == []


def test_a_compressed_log_that_breaks_off() -> None:
    """What a cut gzip file still holds is read, and the cut is reported behind it."""
    lines = b"".join(json.dumps({"number": number}).encode() + b"\n" for number in range(50_000))
    cut = gzip.compress(lines)[:-2000]

    found = list(read_rows(io.BufferedReader(gzip.GzipFile(fileobj=io.BytesIO(cut)))))  # type: ignore[type-var]

    assert len(found) > 1000
    assert isinstance(found[-1], Refused)
    assert "breaks off" in found[-1].reason
