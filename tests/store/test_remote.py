from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tierwise.errors import CollectorUnavailable, StoreError
from tierwise.ingest.serve import running_collector
from tierwise.settings import Settings
from tierwise.store import open_store


@contextmanager
def answering(status: int, body: bytes) -> Generator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nobody_there_says_how_to_start(tmp_path: Path) -> None:
    """When no collector answers, the error names the address and the command."""
    with pytest.raises(CollectorUnavailable, match=r"127\.0\.0\.1:9 .*tierwise collect"):
        open_store("http://127.0.0.1:9")


def test_wrong_token_says_which_setting(tmp_path: Path) -> None:
    """A collector that asks for a token answers only to the right one."""
    with running_collector(tmp_path / "calls.duckdb", settings=Settings(token="secret")) as collector:
        for token in (None, "wrong", "secre"):
            with pytest.raises(CollectorUnavailable, match="TIERWISE_TOKEN"):
                open_store(collector.url, token=token)

        assert open_store(collector.url, token="secret").query("calls").num_rows == 0


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>"), (500, b'{"error": "Weird"}'), (502, b"")])
def test_something_else_is_no_collector(status: int, body: bytes) -> None:
    """An answer that a collector would not give is not taken for one."""
    with answering(status, body) as url, pytest.raises(CollectorUnavailable, match=str(status)):
        open_store(url)


def test_url_without_a_host_is_refused() -> None:
    """A URL that names no host is an error of its own."""
    with pytest.raises(StoreError, match="names no host"):
        open_store("http://")


def test_collector_that_went_away_is_unavailable(tmp_path: Path) -> None:
    """A store whose collector stopped says so at the next use."""
    with running_collector(tmp_path / "calls.duckdb") as collector:
        store = open_store(collector.url)

    with pytest.raises(CollectorUnavailable, match="no collector answers"):
        store.current_policy()
