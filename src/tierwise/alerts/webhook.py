"""Alerts as JSON to an address of the user's, from a thread of its own: slow or dead receivers hold nobody up."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Final

from tierwise.alerts.alert import Alert

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3
PAUSE_S: Final = 2.0
"""Before the second attempt; twice as long before the third."""
_WAITING: Final = 100


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead what an alert says to a host that nobody named."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


class Webhook:
    """Sends batches of alerts, in order, until closed."""

    def __init__(self, url: str, *, pause_s: float = PAUSE_S) -> None:
        """
        Args:
            url: http or https; each batch is one POST of `{"alerts": [...]}`.
        """
        self._url = url
        self._pause_s = pause_s
        self._waiting: queue.Queue[list[Alert] | None] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tierwise-webhook", daemon=True)
        self._thread.start()

    def send(self, alerts: Sequence[Alert]) -> None:
        """Have a batch sent; returns at once. Dropped, with a line in the log, when too many wait."""
        try:
            self._waiting.put_nowait(list(alerts))
        except queue.Full:
            log.warning("%d alerts were not sent: %d batches wait for the webhook already", len(alerts), _WAITING)

    def close(self, timeout_s: float = TIMEOUT_S) -> None:
        """Send what waits, for as long as `timeout_s`, and end."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._stopping.set()
        self._thread.join(timeout_s)
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set() and (batch := self._waiting.get()) is not None:
            problem = self._posted(batch)
            if problem is not None:
                log.warning("%d alerts were not taken by the webhook: %s", len(batch), problem)

    def _posted(self, batch: Sequence[Alert]) -> str | None:
        """Why the batch was not taken after all attempts; None when it was."""
        problem: str | None = None
        for attempt in range(ATTEMPTS):
            if attempt and self._stopping.wait(self._pause_s * attempt):
                break
            problem, final = _post(self._url, batch)
            if problem is None or final:
                break
        return problem


def _post(url: str, batch: Sequence[Alert]) -> tuple[str | None, bool]:
    """Why one POST failed, None when it did not, and whether trying again is of no use."""
    content = json.dumps({"alerts": [alert.to_dict() for alert in batch]}, default=str).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method="POST")
    try:
        with _opener.open(request, timeout=TIMEOUT_S):
            return None, True
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}", error.code < 500 and error.code != 429
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}", False
