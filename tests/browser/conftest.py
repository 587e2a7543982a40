"""A collector on a populated store, the dashboard served in a process of its own, and a real Chromium looking at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path

import populated
import pytest
from playwright.sync_api import Browser, sync_playwright
from tab import Tab

from tierwise.ingest.serve import Collector, running_collector

APP = Path(__file__).parents[2] / "dashboards" / "app.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_START_S = 60.0


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Generator[Collector]:
    """A collector that holds a populated store."""
    path = tmp_path_factory.mktemp("browser") / "calls.duckdb"
    populated.create(path)
    with running_collector(path) as running:
        yield running


@pytest.fixture(scope="module")
def dashboard(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """URL of a dashboard that is set to the collector's file, and finds the collector by it."""
    folder = tmp_path_factory.mktemp("dashboard")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "TIERWISE_DB": collector.store.url, "XDG_CONFIG_HOME": str(folder)}
    environment.pop("TIERWISE_TOKEN", None)
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            [*command, "--server.fileWatcherType", "none"], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            _wait_until_healthy(url, server, folder / "output")
            yield url
            assert server.poll() is None, (folder / "output").read_text(encoding="utf-8")
        finally:
            server.terminate()
            server.wait(timeout=10)


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard does not start: {output.read_text(encoding='utf-8')}")


@pytest.fixture
def tab(browser: Browser, dashboard: str) -> Generator[Tab]:
    """A fresh tab; when the test ends, nothing has been asked of anybody else, and nothing has crashed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="America/Los_Angeles")
    opened = Tab(context.new_page(), dashboard)
    opened.watch()
    yield opened
    errors, external = opened.errors, opened.external
    context.close()
    assert errors == []
    assert external == []
