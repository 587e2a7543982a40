"""A rule that has routed a world's calls, in a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tierwise.call import Evaluation
from tierwise.routing.policy import Policy, Rule, When, dump

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


def in_force(
    worlds: Worlds,
    store: DuckDBStore,
    world: World,
    *,
    share: float = 0.5,
    holdout: float = 0.2,
    failing: float = 0.0,
    days: float = 30.0,
    evidence: dict[str, Any] | None = None,
    **guard: Any,
) -> None:
    """Put rule `r` in force `days` before AS_OF, with the calls it has routed since then.

    Args:
        failing: share of the treated calls that fell back.
    """
    rule = Rule(
        "r",
        "route",
        When(request_model=(worlds.STRONG,)),
        to=world.weak_model,
        share=share,
        holdout=holdout,
        options={"guard": guard} if guard else {},
        evidence=evidence or {},
    )
    store.put_policy(dump(Policy(mode="enforce", rules=(rule,))), who="ada", why="", based_on=None)
    dated(store, 1, worlds.AS_OF - timedelta(days=days))
    calls = worlds.route(world, rule_id="r", share=share, holdout=holdout, seed=1)
    if failing:
        treated = np.array([arm in ("treated", "canary") for arm in calls["arm"].to_pylist()])
        fails = treated & (np.random.default_rng(2).random(len(treated)) < failing)
        decision = np.where(fails, "fell_back", calls["decision"].to_numpy(zero_copy_only=False))
        calls = calls.set_column(calls.column_names.index("decision"), "decision", [list(decision)])
    worlds.fill(store, world, calls=calls)


def dated(store: DuckDBStore, version: int, moment: datetime) -> None:
    """Say that a policy version was put in force at `moment`."""
    with store.cursor() as cursor:
        cursor.execute(
            "UPDATE policies SET created_at = make_timestamp_ns(?) WHERE version = ?",
            [int(moment.timestamp() * 1e9), version],
        )


def without_pairs(world: World) -> World:
    """The same world, in which nothing was shadowed."""
    return replace(world, pairs=world.pairs.slice(0, 0))


def score_arms(store: DuckDBStore, *, treated: float, kept: float, seed: int = 3) -> None:
    """Score every call of the rule: 1 with the given probability in either arm, else 0."""
    rng = np.random.default_rng(seed)
    rows = store.sql("SELECT trace_id, span_id, arm, epoch_ns(start_time) AS at FROM llm_calls WHERE arm IS NOT NULL")
    store.add_evaluations(
        [
            Evaluation(
                row["trace_id"],
                row["span_id"],
                "exact",
                "check",
                float(rng.random() < (treated if row["arm"] in ("treated", "canary") else kept)),
                row["at"],
            )
            for row in rows.to_pylist()
        ]
    )
