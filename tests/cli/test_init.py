from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tierwise import cli
from tierwise.errors import StoreError

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_help_lists_every_command(run: RunCommand) -> None:
    """`tierwise --help` names each command with what it does."""
    found = run("--help")

    assert found.code == 0
    assert all(f"  {name} " in found.out and summary in found.out for name, summary in cli.COMMANDS.items())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(run: RunCommand, name: str) -> None:
    """`tierwise COMMAND --help` says what it does, takes --json or starts something, and ends with examples."""
    found = run(name, "--help")

    assert found.code == 0
    assert cli.load(name).__doc__ is not None
    examples = found.out.partition("\nexamples:\n")[2]
    assert f"tierwise {name}" in examples
    assert "--json" in found.out or "--port" in found.out or "ACTION" in found.out


def test_the_version_is_told(run: RunCommand) -> None:
    """`tierwise --version` names the installed version."""
    from importlib.metadata import version

    assert run("--version").out == f"tierwise {version('tierwise')}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "no command given"), (("recomend",), "did you mean `tierwise recommend`?"), (("xyzzy",), "unknown command")],
)
def test_wrong_commands_are_usage_errors(run: RunCommand, arguments: tuple[str, ...], words: str) -> None:
    """A missing or misspelt command exits with 2 and a way out."""
    found = run(*arguments)

    assert found.code == 2
    assert words in found.err
    assert found.out == ""


def test_wrong_options_are_usage_errors(run: RunCommand) -> None:
    """argparse's own complaint exits with 2 and does not leave the process."""
    assert run("simulate", "--days", "yesterday").code == 2


def test_a_wrong_setting_is_a_usage_error(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be used exits with 2, named with what is allowed."""
    monkeypatch.setenv("TIERWISE_MODE", "on")

    found = run("recommend")

    assert found.code == 2
    assert found.err == "tierwise: TIERWISE_MODE is 'on'; allowed: off, shadow, enforce\n"


class _Failing:
    EXAMPLES = ""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def configure(self, parser: Any) -> None: ...

    def run(self, options: Any) -> int:
        raise self._error


def test_errors_are_one_line_without_a_traceback(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours exits with 1 and says what it is; with TIERWISE_DEBUG=1 it is raised."""
    monkeypatch.setattr(cli, "load", lambda name: _Failing(StoreError("the disk is full")))

    found = run("doctor")

    assert (found.code, found.out, found.err) == (1, "", "tierwise: the disk is full\n")
    monkeypatch.setenv("TIERWISE_DEBUG", "1")
    with pytest.raises(StoreError):
        run("doctor")


def test_a_missing_extra_says_what_to_install(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of an extra that is not there is a hint, not a traceback; any other missing module is a bug."""
    monkeypatch.setattr(cli, "load", lambda name: _Failing(ModuleNotFoundError("no", name="pyarrow.parquet")))

    found = run("export")

    assert found.code == 1
    assert "pip install 'tierwise[collector]'" in found.err
    monkeypatch.setattr(cli, "load", lambda name: _Failing(ModuleNotFoundError("no", name="tierwise.typo")))
    with pytest.raises(ModuleNotFoundError):
        run("export")


def test_ctrl_c_is_quiet(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt exits with 130 and says nothing."""
    monkeypatch.setattr(cli, "load", lambda name: _Failing(KeyboardInterrupt()))

    found = run("doctor")

    assert (found.code, found.out, found.err) == (130, "", "")


def test_a_closed_pipe_is_quiet(tmp_path: Any) -> None:
    """A reader that stops early ends the command without a complaint."""
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"messages": [{"role": "user", "content": "Translate: good morning"}]}\n' * 20_000)
    command = f"{sys.executable} -m tierwise.cli classify {lines} | head -1"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_help_and_classify_load_nothing_heavy() -> None:
    """Looking at the help or classifying needs neither the store nor the analysis packages."""
    check = (
        "import sys; from tierwise.cli import main; main(['--help']); main(['classify', '/dev/null']); "
        "heavy = {'duckdb', 'numpy', 'pandas', 'pyarrow', 'rich', 'starlette', 'streamlit', 'uvicorn'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
