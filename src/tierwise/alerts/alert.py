"""One thing that a person should look at, with the rows behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["budget", "forecast", "anomaly", "drift"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One finding; the same finding always has the same id."""

    kind: Kind
    subject: str
    """What it is about, in words: `tenant acme`."""
    period: str
    """What it is about in time: `2026-11`, `2026-11-23`. With kind and subject it makes the id."""
    message: str
    sql: str
    """One read-only statement that gives the rows behind it; `tierwise sql` runs it."""
    detail: Mapping[str, Any]
    """The numbers, in JSON's own types."""
    time: datetime
    """Aware; when it was found."""

    @property
    def id(self) -> str:
        key = f"{self.kind}\0{self.subject}\0{self.period}"
        return f"alert_{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, as a webhook gets it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "period": self.period,
            "message": self.message,
            "sql": self.sql,
            "detail": dict(self.detail),
            "time": self.time.isoformat(),
        }

    def to_row(self) -> dict[str, Any]:
        """As `Store.add_alerts()` takes it."""
        since_1970 = self.time - datetime(1970, 1, 1, tzinfo=UTC)
        time_ns = (since_1970.days * 86_400 + since_1970.seconds) * 1_000_000_000 + since_1970.microseconds * 1000
        return {**self.to_dict(), "time_ns": time_ns}


def sql_text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def sql_calls(scope: str, value: str, since: datetime, until: datetime) -> str:
    """The calls of a subject in a time, dearest first, as one statement.

    Args:
        scope: all | tenant | use_case | model; value: whose.
    """
    filters = {"tenant": "tenants", "use_case": "use_cases", "model": "models"}
    named = "" if scope == "all" else f", {filters[scope]} := [{sql_text(value)}]"
    return (
        "SELECT trace_id, span_id, start_time, service_name, tenant, use_case_name, request_model, cost_usd\n"
        f"FROM traffic(since := epoch_ns(TIMESTAMP '{since:%Y-%m-%d %H:%M:%S}'), "
        f"until := epoch_ns(TIMESTAMP '{until:%Y-%m-%d %H:%M:%S}'){named})\n"
        "ORDER BY cost_usd DESC NULLS LAST"
    )
