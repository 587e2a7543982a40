from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_rows_as_table_and_json(run: RunCommand, db: str) -> None:
    """The rows of a statement are printed under their names, numbers to the right, NULL empty; or as JSON."""
    statement = "SELECT 'a' AS name, 1.5::DECIMAL(9, 2) AS cost, NULL AS nothing"

    assert run("sql", statement).out == "name  cost  nothing\na     1.50\n"
    assert run("sql", statement, "--json").json == [{"name": "a", "cost": 1.5, "nothing": None}]


def test_it_only_reads(run: RunCommand, db: str) -> None:
    """A statement that would change the store, and one that is wrong, are refused in one line."""
    changing = run("sql", "DELETE FROM llm_calls")
    wrong = run("sql", "SELECT nothing FROM nowhere")

    assert (changing.code, wrong.code) == (1, 1)
    assert changing.err.startswith("tierwise: ")
    assert "nowhere" in wrong.err
    assert run("sql", "SELECT count(*) > 0 AS left_alone FROM llm_calls", "--json").json == [{"left_alone": True}]


def test_too_many_rows_are_refused(run: RunCommand, db: str) -> None:
    """More rows than asked for are an error, not a flood."""
    assert run("sql", "FROM range(11)", "--max-rows", "10").code == 1
