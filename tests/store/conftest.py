"""Records to fill a store with, and the three ways to have one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tierwise.call import Call, Cost, Evaluation, Usage
from tierwise.ingest.app import create_app
from tierwise.ingest.intake import Intake
from tierwise.ingest.reception import Reception
from tierwise.store import Store, open_store
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

NOON_NS = 1_790_000_000_000_000_000
"""2026-09-21 14:13:20 UTC."""

RecordMaker = Callable[..., CallRecord]


@pytest.fixture
def memory() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    store = DuckDBStore.open(None)
    yield store
    store.close()


@pytest.fixture(scope="module")
def untouched() -> Generator[DuckDBStore]:
    """An empty store for tests that do not write, or try in vain."""
    store = DuckDBStore.open(None)
    yield store
    store.close()


class Switchboard:
    """An ASGI application that is another one from test to test, so that one server does for all."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def switchboard() -> Generator[tuple[Switchboard, str]]:
    """A server on loopback, and its URL."""
    board = Switchboard()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(board, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield board, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(params=["memory", "duckdb", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path, switchboard: tuple[Switchboard, str]) -> Generator[Store]:
    """An empty store, in each of the ways there are."""
    if request.param == "remote":
        board, url = switchboard
        behind = DuckDBStore.open(None)
        intake = Intake(behind, tmp_path / "ingest")
        board.app = create_app(behind, Reception(intake))
        yield open_store(url)
        intake.stop()
        behind.close()
        return
    opened = open_store("memory:" if request.param == "memory" else f"duckdb:{tmp_path / 'calls.duckdb'}")
    yield opened
    opened.close()


@pytest.fixture
def make_call() -> RecordMaker:
    """Makes a priced call record; `number` gives its ids, the rest are fields of CallRecord and Call."""

    def make(number: int = 1, *, trace: int | None = None, usd: str | None = "0.01", **fields: Any) -> CallRecord:
        record_fields = {
            name: fields.pop(name)
            for name in ("parent_span_id", "service_name", "instrumentation", "resource", "start_ns", "end_ns")
            if name in fields
        }
        start_ns = record_fields.pop("start_ns", NOON_NS + number * 1_000_000)
        defaults: dict[str, Any] = {
            "operation": "chat",
            "provider": "openai",
            "request_model": "gpt-5.4",
            "usage": Usage(input_tokens=100, output_tokens=20),
            "cost": None if usd is None else Cost(Decimal(usd), Decimal(0), price_version="list 1"),
        }
        return CallRecord(
            trace_id=f"{number if trace is None else trace:032x}",
            span_id=f"{number:016x}",
            start_ns=start_ns,
            end_ns=record_fields.pop("end_ns", start_ns + 1_000_000_000),
            call=Call(**{**defaults, **fields}),
            **record_fields,
        )

    return make


@pytest.fixture
def make_score() -> Callable[..., Evaluation]:
    """Makes an evaluation of the call that `make_call(number)` makes."""

    def make(number: int, score: float | None, *, trace: int | None = None, **fields: Any) -> Evaluation:
        defaults: dict[str, Any] = {"name": "exact", "source": "check", "time_ns": NOON_NS}
        return Evaluation(
            trace_id=f"{number if trace is None else trace:032x}",
            span_id=f"{number:016x}",
            score=score,
            **{**defaults, **fields},
        )

    return make
