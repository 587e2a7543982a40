from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import RunCommand

TRANSLATE = {"messages": [{"role": "user", "content": "Translate the following text to French: good morning"}]}
EMBED = {"model": "text-embedding-3-small", "input": "good morning"}


def test_one_line_in_one_line_out(run: RunCommand, tmp_path: Path) -> None:
    """Each request gives its task type, confidence, complexity and use case; blank lines give nothing."""
    path = tmp_path / "requests.jsonl"
    path.write_text(f"{json.dumps(TRANSLATE)}\n\n{json.dumps(EMBED)}\n")

    found = run("classify", str(path))

    first, second = (json.loads(line) for line in found.out.splitlines())
    assert found.code == 0
    assert set(first) == {"task_type", "confidence", "complexity", "use_case"}
    assert first["task_type"] == "translation"
    assert second["task_type"] == "embedding"


def test_bad_lines_are_named_and_the_rest_is_done(run: RunCommand, tmp_path: Path) -> None:
    """A line that is no request is reported with its number, and the exit code says that there was one."""
    path = tmp_path / "requests.jsonl"
    path.write_text(f"{{\n[1]\n{json.dumps(TRANSLATE)}\n")

    found = run("classify", str(path))

    assert found.code == 1
    assert len(found.out.splitlines()) == 1
    assert f"{path}, line 1: not JSON" in found.err
    assert f"{path}, line 2: list where an object" in found.err


def test_standard_input(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads requests from standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(TRANSLATE)))

    assert '"translation"' in run("classify", "-").out


def test_a_file_that_cannot_be_read(run: RunCommand, tmp_path: Path) -> None:
    """A missing file and one that is not text are errors in one line."""
    binary = tmp_path / "image.png"
    binary.write_bytes(b"\x89PNG\xff\xfe")

    assert "cannot be read: No such file" in run("classify", "nowhere.jsonl").err
    assert "not UTF-8 text" in run("classify", str(binary)).err
