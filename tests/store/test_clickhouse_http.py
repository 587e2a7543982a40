from __future__ import annotations

import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest

from tierwise.errors import StoreError
from tierwise.store.clickhouse_http import ClickHouse, ClickHouseAddress, identifier


class TestAddress:
    def test_everything_said(self) -> None:
        """User, password, port, database and options come from the URL."""
        address = ClickHouseAddress.parse(
            "clickhouse://ana:s%40crt@ch:9000/otel?traces=t&logs=l&days=7&mirror=/m.duckdb"
        )

        assert (address.user, address.password, address.host, address.port) == ("ana", "s@crt", "ch", 9000)
        assert (address.database, address.traces, address.logs, address.days) == ("otel", "t", "l", 7)
        assert address.mirror == "/m.duckdb"

    @pytest.mark.parametrize(("query", "port"), [("", 8123), ("?secure=1", 8443), ("?secure=0", 8123)])
    def test_nothing_said(self, query: str, port: int) -> None:
        """The defaults are the exporter's tables, ClickHouse's user and database, and its port with or without TLS."""
        address = ClickHouseAddress.parse(f"clickhouse://ch{query}", password="from elsewhere")

        assert (address.user, address.password, address.port) == ("default", "from elsewhere", port)
        assert (address.database, address.traces, address.logs) == ("default", "otel_traces", "otel_logs")

    def test_its_url_is_the_same_address(self) -> None:
        """The URL of an address gives that address again, but for the password."""
        address = ClickHouseAddress.parse("clickhouse://a%3Ab:secret@ch/otel?secure=1&days=3&mirror=/a b.duckdb")

        assert ClickHouseAddress.parse(address.url, password="secret") == address
        assert "secret" not in address.url

    @pytest.mark.parametrize(
        "url",
        [
            "clickhouse://",
            "clickhouse://ch:port/x",
            "clickhouse://ch?days=0",
            "clickhouse://ch?days=x",
            "clickhouse://ch?table=t",
        ],
    )
    def test_other_urls_are_refused(self, url: str) -> None:
        """A URL without a host, or with options that do not exist or cannot be, is refused."""
        with pytest.raises(StoreError, match="clickhouse"):
            ClickHouseAddress.parse(url)


def test_identifiers_are_quoted() -> None:
    """A name with a backtick stays one name."""
    assert identifier("a`b\\") == "`a\\`b\\\\`"


class Answering:
    """An HTTP server that keeps requests and answers as it is told."""

    def __init__(self) -> None:
        self.status, self.content = 200, b""
        self.requests: list[tuple[dict[str, list[str]], dict[str, str], str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((parse_qs(urlsplit(self.path).query, keep_blank_values=True), headers, body))
                self.send_response(outer.status)
                self.send_header("content-length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def clickhouse(self) -> ClickHouse:
        return ClickHouse(ClickHouseAddress.parse(f"clickhouse://ana:pw@127.0.0.1:{self.server.server_port}/otel"))


@pytest.fixture
def answering() -> Generator[Answering]:
    """A server."""
    opened = Answering()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


class TestStatements:
    def test_rows(self, answering: Answering) -> None:
        """A SELECT goes with database, user and parameters, escaped as the server reads them; Arrow comes back."""
        table = pa.table({"n": [1, 2]})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        answering.content = sink.getvalue().to_pybytes()

        rows = answering.clickhouse.rows("SELECT {x:String}", x="a\tb\\", n=5)

        ((given, headers, body),) = answering.requests
        assert rows.to_pydict() == {"n": [1, 2]}
        assert (given["database"], given["param_x"], given["param_n"]) == (["otel"], ["a\\tb\\\\"], ["5"])
        assert (headers["x-clickhouse-user"], headers["x-clickhouse-key"]) == ("ana", "pw")
        assert body == "SELECT {x:String}\nFORMAT ArrowStream"

    def test_insert(self, answering: Answering) -> None:
        """Rows are appended as one JSON object a line."""
        answering.clickhouse.insert("t", [{"a": 1}, {"a": "é"}])

        assert answering.requests[0][2] == 'INSERT INTO `t` FORMAT JSONEachRow\n{"a": 1}\n{"a": "é"}'

    def test_refusal(self, answering: Answering) -> None:
        """The first line of what the server says is the error's message."""
        answering.status, answering.content = 404, b"Code: 60. DB::Exception: no such table\nstack"

        with pytest.raises(StoreError, match=r"no such table$"):
            answering.clickhouse.run("SELECT 1")

    def test_nobody_answers(self, answering: Answering) -> None:
        """A port where nobody listens is a StoreError that names it."""
        answering.server.server_close()

        with pytest.raises(StoreError, match=r"no ClickHouse answers at 127\.0\.0\.1"):
            answering.clickhouse.run("SELECT 1")
