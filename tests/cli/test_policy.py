from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tierwise.routing.policy import parse
from tierwise.routing.source import FileSource

if TYPE_CHECKING:
    from cli.conftest import RunCommand

POLICY = """\
mode = "enforce"
[[rule]]
id = "cheap"
when = { use_case = ["uc_0"] }
to = "claude-haiku-5-5"
share = 0.5
holdout = 0.1
"""
FILE = """\
# reviewed
mode = "enforce"
[[rule]]
id = "math"
when = { task_type = ["math"] }
to = "claude-haiku-5-5"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A policy file."""
    path = tmp_path / "policy.toml"
    path.write_text(FILE)
    return str(path)


def test_check_says_what_a_file_does(run: RunCommand, file: str, tmp_path: Path) -> None:
    """A good file is described, a bad one refused with its line and exit code 1."""
    (tmp_path / "bad.toml").write_text('[[rule]]\nid = "x"\nkind = "rout"\n')

    good, bad = run("policy", "check", file), run("policy", "check", str(tmp_path / "bad.toml"))

    assert good.code == 0
    assert "math" in good.out
    assert run("policy", "check", file, "--json").json["rules"][0]["id"] == "math"
    assert bad.code == 1
    assert "line 3" in bad.err


def test_show(run: RunCommand, db: str) -> None:
    """The policy in force in words, as text and as JSON; a version that is not there is an error."""
    assert "By ada" in run("policy", "show").out
    assert parse(run("policy", "show", "--text").out).rules[0].id == "cheap"
    assert run("policy", "show", "--json").json["mode"] == "enforce"
    assert "no policy version 9" in run("policy", "show", "--version", "9").err


def test_diff(run: RunCommand, db: str, file: str) -> None:
    """Against the policy in force, between files, and between versions."""
    against = run("policy", "diff", file)
    run("policy", "apply", file, "--why", "new")

    assert 'rule "math" is new' in against.out
    assert 'rule "cheap" is gone' in run("policy", "diff", "1", "2").out
    assert run("policy", "diff", file).out == "They say the same.\n"
    assert run("policy", "diff", file, file, "--json").json == []
    assert run("policy", "diff", file, file, file).code == 1


def test_apply_a_file(run: RunCommand, db: str, file: str) -> None:
    """The file becomes the next version, comments and all, and what changed is told."""
    found = run("policy", "apply", file, "--why", "review", "--who", "grace")

    assert found.code == 0
    assert "Policy version 2 is in force." in found.out
    assert 'rule "math" is new' in found.out
    assert "# reviewed" in run("policy", "show", "--text").out
    history = run("policy", "history", "--json").json
    assert [(entry["version"], entry["who"], entry["why"]) for entry in history] == [
        (2, "grace", "review"),
        (1, "ada", "try it"),
    ]
    assert "grace" in run("policy", "history").out


def test_apply_refuses_a_stale_basis_and_half_an_answer(run: RunCommand, db: str, file: str) -> None:
    """A version that is no longer in force, nothing to apply, or two things at once change nothing."""
    for arguments in ((file, "--based-on", "7"), (), (file, "--recommendation", "rec_1")):
        assert run("policy", "apply", *arguments).code == 1
    assert run("policy", "show", "--json").json["version"] == 1


def test_apply_and_roll_back_a_recommendation(run: RunCommand, db: str) -> None:
    """A recommendation is put in force as a canary and taken out again."""
    item = run("recommend", "--json").json[0]

    applied = run("policy", "apply", "--recommendation", item["id"], "--share", "10%", "--holdout", "3%", "--json").json
    rolled_back = run("policy", "rollback", "--recommendation", item["id"], "--why", "complaints")

    assert applied["version"] == 2
    assert run("policy", "show", "--version", "2", "--json").json["rules"][0]["share"] == 0.1
    assert rolled_back.code == 0
    assert [rule["id"] for rule in run("policy", "show", "--json").json["rules"]] == ["cheap"]
    assert run("recommend", item["id"], "--json").json["state"] == "rolled_back"


def test_roll_back_to_a_version(run: RunCommand, db: str, file: str) -> None:
    """By default to the version before, else to the one named; each is a new version."""
    run("policy", "apply", file)

    run("policy", "rollback")
    back = run("policy", "show", "--json").json
    run("policy", "rollback", "--to", "2")
    forth = run("policy", "show", "--json").json

    assert (back["version"], back["rules"][0]["id"]) == (3, "cheap")
    assert (forth["version"], forth["rules"][0]["id"]) == (4, "math")


