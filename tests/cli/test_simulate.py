from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_the_policy_in_force(run: RunCommand, db: str) -> None:
    """Simulating the policy that routed the traffic gives back what was billed, in table and JSON."""
    found = run("simulate", "--json")
    table = run("simulate").out

    assert found.code == 0
    assert found.json["baseline_usd"] == found.json["simulated_usd"] > 0
    assert "100.0% priced" in table
    assert "cheap" in table


def test_another_policy(run: RunCommand, db: str, tmp_path: Path) -> None:
    """A policy file is simulated with its saving, its interval and what it rests on."""
    path = tmp_path / "policy.toml"
    path.write_text('mode = "enforce"\n[[rule]]\nid = "all"\nto = "claude-haiku-5-5"\n')

    result = run("simulate", "--policy", str(path), "--json").json
    table = run("simulate", "--policy", str(path)).out

    assert result["saving"]["low"] < result["saving"]["value"] < result["saving"]["high"]
    assert result["rules"][0]["certificate"]["certified"]
    assert "saving, net of it" in table
    assert "  - " in table


@pytest.mark.parametrize(
    ("option", "value", "left_out"), [("--quality-floor", "0.9999", True), ("--share", "0.5", False)]
)
def test_knobs(run: RunCommand, db: str, tmp_path: Path, option: str, value: str, left_out: bool) -> None:
    """What-if options reach the simulation."""
    path = tmp_path / "policy.toml"
    path.write_text('mode = "enforce"\n[[rule]]\nid = "all"\nto = "claude-haiku-5-5"\n')

    full = run("simulate", "--policy", str(path), "--json").json
    changed = run("simulate", "--policy", str(path), option, value, "--json").json

    assert changed["saving"]["value"] < full["saving"]["value"]
    assert (changed["rules"][0]["left_out"] is not None) == left_out


def test_without_a_policy(run: RunCommand, db: str, tmp_path: Path) -> None:
    """An empty store has no policy to simulate; a broken file is refused with its line."""
    broken = tmp_path / "broken.toml"
    broken.write_text("mode = 'fast'\n")
    from tierwise.store.duckdb import DuckDBStore

    DuckDBStore.open(tmp_path / "empty.duckdb").close()

    none = run("simulate", "--db", f"duckdb:{tmp_path / 'empty.duckdb'}")
    refused = run("simulate", "--policy", str(broken))

    assert (none.code, refused.code) == (1, 1)
    assert "no policy is in force" in none.err
    assert "line 1" in refused.err


def test_judging_costs_what_one_says(run: RunCommand, db: str) -> None:
    """A price for judging is a cost of evaluation only where something was judged."""
    plain, priced = (
        run("simulate", *options, "--json").json for options in ((), ("--judge-usd", "5", "--review-usd", "5"))
    )

    assert plain["evaluation_cost_usd"] == priced["evaluation_cost_usd"]
    assert run("simulate", "--judge-usd", "much").code == 2


def test_added_up_calls_are_the_calls(run: RunCommand, db: str, tmp_path: Path) -> None:
    """A policy without size limits is simulated on added-up calls, and one whose limit leaves everything in agrees."""
    plain, sized = tmp_path / "plain.toml", tmp_path / "sized.toml"
    text = 'mode = "enforce"\n[[rule]]\nid = "a"\nkind = "route"\nto = "claude-haiku-5-5"\n'
    plain.write_text(text)
    sized.write_text(text + "when = { max_input_tokens = 100000000 }\n")

    on_cells, on_calls = (run("simulate", "--policy", str(path), "--json").json for path in (plain, sized))

    assert on_cells["baseline_usd"] == on_calls["baseline_usd"]
    assert float(on_cells["simulated_usd"]) == pytest.approx(float(on_calls["simulated_usd"]), rel=1e-3)
    assert on_cells["window_days"] == pytest.approx(on_calls["window_days"], rel=1e-3)
