"""Ways to save other than routing a use case, each with its own arithmetic: one module a lever.

A lever module has `find(view) -> list[Lever]`. What it needs of the calls is a named query or the added-up traffic; it
gives no number without an interval, and says what it takes for granted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from tierwise.evidence.estimate import Estimate
from tierwise.recommend.levers import (
    batch_tier,
    cache_prefix,
    change_outright,
    duplicate_calls,
    failed_calls,
    reasoning_effort,
    retiring_model,
    truncated_answers,
)
from tierwise.recommend.levers.lever import Kind, Lever, View
from tierwise.recommend.slices import of_current_versions
from tierwise.recommend.use_cases import read_use_cases
from tierwise.routing.policy import Policy, parse
from tierwise.savings.cells import read_cells
from tierwise.savings.pairs import read_pairs
from tierwise.store import Store

__all__ = ["Kind", "Lever", "find_levers"]

_LEVERS = (
    change_outright,
    retiring_model,
    batch_tier,
    cache_prefix,
    failed_calls,
    duplicate_calls,
    truncated_answers,
    reasoning_effort,
)


def find_levers(
    store: Store,
    *,
    now: datetime,
    horizon_days: float = 30.0,
    offline: Collection[str] = (),
    rho: float = 0.95,
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Lever]:
    """Every lever that the traffic shows, by what it surely saves; those without a number come last.

    Levers are looked at one by one: two that concern the same calls do not add up.

    Args:
        now: aware; prices are those of this moment.
        horizon_days: how far back calls count.
        offline: use cases, by id or name, whose answers nobody waits for.
    """
    since = now - timedelta(days=horizon_days)
    cells = read_cells(store, since=since, until=now)
    if cells.oldest_ns is None:
        return []
    current = store.current_policy()
    view = View(
        store=store,
        since=since,
        until=now,
        window_days=max((now.timestamp() - cells.oldest_ns / 1e9) / 86_400, 1 / 24),
        traffic=cells.traffic,
        shadows=of_current_versions(read_pairs(store.query("shadows", until=now))).distinct(),
        scored=of_current_versions(read_pairs(store.query("pairs", until=now))),
        policy=Policy() if current is None else parse(current.text),
        offline=frozenset(offline),
        rho=rho,
        alpha=alpha,
        seed=seed,
    )
    said = read_use_cases(store)
    found = [lever for module in _LEVERS for lever in module.find(view) if said.leaves(lever.use_case_id)]
    return sorted(found, key=_rank)


def _rank(lever: Lever) -> tuple[bool, bool, float, str]:
    saving = lever.window_saving
    known = isinstance(saving, Estimate)
    return not known, lever.at_most, -(saving.low if isinstance(saving, Estimate) else 0.0), lever.id