def test_the_kill_switch_on_the_store(run: RunCommand, db: str) -> None:
    """Off makes a new version in mode off, on one in the mode asked for."""
    off = run("policy", "off", "--why", "incident", "--json").json
    shown = run("policy", "show", "--json").json
    run("policy", "on", "--mode", "shadow")

    assert (off["action"], off["why"]) == ("off", "incident")
    assert shown["mode"] == "off"
    assert run("policy", "show", "--json").json["mode"] == "shadow"


def test_the_kill_switch_on_a_file_needs_no_store(
    run: RunCommand, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When TIERWISE_POLICY names a file, that file is switched and no store is opened or made."""
    monkeypatch.setenv("TIERWISE_POLICY", file)

    off = run("policy", "off")
    text = Path(file).read_text()
    on = run("policy", "on", "--json").json

    assert off.code == 0
    assert text == FILE.replace('"enforce"', '"off"')
    assert on == {"file": file, "mode": "enforce"}
    assert not (tmp_path / "data").exists()


def test_a_store_named_outright_is_switched_rather_than_the_file(
    run: RunCommand, db: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--db says which policy is meant, whatever TIERWISE_POLICY names; --file says it too."""
    monkeypatch.setenv("TIERWISE_POLICY", file)

    run("policy", "off", "--db", db)
    in_store, in_file = run("policy", "show", "--json").json["mode"], parse(Path(file).read_text()).mode
    run("policy", "off", "--file", file)

    assert (in_store, in_file) == ("off", "enforce")
    assert parse(Path(file).read_text()).mode == "off"


def test_nothing_to_go_back_to(run: RunCommand, tmp_path: Path) -> None:
    """Without a policy there is nothing to show or roll back."""
    url = f"duckdb:{tmp_path / 'new.duckdb'}"

    assert run("policy", "rollback", "--db", url).code == 1
    assert "no policy in the store yet" in run("policy", "show", "--db", url).err


def test_show_names_who_decides_by_what(run: RunCommand, db: str) -> None:
    """The applications of the last days are listed with the version that they decide by, and how far it is behind."""
    run("policy", "apply", "--why", "again", _file(POLICY.replace("share = 0.5", "share = 0.6")))

    shown = run("policy", "show")
    as_json = run("policy", "show", "--json").json

    assert "app decided by version 1, 1 behind the newest: last call " in shown.out
    assert [(row["service_name"], row["policy_version"]) for row in as_json["applications"]] == [("app", 1)]


def test_proposals_say_what_a_rule_waits_for(run: RunCommand, db: str) -> None:
    """The next share of each rule, with what is missing, as a table and as JSON; one that waits cannot be taken."""
    listed = run("policy", "proposals")
    (as_json,) = run("policy", "proposals", "--json").json
    taken = run("policy", "step-up", "cheap")

    assert listed.code == 0
    assert "cheap" in listed.out
    assert (as_json["rule_id"], as_json["share"], as_json["next_share"]) == ("cheap", 0.5, 1.0)
    assert as_json["ready"] is False
    assert as_json["waits_for"][0] in listed.out.replace("\n", " ")
    assert taken.code == 1
    assert "is not ready for a share of 1" in taken.err


def test_step_up_takes_the_next_share(run: RunCommand, db: str) -> None:
    """A canary with its days and calls behind it goes to the next share, by whoever says so."""
    run(
        "policy",
        "apply",
        _file(POLICY.replace("share = 0.5", "share = 0.05") + "[rule.guard]\nmin_days = 0\nmin_calls = 0\n"),
    )

    changed = run("policy", "step-up", "cheap", "--who", "ada", "--why", "two good weeks", "--json").json
    history = run("policy", "history", "--json").json

    assert (changed["version"], changed["changes"][0]["after"]) == (3, 0.1)
    assert (history[0]["who"], history[0]["action"], history[0]["why"]) == ("ada", "step_up", "two good weeks")


def test_sign_writes_the_signature_beside_the_file(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key a file is signed, and the kill switch signs it again; without one it is said what is missing."""
    path = Path(_file(POLICY))
    without = run("policy", "sign", str(path))
    monkeypatch.setenv("TIERWISE_POLICY_KEY", "secret")

    signed = run("policy", "sign", str(path))
    first = FileSource(str(path), key="secret").read_if_changed()
    off = run("policy", "off", "--file", str(path))
    second = FileSource(str(path), key="secret").read_if_changed()

    assert (without.code, signed.code, off.code) == (1, 0, 0)
    assert "TIERWISE_POLICY_KEY is not set" in without.err
    assert f"{path}.sig is written" in signed.out
    assert first is not None
    assert second is not None
    assert 'mode = "off"' in second.text


def _file(text: str) -> str:
    """The path of a policy file in the working folder, which is the test's own."""
    path = Path("policy.toml").resolve()
    path.write_text(text, encoding="utf-8")
    return str(path)
