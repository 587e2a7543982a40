"""Where logs are: files, folders, globs and standard input, plain, gzip or zstd."""

from __future__ import annotations

import glob
import gzip
import io
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from tierwise.errors import TierwiseError

STANDARD_INPUT: Final = "-"

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BUFFER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """One log."""

    name: str
    """As a person would write it."""
    path: Path | None
    """None: standard input."""

    @property
    def size_bytes(self) -> int | None:
        """As it lies on the disk, compressed or not; None for standard input and pipes."""
        if self.path is None or not self.path.is_file():
            return None
        return self.path.stat().st_size

    @property
    def modified_ns(self) -> int | None:
        """When the file was last written, nanoseconds since 1970; None for standard input."""
        return None if self.path is None else self.path.stat().st_mtime_ns


def find_sources(names: Sequence[str]) -> list[Source]:
    """The logs that names mean, in order and each once: files, globs, whole folders, and `-` for standard input.

    Raises:
        TierwiseError: a name or pattern finds nothing.
    """
    found: dict[Path | None, Source] = {}
    for name in names:
        if name == STANDARD_INPUT:
            found.setdefault(None, Source("standard input", None))
            continue
        path = Path(name)
        if path.is_dir():
            paths = sorted(item for item in path.rglob("*") if item.is_file() and not _is_hidden(item, path))
        elif path.exists():
            paths = [path]
        else:
            paths = sorted(Path(item) for item in glob.glob(name, recursive=True) if Path(item).is_file())
        if not paths:
            what = "the folder holds no files" if path.is_dir() else "no such file, and no file fits it as a pattern"
            raise TierwiseError(f"{name}: {what}")
        for item in paths:
            found.setdefault(item, Source(str(item), item))
    return list(found.values())


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


@contextmanager
def opened(source: Source, on_bytes: Callable[[int], None]) -> Generator[io.BufferedReader]:
    """The log's bytes, without its compression.

    Args:
        on_bytes: told how many bytes of the log as it lies there have been read so far.

    Raises:
        TierwiseError: it cannot be opened.
    """
    try:
        file = cast("BinaryIO", sys.stdin.buffer) if source.path is None else source.path.open("rb")
    except OSError as error:
        raise TierwiseError(f"{source.name}: cannot be read: {error.strerror or error}") from error
    try:
        yield _decompressed(io.BufferedReader(_Counted(file, on_bytes), _BUFFER_BYTES))
    finally:
        if source.path is not None:
            file.close()


def _decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    start = stream.peek(4)[:4]
    if start.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER_BYTES)
    if start == _ZSTD:
        return io.BufferedReader(_Zstd(stream), _BUFFER_BYTES)
    return stream


class _Counted(io.RawIOBase):
    """A file that tells how far it has been read."""

    def __init__(self, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        # One read of the system's, so that a pipe's lines come through as they are written.
        read = getattr(self._file, "read1", self._file.read)
        content = read(len(buffer))
        buffer[: len(content)] = content
        self._read += len(content)
        self._on_bytes(self._read)
        return len(content)


class _Zstd(io.RawIOBase):
    """The content of a zstd file of any number of frames."""

    def __init__(self, compressed: io.BufferedReader) -> None:
        # pyarrow is slow to import, and brings zstd with it.
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(compressed, "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
