from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tierwise.errors import TierwiseError
from tierwise.imports.sources import Source, find_sources, opened


def content_of(source: Source) -> bytes:
    with opened(source, lambda _: None) as stream:
        return stream.read()


def test_names_become_files_in_order_and_once(tmp_path: Path) -> None:
    """Files, patterns and folders are found in order, hidden files left out, none of them twice."""
    for name in ("b.jsonl", "a.jsonl", ".hidden", "deep/c.csv"):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

    found = find_sources([str(tmp_path / "logs/*.jsonl"), str(tmp_path / "logs/a.jsonl"), str(tmp_path / "logs"), "-"])

    names = [source.name.removeprefix(f"{tmp_path}/logs/") for source in found]
    assert names == ["a.jsonl", "b.jsonl", "deep/c.csv", "standard input"]


@pytest.mark.parametrize("name", ["nothing.jsonl", "*.nothing", "empty"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    """A name, pattern or folder without files is an error that names it."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(TierwiseError, match=name.replace("*", r"\*")):
        find_sources([str(tmp_path / name)])


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, lambda content: pa.compress(content, "zstd", asbytes=True)])
def test_compression_is_undone(tmp_path: Path, wrap: object) -> None:
    """A log is told by its first bytes to be plain, gzip or zstd, whatever its name."""
    path = tmp_path / "log"
    path.write_bytes(wrap(b"one\ntwo\n" * 1000))  # type: ignore[operator]

    assert content_of(Source("log", path)) == b"one\ntwo\n" * 1000


def test_several_members(tmp_path: Path) -> None:
    """Compressed logs that were appended to one another are read to the end."""
    for pack in (gzip.compress, lambda content: pa.compress(content, "zstd", asbytes=True)):
        path = tmp_path / "log"
        path.write_bytes(pack(b"one\n") + pack(b"two\n"))

        assert content_of(Source("log", path)) == b"one\ntwo\n"


def test_progress_counts_what_lies_on_the_disk(tmp_path: Path) -> None:
    """The bytes told of are those of the compressed file, and reach its size."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"line\n" * 10_000))
    told: list[int] = []
    source = Source("log.gz", path)

    with opened(source, told.append) as stream:
        stream.read()

    assert told[-1] == source.size_bytes
    assert told == sorted(told)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, whose size and age nobody knows."""

    class Input:
        buffer = io.BytesIO(b"line\n")

    monkeypatch.setattr(sys, "stdin", Input())
    (source,) = find_sources(["-"])

    assert content_of(source) == b"line\n"
    assert (source.size_bytes, source.modified_ns) == (None, None)
