"""The collector's regular look at budgets, anomalies and drift."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tierwise.alerts.findings import check, tell
from tierwise.alerts.webhook import Webhook
from tierwise.ingest.jobs import Job

if TYPE_CHECKING:
    from tierwise.store import Store

log = logging.getLogger(__name__)

EVERY_S: Final = 900.0


def alert_watch(webhook_url: str | None, *, every_s: float = EVERY_S) -> Job:
    """A look at the store every `every_s` seconds.

    What is found for the first time goes into the store and the log, and to the webhook where there is one.
    """
    webhook = None if webhook_url is None else Webhook(webhook_url)
    return Job("look at budgets and alerts", every_s, lambda store: look(store, webhook))


def look(store: Store, webhook: Webhook | None) -> None:
    """One look.

    Raises:
        StoreError: the store cannot be read or written.
    """
    fresh = tell(store, check(store, now=datetime.now(UTC)).alerts)
    for alert in fresh:
        log.warning("%s alert: %s", alert.kind, alert.message)
    if fresh and webhook is not None:
        webhook.send(fresh)
