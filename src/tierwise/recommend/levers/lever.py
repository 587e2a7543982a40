"""What a lever other than routing says: whose calls, what to do, what it would save, and the SQL behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tierwise.evidence.bootstrap import bootstrap_mean
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.routing.policy import Policy
from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Floats, Traffic
from tierwise.store import Store

Kind = Literal[
    "batch_tier",
    "cache_prefix",
    "change_outright",
    "duplicate_calls",
    "failed_calls",
    "reasoning_effort",
    "retiring_model",
    "truncated_answers",
]


@dataclass(frozen=True, slots=True)
class View:
    """What every lever looks at."""

    store: Store
    since: datetime
    until: datetime
    window_days: float
    traffic: Traffic
    """Added up, as `savings.cells` does."""
    shadows: Pairs
    """Each pair once."""
    scored: Pairs
    policy: Policy
    offline: frozenset[str] = frozenset()
    """Use cases, by id or name, that a person marked as not waited for."""
    rho: float = 0.95
    alpha: float = 0.05
    seed: int = 0
    tables: dict[str, pa.Table] = field(default_factory=dict[str, pa.Table], repr=False)
    """What has been read already; see `rows_of()`."""

    def rows_of(self, query: str, **parameters: int) -> pa.Table:
        """The rows of a named query on the window, read once for all levers."""
        if query not in self.tables:
            self.tables[query] = self.store.query(query, since=self.since, until=self.until, **parameters)
        return self.tables[query]


@dataclass(frozen=True, slots=True)
class Lever:
    """A way to save that sends no call to a model of another quality, unless its `certificate` speaks of one."""

    kind: Kind
    provider: str
    request_model: str
    use_case_id: str | None
    """None: all use cases of the model."""
    use_case_name: str | None
    target: str | None
    """The model or tier to change to, where there is one."""
    calls: int
    """In scope, in the window."""
    spend_usd: Decimal
    """What they cost."""
    window_days: float
    window_saving: Estimate | NotEnoughData
    """USD in the window."""
    at_most: bool
    """The saving is a bound: its value is what can be saved at most."""
    action: str
    """What to do, in one sentence."""
    findings: tuple[str, ...]
    """What the calls show, with the numbers."""
    assumptions: tuple[str, ...]
    as_of: datetime
    certificate: Certificate | NotEnoughData | None = None
    """Of the quality kept; None where the answers stay those of the same model."""
    sql: Mapping[str, str] = field(default_factory=dict[str, str])
    """Number → a statement on the store that gives it again."""

    @property
    def id(self) -> str:
        """The same for the same kind and scope, on every machine and day."""
        key = "\0".join((self.kind, self.provider, self.request_model, self.use_case_id or "", self.target or ""))
        return f"lev_{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    @property
    def label(self) -> str:
        """The use case as a person knows it, else the model."""
        return self.use_case_name or self.use_case_id or self.request_model

    @property
    def monthly_saving(self) -> Estimate | NotEnoughData:
        """Projected to 30 days; not from less than a day."""
        if self.window_days < 1.0:
            return NotEnoughData(int(self.window_days * 24), 24, "hours of traffic, to speak of a month")
        saving = self.window_saving
        return saving if isinstance(saving, NotEnoughData) else saving.scaled(30.0 / self.window_days)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "provider": self.provider,
            "request_model": self.request_model,
            "use_case_id": self.use_case_id,
            "use_case_name": self.use_case_name,
            "target": self.target,
            "calls": self.calls,
            "spend_usd": str(self.spend_usd),
            "window_days": self.window_days,
            "window_saving": self.window_saving.to_dict(),
            "monthly_saving": self.monthly_saving.to_dict(),
            "at_most": self.at_most,
            "action": self.action,
            "findings": list(self.findings),
            "assumptions": list(self.assumptions),
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
            "as_of": self.as_of.isoformat(),
            "sql": dict(self.sql),
        }


def total_of(saved: Floats, *, n: int, seed: int) -> Estimate | NotEnoughData:
    """The sum of what each conversation, or group of conversations, would have saved; USD.

    The saving in the window is plain arithmetic; the interval says how it varies with which conversations there are.

    Args:
        saved: shape (units,), one amount a unit.
        n: calls behind it.
    """
    units = len(saved)
    mean = bootstrap_mean(saved, seed=seed, unit="USD") if units else NotEnoughData(0, 30, "conversations")
    if isinstance(mean, NotEnoughData):
        return NotEnoughData(units, mean.needed, "conversations with calls in scope")
    total = mean.scaled(float(units))
    return Estimate(
        value=total.value,
        low=total.low,
        high=total.high,
        confidence_level=total.confidence_level,
        n=n,
        effective_n=float(units),
        method=f"sum over calls; {mean.method.replace('rows', 'conversations')}",
        unit="USD",
    )


def sums_by(block: np.typing.NDArray[np.int64], values: Floats) -> Floats:
    """Sums of `values` over each distinct block."""
    _, unit = np.unique(block, return_inverse=True)
    return np.bincount(unit, values).astype(np.float64)


def sql_text(value: str | None) -> str:
    """A text as an SQL literal."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def sql_moment(at: datetime) -> str:
    """A moment as the nanosecond timestamp that the store keeps."""
    return f"make_timestamp_ns({int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000})"


def sql_scope(view: View, provider: str, request_model: str, use_case_id: str | None) -> str:
    """The conditions that the calls of a lever meet."""
    lines = [
        "shadow_of_span_id IS NULL",
        f"provider = {sql_text(provider)}",
        f"request_model = {sql_text(request_model)}",
        f"start_time >= {sql_moment(view.since)}",
        f"start_time < {sql_moment(view.until)}",
    ]
    if use_case_id is not None:
        lines.append(f"use_case_id = {sql_text(use_case_id)}")
    return " AND ".join(lines)
