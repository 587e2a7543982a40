"""Policies, recommendations and the audit log in SQL. Each function works inside the caller's transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tierwise.errors import Conflict, StoreError
from tierwise.store import EVIDENCE_STATES, RECOMMENDATION_STATES, PolicyRecord, RecommendationKind

if TYPE_CHECKING:
    import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def policies(cursor: duckdb.DuckDBPyConnection, *, limit: int | None = None) -> list[PolicyRecord]:
    """Policy versions, newest first."""
    rows = cursor.execute(
        """
        SELECT version, text, content_hash, who, why, action, epoch_us(created_at)
        FROM policies ORDER BY version DESC LIMIT ?
        """,
        [limit],
    ).fetchall()
    return [PolicyRecord(*row[:6], created_at=_moment(row[6])) for row in rows]


def put_policy(
    cursor: duckdb.DuckDBPyConnection, text: str, *, who: str, why: str, action: str, based_on: int | None
) -> PolicyRecord:
    """Append a policy version with its audit row; see `Store.put_policy()`."""
    from tierwise.routing import policy
    from tierwise.routing.document import with_version

    policy.parse(text)
    newest = next(iter(policies(cursor, limit=1)), None)
    current = newest.version if newest else None
    if current != based_on:
        raise Conflict(
            f"the policy in force is {_version_name(current)}, this change was made from {_version_name(based_on)}; "
            "look at the current one and decide again"
        )
    version = (current or 0) + 1
    text = with_version(text, version)
    parsed = policy.parse(text)
    record = PolicyRecord(
        version=version,
        text=text,
        content_hash=parsed.content_hash,
        who=who,
        why=why,
        action=action,
        created_at=_moment(time.time_ns() // 1000),
    )
    cursor.execute(
        "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
        [version, text, record.content_hash, who, why, action, _nanoseconds(record.created_at)],
    )
    detail = {"version": version, "based_on": based_on, "content_hash": record.content_hash}
    audit(cursor, f"policy.{action}", detail, who=who, why=why)
    return record


def _version_name(version: int | None) -> str:
    return "none" if version is None else f"version {version}"


def recommendations(cursor: duckdb.DuckDBPyConnection, kind: RecommendationKind) -> list[dict[str, Any]]:
    """Every recommendation of a kind, newest first."""
    rows = cursor.execute(
        """
        SELECT id, state, content::VARCHAR, epoch_us(created_at), epoch_us(updated_at)
        FROM recommendations WHERE kind = ? ORDER BY updated_at DESC, id
        """,
        [kind],
    ).fetchall()
    return [
        {
            **json.loads(content),
            "id": identity,
            "state": state,
            "created_at": _moment(created_us),
            "updated_at": _moment(updated_us),
        }
        for identity, state, content, created_us, updated_us in rows
    ]


_OWN_KEYS = frozenset({"id", "state", "created_at", "updated_at"})


def save_recommendations(
    cursor: duckdb.DuckDBPyConnection, items: Sequence[Mapping[str, Any]], kind: RecommendationKind
) -> None:
    """Insert or replace recommendations by id; see `Store.save_recommendations()`."""
    now_ns = time.time_ns()
    for item in items:
        state = item.get("state", EVIDENCE_STATES[0])
        _require_state(state)
        content = json.dumps({key: value for key, value in item.items() if key not in _OWN_KEYS}, default=str)
        cursor.execute(
            """
            INSERT INTO recommendations (id, state, content, created_at, updated_at, kind)
            VALUES ($id, $state, $content, make_timestamp_ns($now), make_timestamp_ns($now), $kind)
            ON CONFLICT (id) DO UPDATE SET
                content = excluded.content,
                updated_at = excluded.updated_at,
                state = CASE WHEN list_contains($evidence_states, recommendations.state)
                              AND list_contains($evidence_states, excluded.state)
                             THEN excluded.state ELSE recommendations.state END
            WHERE recommendations.state <> 'enforced'
            """,
            {
                "id": str(item["id"]),
                "state": state,
                "kind": kind,
                "content": content,
                "now": now_ns,
                "evidence_states": list(EVIDENCE_STATES),
            },
        )


def set_recommendation_state(
    cursor: duckdb.DuckDBPyConnection, recommendation_id: str, state: str, *, who: str, why: str, expected: str | None
) -> None:
    """Move a recommendation, with its audit row; see `Store.set_recommendation_state()`."""
    _require_state(state)
    rows = cursor.execute("SELECT state FROM recommendations WHERE id = ?", [recommendation_id]).fetchall()
    if not rows:
        raise StoreError(f"no recommendation has the id {recommendation_id!r}")
    before: str = rows[0][0]
    if expected is not None and before != expected:
        raise Conflict(
            f"recommendation {recommendation_id} is {before}, not {expected}: somebody changed it first; "
            "look at it and decide again"
        )
    cursor.execute(
        "UPDATE recommendations SET state = ?, updated_at = make_timestamp_ns(?) WHERE id = ?",
        [state, time.time_ns(), recommendation_id],
    )
    detail = {"id": recommendation_id, "from": before, "to": state}
    audit(cursor, f"recommendation.{state}", detail, who=who, why=why)


def _require_state(state: object) -> None:
    if state not in RECOMMENDATION_STATES:
        raise StoreError(f"{state!r} is no recommendation state; states: {', '.join(RECOMMENDATION_STATES)}")


def audit(cursor: duckdb.DuckDBPyConnection, action: str, detail: Mapping[str, Any], *, who: str, why: str) -> None:
    """Append one row to the audit log."""
    cursor.execute(
        "INSERT INTO audit_log VALUES (make_timestamp_ns(?), ?, ?, ?, ?)",
        [time.time_ns(), who, action, why, json.dumps(dict(detail), default=str)],
    )


def audit_log(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The audit log, newest first."""
    rows = cursor.execute(
        "SELECT epoch_us(time), who, action, why, detail::VARCHAR FROM audit_log ORDER BY time DESC"
    ).fetchall()
    return [
        {"time": _moment(time_us), "who": who, "action": action, "why": why, "detail": json.loads(detail)}
        for time_us, who, action, why, detail in rows
    ]


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
