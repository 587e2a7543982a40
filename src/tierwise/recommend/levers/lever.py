"""What a lever other than routing says: whose calls, what to do, what it would save, and the SQL behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from tierwise.errors import StoreError
from tierwise.evidence.bootstrap import bootstrap_mean
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend.recommendation import DECISIONS, State
from tierwise.recommend.stored_values import content_hash, decode, encode_fields
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
    certified: bool = False
    """The certificate speaks for all calls: scored by who may certify, and no use case is known to lose too much."""
    evidence_state: State = "unproven"
    """unproven without a number or where it is only a bound; candidate with a saving that is above 0 for sure;
    certified where the quality is."""
    state: State = "unproven"
    """The same, or what a person decided; enforced: somebody has taken it up."""
    why_now: tuple[str, ...] = ()
    """What has changed that speaks for doing it now, in words."""
    expires_at: datetime | None = None
    """From then on it is to be worked out again before anybody acts on it."""
    snoozed_until: datetime | None = None
    decided_why: str | None = None
    """The reason given by who decided."""

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

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of what it says: the same until it is worked out again, whatever people decide about it."""
        return content_hash(self.to_dict(), without=DECISIONS)

    def is_stale(self, now: datetime) -> bool:
        """Whether it is to be worked out again before anybody acts on it; never once it is taken up."""
        return self.state != "enforced" and self.expires_at is not None and now >= self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; `from_dict` reads it back."""
        return {"id": self.id, **encode_fields(self), "monthly_saving": self.monthly_saving.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Lever:
        """The lever that `to_dict` wrote; entries that this version does not know are left out.

        Raises:
            StoreError: something that it cannot be without is missing.
        """
        values = {item.name: decode(content[item.name]) for item in fields(cls) if item.name in content}
        needed = (item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING)
        if missing := [name for name in needed if name not in values]:
            raise StoreError(
                f"stored lever {content.get('id')!r} has no {missing[0]!r}; `tierwise recommend` works it out again"
            )
        for name in ("as_of", "expires_at", "snoozed_until"):
            moment = cast("str | None", values.get(name))
            values[name] = None if moment is None else datetime.fromisoformat(moment)
        values["spend_usd"] = Decimal(values["spend_usd"])
        return cls(**values)


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
    """The conditions that the calls of a lever, which are rows of `traffic()`, meet."""
    lines = [
        f"provider = {sql_text(provider)}",
        f"request_model = {sql_text(request_model)}",
        f"start_time >= {sql_moment(view.since)}",
        f"start_time < {sql_moment(view.until)}",
    ]
    if use_case_id is not None:
        lines.append(f"use_case_id = {sql_text(use_case_id)}")
    return " AND ".join(lines)
