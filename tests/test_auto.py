from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(script: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIERWISE_", "PYTEST"))}
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
        env={**clean, "XDG_CONFIG_HOME": str(cwd), **environ},
    )


def test_one_line(tmp_path: Path) -> None:
    """Importing it instruments, with the settings of the environment, and says nothing."""
    script = """
import tierwise.auto
from tierwise.instrumentation import _wrap
print(_wrap.active_runtime().settings.tenant, _wrap.active_runtime().router)
"""
    done = run(script, tmp_path, TIERWISE_TENANT="acme")

    assert (done.stdout, done.stderr) == ("acme None\n", "")


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"TIERWISE_MODE": "on"}, "SettingsError: TIERWISE_MODE is 'on'; allowed: off, shadow, enforce"),
        ({"TIERWISE_POLICY": "missing.toml"}, "PolicyError: missing.toml"),
    ],
    ids=["setting", "policy"],
)
def test_what_cannot_be_used(environ: dict[str, str], error: str, tmp_path: Path) -> None:
    """A bad setting or a missing policy stops the program at its start, with the value and what is allowed."""
    done = run("import tierwise.auto", tmp_path, **environ)

    assert done.returncode == 1
    assert error in done.stderr


def test_any_other_failure(tmp_path: Path) -> None:
    """Whatever else goes wrong while starting is one line in the log, and the program goes on."""
    script = """
from tierwise import prices
def fail(path):
    raise RuntimeError("broken")
prices.configure = fail
import tierwise.auto
print("running")
"""
    done = run(script, tmp_path)

    assert done.stdout == "running\n"
    assert "tierwise failed while starting (RuntimeError). Your call is not affected" in done.stderr
