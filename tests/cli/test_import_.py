from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise.store import open_store

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def exchange(number: int) -> dict[str, Any]:
    return {
        "request": {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Translate to French: good morning"}]},
        "response": {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_793_613_600 + number,
            "model": "gpt-5.4",
            "choices": [{"finish_reason": "stop", "message": {"content": "bonjour"}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5},
        },
    }


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def test_what_came_in_is_said(run: RunCommand, tmp_path: Path) -> None:
    """An import says how many rows and calls there were, of which format, and the second time that nothing is new."""
    log = write(tmp_path / "a.jsonl", [exchange(number) for number in range(3)])
    db = f"duckdb:{tmp_path / 'calls.duckdb'}"

    first = run("import", log, "--db", db)
    again = run("import", log, "--db", db, "--json")

    assert first.code == 0
    assert "3 rows read (openai 3)" in first.out
    assert "3 calls: 3 new, 0 in the store already" in first.out
    assert (again.json["added"], again.json["known"]) == (0, 3)


def test_problems_are_shown_and_written(run: RunCommand, tmp_path: Path) -> None:
    """The first broken lines are shown with reason, the others counted; a file takes all; the exit code tells."""
    log = write(tmp_path / "a.jsonl", [exchange(1), *(["{broken"] * 8)])
    errors = tmp_path / "errors.jsonl"

    found = run("import", log, "--db", f"duckdb:{tmp_path / 'calls.duckdb'}", "--errors", str(errors))

    assert found.code == 1
    assert found.err.count("not JSON") == 5
    assert f"{log}, line 2: not JSON" in found.err
    assert "and 3 more lines" in found.err
    assert "8 rows that could not be imported" in found.out
    written = [json.loads(line) for line in errors.read_text().splitlines()]
    assert [item["line"] for item in written] == list(range(2, 10))


def test_tables_with_columns_of_their_own(run: RunCommand, tmp_path: Path) -> None:
    """`--map` names the columns of a table; a field that does not exist is refused with those that do."""
    table = tmp_path / "a.csv"
    table.write_text("llm,in,out,at\ngpt-5.4,100,5,2026-11-02T10:00:00Z\n")
    db = f"duckdb:{tmp_path / 'calls.duckdb'}"

    found = run(
        "import",
        str(table),
        "--db",
        db,
        "--map",
        "model=llm,input_tokens=in,output_tokens=out,time=at",
        "--service",
        "s",
    )
    wrong = run("import", str(table), "--db", db, "--map", "tokens=in")

    assert found.code == 0
    store = open_store(db)
    assert store.sql("SELECT request_model, input_tokens, service_name FROM llm_calls").to_pylist() == [
        {"request_model": "gpt-5.4", "input_tokens": 100, "service_name": "s"}
    ]
    store.close()
    assert wrong.code == 2
    assert "fields: model, input_tokens" in wrong.err


def test_what_is_not_there(run: RunCommand, tmp_path: Path) -> None:
    """A file that is not there, or an errors file that cannot be written, is an error in one line."""
    log = write(tmp_path / "a.jsonl", [exchange(1)])
    db = f"duckdb:{tmp_path / 'calls.duckdb'}"

    missing = run("import", str(tmp_path / "no.jsonl"), "--db", db)
    unwritable = run("import", log, "--db", db, "--errors", str(tmp_path / "no" / "errors"))

    assert (missing.code, unwritable.code) == (1, 1)
    assert "no such file" in missing.err
    assert "cannot be written" in unwritable.err
