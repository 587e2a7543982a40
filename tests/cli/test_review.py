from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.store import open_store

if TYPE_CHECKING:
    from cli.conftest import RunCommand


@pytest.fixture
def watched(db: str) -> str:
    """A store whose pairs are nearly all drawn for review."""
    store = open_store(db)
    current = store.current_policy()
    assert current is not None
    text = f"{current.text}\n[rule.review]\nsample = 0.9\n"
    store.put_policy(text, who="ada", why="", based_on=current.version)
    store.sql("SELECT 1")
    store.close()
    import duckdb

    with duckdb.connect(db.removeprefix("duckdb:")) as connection:
        connection.execute("UPDATE llm_calls SET rule_id = 'cheap', policy_version = 2 WHERE shadow_of_span_id IS NULL")
    return db


def keys(monkeypatch: pytest.MonkeyPatch, pressed: str) -> None:
    """Have the reviewer press these keys, one a line as in a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{key}\n" for key in pressed)))


def standing(db: str) -> list[dict[str, Any]]:
    store = open_store(db)
    rows = [row for row in store.query("reviews").to_pylist() if row["undone_at"] is None]
    store.close()
    return rows


def test_a_sitting(run: RunCommand, watched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key is a verdict, undo takes the last one back, q ends it, and agreement is shown at the end."""
    keys(monkeypatch, "atxu" + "tnsq")

    found = run("review", "--who", "ada")

    assert found.code == 0
    assert "4 recorded." in found.out
    assert "Taken back." in found.out
    assert "4 pairs reviewed" in found.out
    assert "Agreement with people" in found.out
    rows = standing(watched)
    assert sorted(row["verdict"] for row in rows if row["verdict"] != rows[-1]["first"]) == [
        "both_bad",
        "both_good",
        "skip",
    ]
    assert {row["reviewer"] for row in rows} == {"ada"}


def test_stopping_keeps_what_was_said(run: RunCommand, watched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle ends the sitting cleanly with everything recorded."""

    class Interrupted(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            line = super().readline()
            if not line:
                raise KeyboardInterrupt
            return line

    monkeypatch.setattr("sys.stdin", Interrupted("t\nt\n"))

    found = run("review")

    assert (found.code, len(standing(watched))) == (0, 2)


def test_limit_and_use_case(run: RunCommand, watched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more pairs are asked about than the limit says, and only those of the use case."""
    keys(monkeypatch, "tttttttt")

    assert "3 recorded." in run("review", "--limit", "3").out
    assert "No pair waits" in run("review", "--use-case", "nothing").out
    assert run("review", "--limit", "0").code == 1


def test_json_is_the_summary_alone(run: RunCommand, watched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the pairs are shown beside the document, which has counts, agreement and what waits."""
    keys(monkeypatch, "tq")

    found = run("review", "--json")

    assert found.json["verdicts"]["both_good"] == 1
    assert found.json["waiting"] > 0
    assert "A is better" in found.err
    assert run("review", "--summary", "--json").json == found.json


def test_out_and_back(run: RunCommand, watched: str, tmp_path: Path) -> None:
    """Exported pairs come back with verdicts, once."""
    path = tmp_path / "pairs.jsonl"
    assert run("review", "--export", str(path), "--limit", "2", "--json").json["pairs"] == 2
    lines = [{**json.loads(line), "verdict": "tie"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    first = run("review", "--import", str(path), "--who", "grace", "--json").json
    second = run("review", "--import", str(path), "--who", "grace").out

    assert first == {"recorded": 2, "undecided": 0, "left_out": 0}
    assert second.startswith("0 verdicts recorded")
    assert {row["reviewer"] for row in standing(watched)} == {"grace"}
    assert run("review", "--import", str(tmp_path / "missing.jsonl")).code == 1


def test_retuning_without_a_cascade(run: RunCommand, watched: str) -> None:
    """Without a rule that escalates there is nothing to tune, and --apply needs --retune."""
    assert "nothing to tune" in run("review", "--retune").out
    assert run("review", "--retune", "--json").json["proposed"] is None
    assert run("review", "--apply").code == 1
