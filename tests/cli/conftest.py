"""Runs the command line in this process, on stores of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.cli import main

if TYPE_CHECKING:
    from conftest import Worlds

POLICY = """\
version = 1
mode = "enforce"

[[rule]]
id = "cheap"
when = { use_case = ["uc_0"] }
to = "claude-haiku-5-5"
share = 0.5
holdout = 0.1
"""


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


RunCommand = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test; a store that is not named lies in the test's own folder."""
    import os

    for name in [*os.environ]:
        if name.startswith(("TIERWISE_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Runs `tierwise ARGUMENTS`."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Path:
    """A DuckDB file with calls up to now, half of them routed, and pairs of equal quality; copy it before writing."""
    from tierwise.store.duckdb import DuckDBStore

    path = tmp_path_factory.mktemp("store") / "calls.duckdb"
    store = DuckDBStore.open(path)
    world = worlds.make(1, conversations=500, pair_share=0.4, as_of=datetime.now(UTC))
    worlds.fill(store, world, calls=worlds.route(world, rule_id="cheap", share=0.5, holdout=0.1, seed=1))
    store.put_policy(POLICY, who="ada", why="try it", based_on=None)
    with store.cursor() as cursor:
        cursor.execute("UPDATE policies SET created_at = created_at - INTERVAL 30 DAY")
    store.close()
    return path


@pytest.fixture
def db(populated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A populated store of the test's own, as TIERWISE_DB."""
    path = tmp_path / "calls.duckdb"
    path.write_bytes(populated.read_bytes())
    url = f"duckdb:{path}"
    monkeypatch.setenv("TIERWISE_DB", url)
    return url
