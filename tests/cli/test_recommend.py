from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_the_list_has_an_id_a_state_and_an_interval(run: RunCommand, db: str) -> None:
    """Each recommendation is a line with what a person needs to go on, and an object with everything in JSON."""
    found = run("recommend")
    (item,) = run("recommend", "--json").json

    assert found.code == 0
    title, _, line = found.out.splitlines()[:3]
    assert title.startswith("In the last ")
    assert line.startswith(item["id"])
    assert "certified" in line
    assert "claude-opus-5-5 → claude-haiku-5-5" in line
    assert line.count("[") == 2
    assert item["monthly_saving"]["low"] < item["monthly_saving"]["value"] < item["monthly_saving"]["high"]


def test_one_in_full(run: RunCommand, db: str) -> None:
    """With an id the card shows evidence, assumptions and alternatives."""
    (item,) = run("recommend", "--json").json

    card = run("recommend", item["id"][:10]).out

    assert all(
        words in card for words in ("saving a month", "quality kept", "time to answer", "Assumptions", "Alternatives")
    )
    assert run("recommend", item["id"], "--json").json["id"] == item["id"]


def test_putting_away_and_taking_up(run: RunCommand, db: str) -> None:
    """Dismissing, snoozing and reopening change the state, by id, with the reason in the audit log."""
    (item,) = run("recommend", "--json").json

    dismissed = run("recommend", item["id"], "--dismiss", "--why", "contract", "--json").json
    reopened = run("recommend", item["id"], "--reopen", "--json").json
    snoozed = run("recommend", item["id"], "--snooze", "2999-01-01", "--who", "ada", "--json").json

    assert [entry["state"] for entry in (dismissed, reopened, snoozed)] == ["dismissed", "certified", "snoozed"]
    assert "snoozed until" in run("recommend", item["id"]).out
    log = run("sql", "SELECT action, who, why FROM audit_log WHERE why = 'contract'", "--json").json
    assert log[0]["action"] == "recommendation.dismissed"


def test_ids_are_needed_and_must_exist(run: RunCommand, db: str) -> None:
    """An action without an id is wrong usage; an id that does not exist is an error."""
    assert run("recommend", "--dismiss").code == 2
    missing = run("recommend", "rec_nope")
    assert missing.code == 1
    assert "no recommendation has the id 'rec_nope'" in missing.err


def test_nothing_to_recommend(run: RunCommand, tmp_path: object) -> None:
    """An empty store says so in words and gives an empty list in JSON."""
    url = f"duckdb:{tmp_path}/empty.duckdb"

    assert run("recommend", "--db", url).out.startswith("No recommendations")
    assert run("recommend", "--db", url, "--json").json == []


def test_every_number_is_explained(run: RunCommand, db: str) -> None:
    """`--explain` prints the SQL of each figure, and that SQL gives the figure when `tierwise sql` runs it."""
    (item,) = run("recommend", "--json").json

    found = run("recommend", item["id"], "--explain", "--json").json

    spend = next(figure for figure in found["figures"] if figure["name"] == "spend_usd")
    (row,) = run("sql", spend["sql"], "--json").json
    assert float(next(iter(row.values()))) == float(item["spend_usd"])
    assert "-- spend_usd" in run("recommend", item["id"], "--explain").out
    assert run("recommend", "--explain").code == 2


def test_levers_are_listed_and_shown(run: RunCommand, db: str) -> None:
    """`--levers` lists other ways to save, and an id shows one in full."""
    listed = run("recommend", "--levers", "--offline", "uc_0", "--json").json

    batch = next(lever for lever in listed if lever["kind"] == "batch_tier")
    card = run("recommend", batch["id"], "--offline", "uc_0").out
    assert "batch tier" in run("recommend", "--levers", "--offline", "uc_0").out
    assert all(words in card for words in ("saving a month", "Assumptions", "SELECT count(*)"))
    assert run("recommend", "lev_nope").code == 1
