from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_the_list_has_an_id_a_state_and_an_interval(run: RunCommand, db: str) -> None:
    """Each recommendation is a line with what a person needs to go on, and an object with everything in JSON."""
    found = run("recommend")
    item = run("recommend", "--json").json[0]

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
    item = run("recommend", "--json").json[0]

    card = run("recommend", item["id"][:10]).out

    assert all(
        words in card for words in ("saving a month", "quality kept", "time to answer", "Assumptions", "Alternatives")
    )
    assert run("recommend", item["id"], "--json").json["id"] == item["id"]


def test_putting_away_and_taking_up(run: RunCommand, db: str) -> None:
    """Dismissing, snoozing and reopening change the state, by id, with the reason in the audit log."""
    item = run("recommend", "--json").json[0]

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
    item = run("recommend", "--json").json[0]

    found = run("recommend", item["id"], "--explain", "--json").json

    spend = next(figure for figure in found["figures"] if figure["name"] == "spend_usd")
    (row,) = run("sql", spend["sql"], "--json").json
    assert float(next(iter(row.values()))) == float(item["spend_usd"])
    printed = run("recommend", item["id"], "--explain").out
    assert "-- spend_usd" in printed
    assert all(words in printed for words in ("-- quality kept", "betting e-process", "seed 0", "--as-of"))
    assert run("recommend", "--explain").code == 2


def test_an_interval_comes_out_again(run: RunCommand, db: str) -> None:
    """The command that an explained interval names gives the same recommendation again, and keeps nothing."""
    item = run("recommend", "--json").json[0]
    found = run("recommend", item["id"], "--explain", "--json").json
    interval = next(each for each in found["intervals"] if each["name"] == "window_saving")
    as_of = run("recommend", item["id"], "--json").json["as_of"]

    again = run(*interval["command"].split()[1:]).json

    assert again["window_saving"]["low"] == pytest.approx(interval["low"])
    assert again["window_saving"]["high"] == pytest.approx(interval["high"])
    assert run("recommend", item["id"], "--as-of", as_of, "--dismiss").code == 2


def test_levers_are_beside_the_models(run: RunCommand, db: str) -> None:
    """The list in JSON holds other ways to save too, by kind, and the list for people says how many there are."""
    items = run("recommend", "--json").json

    kinds = [item["kind"] for item in items]
    assert kinds[0] == "model"
    assert "change_outright" in kinds
    assert f"{len(kinds) - kinds.count('model')} other ways to save" in run("recommend").out


def test_a_lever_is_decided_about_like_a_model(run: RunCommand, db: str) -> None:
    """Levers are put away, taken up and claimed by id with the same options; a model is not claimed."""
    model, *levers = run("recommend", "--json").json
    lever = next(item for item in levers if item["kind"] == "change_outright")

    dismissed = run("recommend", lever["id"], "--dismiss", "--why", "contract", "--json").json
    run("recommend", lever["id"], "--reopen")
    claimed = run("recommend", lever["id"][:10], "--claim", "--why", "done", "--json").json

    assert (dismissed["state"], claimed["state"]) == ("dismissed", "enforced")
    assert "[taken up]" in run("recommend", lever["id"]).out
    assert run("recommend", model["id"], "--claim").code == 2


def test_levers_are_listed_and_shown(run: RunCommand, db: str) -> None:
    """`--levers` lists other ways to save, and an id shows one in full."""
    listed = run("recommend", "--levers", "--offline", "uc_0", "--json").json

    batch = next(lever for lever in listed if lever["kind"] == "batch_tier")
    card = run("recommend", batch["id"], "--offline", "uc_0").out
    assert "batch tier" in run("recommend", "--levers", "--offline", "uc_0").out
    assert all(words in card for words in ("saving a month", "Assumptions", "SELECT count(*)"))
    assert run("recommend", "lev_nope").code == 1
