"""Budgets and alerts in SQL. Each function works inside the caller's transaction."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from tierwise.errors import Conflict, StoreError
from tierwise.store.records import audit

if TYPE_CHECKING:
    import duckdb

SCOPES: Final = ("all", "tenant", "use_case", "model")


def budget_id(scope: str, value: str) -> str:
    """The same for the same scope and value: a subject has one budget."""
    key = f"{scope}\0{value}"
    return f"bud_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def put(
    cursor: duckdb.DuckDBPyConnection,
    scope: str,
    value: str,
    monthly_usd: Decimal,
    *,
    who: str,
    why: str,
    based_on: int | None,
) -> int:
    """Set a budget; its revision. See `Store.put_budget()`."""
    if scope not in SCOPES or (scope == "all") == bool(value):
        raise StoreError(f"a budget is for all, or for a tenant, use_case or model by name; not for {scope} {value!r}")
    if not monthly_usd.is_finite() or not 0 < monthly_usd < 10**11:
        raise StoreError(f"a budget is an amount above 0 a month, not {monthly_usd}")
    identity = budget_id(scope, value)
    before = _require_revision(cursor, identity, scope, value, based_on)
    revision = (based_on or 0) + 1
    cursor.execute(
        "INSERT OR REPLACE INTO budgets VALUES (?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
        [identity, scope, value, monthly_usd, revision, who, why, time.time_ns()],
    )
    detail = {"budget": identity, "scope": scope, "value": value, "before": before, "after": str(monthly_usd)}
    audit(cursor, "budget.set", detail, who=who, why=why)
    return revision


def remove(cursor: duckdb.DuckDBPyConnection, identity: str, *, who: str, why: str, based_on: int) -> None:
    """Take a budget away; see `Store.remove_budget()`."""
    rows = cursor.execute("SELECT scope, value FROM budgets WHERE id = ?", [identity]).fetchall()
    if not rows:
        raise Conflict(f"budget {identity} is gone: somebody removed it first")
    ((scope, value),) = rows
    before = _require_revision(cursor, identity, scope, value, based_on)
    cursor.execute("DELETE FROM budgets WHERE id = ?", [identity])
    detail = {"budget": identity, "scope": scope, "value": value, "before": before, "after": None}
    audit(cursor, "budget.remove", detail, who=who, why=why)


def _require_revision(
    cursor: duckdb.DuckDBPyConnection, identity: str, scope: str, value: str, based_on: int | None
) -> str | None:
    """What the budget is now, as text; None: there is none."""
    rows = cursor.execute("SELECT revision, monthly_usd FROM budgets WHERE id = ?", [identity]).fetchall()
    revision = rows[0][0] if rows else None
    if revision != based_on:
        raise Conflict(f"somebody changed the budget of {value or scope} first; look at it and decide again")
    return str(rows[0][1]) if rows else None


def add_alerts(cursor: duckdb.DuckDBPyConnection, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keep alerts that are not there yet; the ids of those. See `Store.add_alerts()`."""
    known = {
        identity
        for (identity,) in cursor.execute(
            "SELECT id FROM alerts WHERE list_contains(?::VARCHAR[], id)", [[str(item["id"]) for item in items]]
        ).fetchall()
    }
    fresh = {str(item["id"]): item for item in items if item["id"] not in known}
    for identity, item in fresh.items():
        cursor.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
            [
                identity,
                item["kind"],
                item["subject"],
                item["message"],
                item["sql"],
                json.dumps(item["detail"], default=str),
                item["time_ns"],
            ],
        )
    return list(fresh)


def decimal(text: object) -> Decimal:
    """An amount as it came over a wire or from a field.

    Raises:
        StoreError: it is no number.
    """
    try:
        return Decimal(str(text))
    except InvalidOperation:
        raise StoreError(f"{text!r} is no amount of money") from None
