from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tierwise.alerts.alert import Alert
from tierwise.alerts.webhook import Webhook

FOUND = Alert("budget", "all traffic", "2026-11", "too much", "SELECT 1", {}, datetime(2026, 11, 24, tzinfo=UTC))
DEADLINE_S = 20.0


@dataclass
class Receiver:
    """Answers with each status once, the last for ever, and keeps what it got."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    held: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, number: int) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while len(self.bodies) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.bodies) >= number


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Somebody who takes alerts, on loopback."""
    state = Receiver()
    state.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.held.wait(DEADLINE_S)
            state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(state.statuses.pop(0) if len(state.statuses) > 1 else state.statuses[0])
            self.send_header("Location", f"{state.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    state.held.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_alerts_arrive_as_json(receiver: Receiver) -> None:
    """A batch is one POST with everything an alert says."""
    webhook = Webhook(receiver.url)
    webhook.send([FOUND])
    webhook.close(DEADLINE_S)

    assert receiver.bodies == [{"alerts": [FOUND.to_dict()]}]


def test_a_failing_receiver_is_asked_again(receiver: Receiver) -> None:
    """Two failures and a success are three attempts at one batch."""
    receiver.statuses = [503, 429, 200]
    webhook = Webhook(receiver.url, pause_s=0.01)
    webhook.send([FOUND])
    webhook.close(DEADLINE_S)

    assert len(receiver.bodies) == 3


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (302, 1), (500, 3)])
def test_giving_up_is_logged(status: int, attempts: int, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal and a redirect are final, an error is after three attempts; each leaves one line in the log."""
    receiver.statuses = [status]
    webhook = Webhook(receiver.url, pause_s=0.01)
    with caplog.at_level(logging.WARNING):
        webhook.send([FOUND])
        webhook.close(DEADLINE_S)

    assert len(receiver.bodies) == attempts
    assert [record.message for record in caplog.records] == [
        f"1 alerts were not taken by the webhook: it answers {status}"
    ]


def test_a_receiver_that_hangs_holds_nobody_up(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Sending returns at once, and what no longer fits into the queue is dropped with a word."""
    receiver.held.clear()
    webhook = Webhook(receiver.url)

    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        for _ in range(150):
            webhook.send([FOUND])
    took = time.monotonic() - began

    assert took < DEADLINE_S / 2
    assert "were not sent" in caplog.text
    receiver.held.set()
    receiver.wait_for(1)
    webhook.close(DEADLINE_S)


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    """An address where nobody listens is a line in the log."""
    webhook = Webhook("http://127.0.0.1:9", pause_s=0.01)
    with caplog.at_level(logging.WARNING):
        webhook.send([FOUND])
        webhook.close(DEADLINE_S)

    assert "ConnectionRefusedError" in caplog.text or "URLError" in caplog.text
