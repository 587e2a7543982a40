from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_rules_are_measured(run: RunCommand, db: str) -> None:
    """Each rule that ran shows its arms and what it saved per call, with its interval."""
    found = run("verify")
    (rule,) = run("verify", "--json").json

    assert found.code == 0
    assert "cheap" in found.out
    assert "nothing predicted" in found.out
    per_call = rule["realised"]["per_call"]
    assert 0 < per_call["low"] < per_call["value"] < per_call["high"]


def test_nothing_in_force(run: RunCommand, tmp_path: object) -> None:
    """A store without a policy has nothing to verify, which is no failure."""
    from tierwise.store.duckdb import DuckDBStore

    DuckDBStore.open(f"{tmp_path}/empty.duckdb").close()

    found = run("verify", "--db", f"duckdb:{tmp_path}/empty.duckdb", "--strict")

    assert found.code == 0
    assert "nothing to verify" in found.out


def test_strict_fails_on_a_concern(run: RunCommand, db: str) -> None:
    """With --strict a rule that something speaks against makes the exit code 1."""
    from tierwise.store.duckdb import DuckDBStore

    store = DuckDBStore.open(db.removeprefix("duckdb:"))
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET cost_usd = cost_usd * 100 WHERE arm = 'canary'")
    store.close()

    relaxed, strict = run("verify"), run("verify", "--strict")

    assert (relaxed.code, strict.code) == (0, 1)
    assert "! cheap: it costs more than the requested model" in strict.out
