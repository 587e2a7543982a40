"""ClickHouse over its HTTP interface: statements with bound parameters, rows as Arrow."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import pyarrow as pa

from tierwise.errors import StoreError

_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 600.0
_SETTINGS: Final = {
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    # Without it an error in the middle of an answer is text among the rows, with status 200.
    "wait_end_of_query": "1",
}
_OPTIONS: Final = frozenset({"days", "logs", "mirror", "secure", "traces"})


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """Where a ClickHouse is, and what of it is read."""

    host: str
    port: int
    database: str
    user: str
    password: str
    secure: bool
    """Over TLS."""
    traces: str
    """The table of spans."""
    logs: str
    """The table of log records."""
    days: int
    """How far back spans are read."""
    mirror: str | None
    """The DuckDB file that holds the calls; None: one in the user's cache folder."""

    @classmethod
    def parse(cls, url: str, *, password: str | None = None) -> Self:
        """The address in `clickhouse://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?OPTION=VALUE&…]`.

        Args:
            password: taken where the URL has none.

        Raises:
            StoreError: the URL is not of that form.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        unknown = sorted(options.keys() - _OPTIONS)
        try:
            port, days = parts.port, int(options.get("days", "90"))
        except ValueError as error:
            raise StoreError(f"store URL {url!r}: {error}") from error
        if parts.scheme != "clickhouse" or not parts.hostname or unknown or days < 1:
            raise StoreError(
                "a ClickHouse store is clickhouse://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE] with these options: "
                f"{', '.join(sorted(_OPTIONS))}" + (f"; not {unknown[0]!r}" if unknown else "")
            )
        secure = options.get("secure", "0") not in ("0", "false")
        return cls(
            host=parts.hostname,
            port=port or (8443 if secure else 8123),
            database=parts.path.strip("/") or "default",
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or "") or password or "",
            secure=secure,
            traces=options.get("traces", "otel_traces"),
            logs=options.get("logs", "otel_logs"),
            days=days,
            mirror=options.get("mirror"),
        )

    @property
    def url(self) -> str:
        """What `open_store()` opens again, without the password."""
        options = {"traces": self.traces, "logs": self.logs, "days": str(self.days)}
        options |= {"secure": "1"} if self.secure else {}
        options |= {"mirror": self.mirror} if self.mirror else {}
        user = quote(self.user)
        return f"clickhouse://{user}@{self.host}:{self.port}/{quote(self.database)}?{urlencode(options)}"


def identifier(name: str) -> str:
    """A name as ClickHouse's SQL quotes it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _escaped(value: str) -> str:
    """A parameter's value as the server reads it, in the escapes of its tab-separated format."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


class ClickHouse:
    """A server, by one connection a statement, so that threads may share it."""

    def __init__(self, address: ClickHouseAddress) -> None:
        self.address = address

    def rows(self, statement: str, **parameters: str | int) -> pa.Table:
        """The rows of a SELECT.

        Args:
            parameters: bound to its `{name:Type}`.

        Raises:
            StoreError: nobody answers, or the server refused.
        """
        content = self._post(statement + "\nFORMAT ArrowStream", parameters)
        return pa.ipc.open_stream(content).read_all() if content else pa.table({})

    def run(self, statement: str) -> None:
        """Run a statement that answers with nothing."""
        self._post(statement, {})

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, by column name, to a table of ours."""
        lines = "\n".join(json.dumps(dict(row), ensure_ascii=False) for row in rows)
        self._post(f"INSERT INTO {identifier(table)} FORMAT JSONEachRow\n{lines}", {})

    def has_column(self, table: str, column: str) -> bool:
        """Whether the database has such a table, with such a column."""
        found = self.rows(
            "SELECT count() AS n FROM system.columns WHERE database = {base:String} AND table = {t:String} "
            "AND name = {c:String}",
            base=self.address.database,
            t=table,
            c=column,
        )
        return bool(found["n"][0].as_py())

    def _post(self, statement: str, parameters: Mapping[str, str | int]) -> bytes:
        where = self.address
        bound = {f"param_{name}": _escaped(str(value)) for name, value in parameters.items()}
        query = urlencode({"database": where.database, **_SETTINGS, **bound})
        # ClickHouse takes user and password in headers of its own, beside HTTP's.
        headers = {"X-ClickHouse-User": where.user}
        if where.password:
            headers["X-ClickHouse-Key"] = where.password
        connection = (
            http.client.HTTPSConnection(
                where.host, where.port, timeout=_CONNECT_TIMEOUT_S, context=ssl.create_default_context()
            )
            if where.secure
            else http.client.HTTPConnection(where.host, where.port, timeout=_CONNECT_TIMEOUT_S)
        )
        try:
            connection.connect()
            connection.sock.settimeout(_ANSWER_TIMEOUT_S)
            connection.request("POST", f"/?{query}", statement.encode("utf-8", "surrogatepass"), headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"no ClickHouse answers at {where.host}:{where.port} ({error})") from error
        finally:
            connection.close()
        if response.status != 200:
            said = content.decode("utf-8", "replace").strip().splitlines()
            raise StoreError(f"ClickHouse at {where.host}:{where.port}: {said[0] if said else response.status}")
        return content
