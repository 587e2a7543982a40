from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tierwise.cli import dashboard
from tierwise.errors import TierwiseError
from tierwise.settings import Settings

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_the_app_is_found() -> None:
    """In a clone it lies beside `src`, in a wheel inside the package."""
    assert dashboard.app_path().name == "app.py"


def test_an_installation_without_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Where the files are in neither place, the way out is named."""
    monkeypatch.setattr(dashboard.tierwise, "__file__", f"{tmp_path}/a/b/tierwise/__init__.py")

    with pytest.raises(TierwiseError, match=r"pip install 'tierwise\[dashboard\]'"):
        dashboard.app_path()


def test_without_streamlit(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages the dashboard says what to install."""
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)

    found = run("dashboard")

    assert found.code == 1
    assert "pip install 'tierwise[dashboard]'" in found.err


def test_a_taken_port(run: RunCommand) -> None:
    """A port in use is an error in one line, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        found = run("dashboard", "--port", str(taken.getsockname()[1]))

    assert found.code == 1
    assert "cannot listen on" in found.err


def test_off_loopback_it_answers_to_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Served on another address, the dashboard accepts that address and this machine's name, and no others."""
    started: list[dict[str, str]] = []
    monkeypatch.setattr(dashboard, "require_free_port", lambda *_: None)
    monkeypatch.setattr(dashboard.subprocess, "Popen", lambda command, *, env, **_: started.append(env))

    dashboard.start(Settings(), db="memory:", host="192.0.2.7")
    dashboard.start(Settings(), db="memory:")

    assert started[0]["STREAMLIT_SERVER_ALLOWED_HOSTS"].split()[:2] == ["192.0.2.7", socket.gethostname()]
    assert "STREAMLIT_SERVER_ALLOWED_HOSTS" not in started[1]
