"""The figures of an audit: task mix, spend, today's cost against other models, and what of it is proved.

Nothing is worked out twice: spend comes from the store's named queries, costs on other models from the same repricing
as recommendations and simulation, evidence from the recommendations themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tierwise import prices
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import Recommendation, recommend
from tierwise.recommend.ladder import compatibility, is_successor, ladder, proposed, tokens_of
from tierwise.recommend.levers import Lever, find_levers
from tierwise.recommend.propose import MOST_USE_CASES as MOST_RECOMMENDED
from tierwise.recommend.slices import TEXT_OPERATIONS, of_current_versions
from tierwise.savings.assumptions import assumptions_of
from tierwise.savings.cells import read_cells
from tierwise.savings.moves import Pricing
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.relocation import relocate
from tierwise.savings.traffic import Indices, Labels, Traffic, row_groups
from tierwise.store import Store

MOST_MODELS: Final = 8
"""Models, dearest first, that are held against others."""
MOST_CANDIDATES: Final = 3
MOST_USE_CASES: Final = 20
MOST_UNMEASURED: Final = 500
"""Use cases, dearest first, that recommendations are worked out for while nothing is measured."""
MOST_LEVERS: Final = 8
MOST_OF_A_KIND: Final = 2

NOT_MEASURED: Final = "not yet measured"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the calls of one model would have cost on another, at today's prices."""

    target: str
    proposed: bool
    """Whether it is the one to try first: a newer generation of the same model, else a new and cheap one."""
    successor: bool
    """Whether it is a newer generation of the same model."""
    price_ratio: float
    """Its price over the present one's, at equal token counts."""
    saving: Estimate | NotEnoughData
    """USD, of the calls in the window; below 0 it would cost more. Its interval holds how traffic varies, too."""
    saving_share: Estimate | NotEnoughData
    """The same as a share of today's cost."""
    cost: Estimate | NotEnoughData
    """USD for the calls as they are; what the saving leaves of today's cost."""
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    """What to know about its abilities, in words."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "proposed": self.proposed,
            "successor": self.successor,
            "price_ratio": self.price_ratio,
            "saving": self.saving.to_dict(),
            "saving_share": self.saving_share.to_dict(),
            "cost": self.cost.to_dict(),
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class ModelAudit:
    """The text calls of one model asked for, against cheaper ones of the same provider and API."""

    provider: str
    model: str
    calls: int
    spend_usd: Decimal
    """As billed."""
    today_usd: Decimal
    """The same calls at today's prices, which is what candidates are held against."""
    candidates: tuple[Candidate, ...]
    """The proposed one first, then cheapest first; empty when nothing there is cheaper."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "model": self.model,
            "calls": self.calls,
            "spend_usd": str(self.spend_usd),
            "today_usd": str(self.today_usd),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }


@dataclass(frozen=True, slots=True)
class Territory:
    """How much of the traffic a cheaper model is known to serve, by this user's own scored pairs."""

    pairs: int
    """Scored pairs, on all use cases."""
    calls: Mapping[str, int]
    """Calls by what the evidence on their use case says: certified | candidate | unproven | not yet measured."""
    spend_usd: Mapping[str, Decimal]
    share: float | None
    """Of the spend, in certified use cases; None while nothing is measured."""

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        if self.share is None:
            return NOT_MEASURED
        return (
            f"{self.share:.0%} of the spend is in use cases certified to keep 95% of their quality on a cheaper model, "
            f"by {self.pairs:,} scored pairs"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "measured": self.share is not None,
            "words": self.words,
            "share": self.share,
            "pairs": self.pairs,
            "calls": dict(self.calls),
            "spend_usd": {name: str(amount) for name, amount in self.spend_usd.items()},
            "method": "use cases whose certificate holds at every look; see docs/evidence.md",
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """What there is to say about the calls between two moments."""

    as_of: datetime
    """Prices are those of this moment, and calls that begin later are left out."""
    since: datetime
    totals: Mapping[str, Any]
    """The row of the named query `overview_totals`."""
    days: float
    """From the first call to the newest."""
    tasks: Sequence[Mapping[str, Any]]
    """Rows of `spend_by_task`, as the next are of the query of their name."""
    spend_by_model: Sequence[Mapping[str, Any]]
    use_cases: Sequence[Mapping[str, Any]]
    """The dearest."""
    unpriced: Sequence[Mapping[str, Any]]
    models: tuple[ModelAudit, ...]
    switch_all: Estimate | NotEnoughData
    """USD saved had all of `models` been the candidate proposed for each; nothing is said about quality."""
    switch_all_share: Estimate | NotEnoughData
    """The same as a share of what all calls cost today."""
    territory: Territory
    recommendations: tuple[Recommendation, ...]
    levers: tuple[Lever, ...]
    """The largest of each kind; they do not add up where they concern the same calls."""
    price_version: str

    @property
    def calls(self) -> int:
        return int(self.totals["calls"])

    @property
    def spend_usd(self) -> Decimal | None:
        """None when no call has a price."""
        return self.totals["spend_usd"]

    @property
    def months(self) -> float | None:
        """30-day months over the span of the calls: what a figure is multiplied by to speak of a month.

        None below a day of traffic, which says nothing about a month.
        """
        return 30.0 / self.days if self.days >= 1.0 else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; money as text, to its last digit."""
        return {
            "as_of": self.as_of.isoformat(),
            "since": self.since.isoformat(),
            "days": self.days,
            "months_factor": self.months,
            "price_version": self.price_version,
            "totals": _plain(self.totals),
            "tasks": [_plain(row) for row in self.tasks],
            "spend_by_model": [_plain(row) for row in self.spend_by_model],
            "use_cases": [_plain(row) for row in self.use_cases],
            "models": [model.to_dict() for model in self.models],
            "switch_all": self.switch_all.to_dict(),
            "switch_all_share": self.switch_all_share.to_dict(),
            "small_model_territory": self.territory.to_dict(),
            "recommendations": [item.to_dict() for item in self.recommendations],
            "levers": [lever.to_dict() for lever in self.levers],
            "unpriced": [_plain(row) for row in self.unpriced],
        }


def audit(
    store: Store,
    *,
    now: datetime,
    since: datetime | None = None,
    last: int | None = None,
    seed: int = 0,
) -> Audit:
    """The figures of the calls since a moment, or of the newest ones.

    Args:
        now: aware.
        since: aware; None: from the first call on.
        last: only so many calls, the newest; those that began at the same moment as the oldest of them count, too.
    """
    row = store.query("newest_calls", calls=last, since=since, until=now).to_pylist()[0]
    # To the microsecond below, which is as fine as a datetime is.
    start = (
        now
        if row["oldest_ns"] is None
        else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=row["oldest_ns"] // 1000)
    )
    window = {"since": start, "until": now}
    horizon_days = (now - start) / timedelta(days=1)
    totals = store.query("overview_totals", **window).to_pylist()[0]
    traffic = read_cells(store, since=start, until=now).traffic
    shadows = of_current_versions(read_pairs(store.query("shadows", until=now))).distinct()
    models, switch_all, switch_all_share = _against_others(traffic, shadows, now=now, seed=seed)
    found: list[Recommendation] = []
    levers: list[Lever] = []
    if totals["calls"]:
        # Pairs are certified together, so where there are any all that have some belong in.
        most = MOST_RECOMMENDED if len(shadows) else MOST_UNMEASURED
        found = recommend(store, now=now, horizon_days=horizon_days, seed=seed, most=most)
        levers = find_levers(store, now=now, horizon_days=horizon_days, seed=seed)
    return Audit(
        as_of=now,
        since=start,
        totals=totals,
        days=_days(totals),
        tasks=store.query("spend_by_task", **window).to_pylist(),
        spend_by_model=store.query("spend_by_model", **window).to_pylist(),
        use_cases=store.query("top_use_cases", limit=MOST_USE_CASES, **window).to_pylist(),
        unpriced=store.query("unpriced", **window).to_pylist(),
        models=models,
        switch_all=switch_all,
        switch_all_share=switch_all_share,
        territory=_territory(found, totals),
        recommendations=tuple(found),
        levers=_largest(levers),
        price_version=prices.price_version(),
    )


def _days(totals: Mapping[str, Any]) -> float:
    first, newest = totals["first_call_time"], totals["newest_call_time"]
    return 0.0 if first is None else (newest - first) / timedelta(days=1)


# --- other models -----------------------------------------------------------------------------------------------------


def _against_others(
    traffic: Traffic, shadows: Pairs, *, now: datetime, seed: int
) -> tuple[tuple[ModelAudit, ...], Estimate | NotEnoughData, Estimate | NotEnoughData]:
    """The dearest models against cheaper ones; what the proposed ones together would have saved, and its share."""
    groups: list[tuple[Decimal, str, str, Indices]] = []
    for rows in row_groups(np.stack([traffic.provider.codes, traffic.requested_model.codes], axis=1).astype(np.int64)):
        rows = rows[_is_text(traffic, rows)]
        spend = traffic.total_usd(rows)
        if len(rows) and spend > 0:
            provider, model = traffic.provider[rows[0]], traffic.requested_model[rows[0]]
            groups.append((spend, provider or "", model or "", np.sort(rows)))
    groups.sort(key=lambda group: (-group[0], group[1], group[2]))
    models: list[ModelAudit] = []
    moved: list[tuple[Indices, str]] = []
    changes: list[tuple[str, str]] = []
    for spend, provider, model, rows in groups[:MOST_MODELS]:
        item = _against(traffic.take(rows), shadows, provider, model, spend, now=now, seed=seed)
        models.append(item)
        for candidate in item.candidates:
            if candidate.proposed:
                moved.append((rows, candidate.target))
                changes.append((model, candidate.target))
    together = relocate(_as_one(traffic, shadows, changes), moved, shadows, now=now, seed=seed)
    return tuple(models), together.saving(), together.saving_share()


def _as_one(traffic: Traffic, shadows: Pairs, changes: Sequence[tuple[str, str]]) -> Traffic:
    """The traffic with all use cases as one, where no two models of a change have been compared.

    Token counts on the other model are then the same guess for every use case, and one sum of thousands of them.
    """
    compared = any(shadows.between(one, other).any() for pair in changes for one, other in (pair, (pair[1], pair[0])))
    if compared:
        return traffic
    return replace(traffic, use_case_id=Labels((None,), np.zeros(len(traffic), dtype=np.int32)))


def _is_text(traffic: Traffic, rows: Indices) -> np.typing.NDArray[np.bool_]:
    known = [code for code, name in enumerate(traffic.operation.values) if name in TEXT_OPERATIONS]
    return np.isin(traffic.operation.codes[rows], known)


def _against(
    calls: Traffic, shadows: Pairs, provider: str, model: str, spend: Decimal, *, now: datetime, seed: int
) -> ModelAudit:
    rungs = ladder(tokens_of(calls), provider, model, now=now)
    first = proposed(rungs, provider, model, now=now)
    shown = ([] if first is None else [first]) + [rung for rung in rungs if rung is not first]
    everything = np.arange(len(calls))
    today = relocate(calls, [], shadows, now=now, seed=seed).baseline_usd
    candidates: list[Candidate] = []
    for rung in shown[:MOST_CANDIDATES]:
        alike = _as_one(calls, shadows, [(model, rung.model)])
        outcome = relocate(alike, [(everything, rung.model)], shadows, now=now, seed=seed)
        share = outcome.saving_share()
        candidates.append(
            Candidate(
                target=rung.model,
                proposed=rung is first,
                successor=is_successor(model, rung.model),
                price_ratio=rung.price_ratio,
                saving=outcome.saving(),
                saving_share=share,
                cost=_left(today, share),
                assumptions=assumptions_of((), outcome.plan, Pricing(at_ns=int(now.timestamp() * 1e9))),
                notes=compatibility(calls, provider, model, rung.model, now=now),
            )
        )
    return ModelAudit(provider, model, calls.count(), spend, today, tuple(candidates))


def _left(today: Decimal, share: Estimate | NotEnoughData) -> Estimate | NotEnoughData:
    """What is left of today's cost when a share of it is saved.

    The share is held against the cost of the same drawn conversations, so no draw can leave less than nothing.
    """
    if isinstance(share, NotEnoughData):
        return share
    whole = float(today)
    return replace(
        share,
        value=whole * (1.0 - share.value),
        low=whole * (1.0 - share.high),
        high=whole * (1.0 - share.low),
        unit="USD",
    )


# --- evidence ---------------------------------------------------------------------------------------------------------


def _territory(found: Sequence[Recommendation], totals: Mapping[str, Any]) -> Territory:
    calls: dict[str, int] = dict.fromkeys(("certified", "candidate", "unproven", NOT_MEASURED), 0)
    spend: dict[str, Decimal] = dict.fromkeys(calls, Decimal(0))
    for item in found:
        name = item.evidence_state if item.pair_count else NOT_MEASURED
        calls[name] += item.calls
        spend[name] += item.spend_usd
    in_all = totals["spend_usd"] or Decimal(0)
    # What no recommendation speaks of has not been compared with anything either.
    calls[NOT_MEASURED] = int(totals["calls"]) - sum(calls.values()) + calls[NOT_MEASURED]
    spend[NOT_MEASURED] = in_all - sum(spend.values(), Decimal(0)) + spend[NOT_MEASURED]
    pairs = sum(item.pair_count for item in found)
    share = float(spend["certified"] / in_all) if pairs and in_all else None
    return Territory(pairs, calls, spend, share)


def _largest(levers: Sequence[Lever]) -> tuple[Lever, ...]:
    """The first of each kind: a list of one kind alone would say one thing eight times."""
    taken: Counter[str] = Counter()
    found: list[Lever] = []
    for lever in levers:
        taken[lever.kind] += 1
        if taken[lever.kind] <= MOST_OF_A_KIND:
            found.append(lever)
    return tuple(found[:MOST_LEVERS])


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat() if value.tzinfo is None else value.isoformat()
    return value
