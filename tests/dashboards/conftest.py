"""The dashboard run in this process, page by page, on an empty store and on a populated one."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import opening
import populated
import pytest
import streamlit as st
from opening import OpenPage
from streamlit import config

from tierwise.store import Store, open_store


@pytest.fixture(scope="session")
def populated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A populated store that nobody has open."""
    path = tmp_path_factory.mktemp("populated") / "calls.duckdb"
    populated.create(path)
    return path


@pytest.fixture
def empty_db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty store, which the dashboard is set to."""
    return _set(f"duckdb:{tmp_path / 'empty.duckdb'}", monkeypatch)


@pytest.fixture
def populated_db(populated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a populated store of this test's own, which the dashboard is set to."""
    path = tmp_path / "calls.duckdb"
    shutil.copy(populated_file, path)
    return _set(f"duckdb:{path}", monkeypatch)


def _set(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TIERWISE_DB", url)
    return url


@pytest.fixture
def store(populated_db: str) -> Generator[Store]:
    """The populated store, beside the dashboard's own connection to it."""
    opened = open_store(populated_db)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def fresh_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    """No read and no store of another test, no settings file of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TIERWISE_TOKEN", "TIERWISE_ROLES", "TIERWISE_TRACE_URL", "TIERWISE_PRICES"):
        monkeypatch.delenv(name, raising=False)
    # What .streamlit/config.toml beside the app says; a test of the app in this process does not read it.
    config.set_option("server.address", "127.0.0.1")
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_page() -> OpenPage:
    """Draws a page of the dashboard."""
    return opening.open_page
