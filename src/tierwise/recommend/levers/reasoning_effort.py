"""What reasoning costs in a use case, and what a lower effort takes where both have been used."""

from __future__ import annotations

from typing import Any

import numpy as np

from tierwise import prices
from tierwise.evidence.bootstrap import bootstrap_ratio
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend.levers.lever import Lever, View, sql_scope
from tierwise.recommend.levers.units import UNITS, by_use_case, spend_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_WORTH_SHOWING = 0.2
"""Share of a use case's output tokens from which on its reasoning is worth a look."""


def find(view: View) -> list[Lever]:
    """One a use case and model that spends a good part of its output on reasoning."""
    table = view.rows_of("lever_effort", units=UNITS)
    scopes = spend_of(view)
    found: list[Lever] = []
    for key, rows in by_use_case(table).items():
        scope = scopes.get(key)
        if scope is not None and scope["reasoning_tokens"] >= _WORTH_SHOWING * scope["output_tokens"]:
            lever = _lever(view, key, rows, scope)
            found += [] if lever is None else [lever]
    return found


def _lever(view: View, key: tuple[str, str, str], rows: list[dict[str, Any]], scope: dict[str, Any]) -> Lever | None:
    provider, model, use_case_id = key
    rates = prices.rates(provider, model, input_tokens=0, at_ns=int(view.until.timestamp() * 1e9))
    if rates is None:
        return None
    rate = float(rates.output if rates.reasoning is None else rates.reasoning)
    by_effort: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        by_effort.setdefault(row["effort"], []).append(row)
    used = max(by_effort, key=lambda effort: sum(row["calls"] for row in by_effort[effort]))
    lower = _next_lower(used, by_effort)
    calls = sum(row["calls"] for row in by_effort[used])
    saving: Estimate | NotEnoughData = NotEnoughData(0, 30, "conversations at a lower effort to compare with")
    if lower is not None:
        saving = _difference(by_effort[used], by_effort[lower], rate * calls, seed=view.seed)
    share = scope["reasoning_tokens"] / scope["output_tokens"]
    return Lever(
        kind="reasoning_effort",
        provider=provider,
        request_model=model,
        use_case_id=use_case_id,
        use_case_name=scope["use_case_name"],
        target=lower,
        calls=calls,
        spend_usd=scope["spend_usd"],
        window_days=view.window_days,
        window_saving=saving,
        at_most=False,
        action="try a lower reasoning effort on a part of these calls, with a check that scores the answers",
        findings=(
            f"{share:.0%} of the output tokens are reasoning, about ${scope['reasoning_tokens'] * rate:,.2f}",
            f"most calls name {'no effort' if used is None else f'effort {used!r}'}"
            + ("" if lower is None else f"; calls at {lower!r} reason less"),
        ),
        assumptions=(
            "whether the answers stay as good is not known: nothing here compares them",
            "calls at the lower effort are like the others, which nobody drew at random",
        ),
        as_of=view.until,
        sql={
            "calls": (
                "SELECT count(*) FROM traffic() WHERE priced AND output_tokens IS NOT NULL AND "
                + _effort_is(used)
                + f" AND {sql_scope(view, provider, model, use_case_id)}"
            ),
        },
    )


def _effort_is(effort: str | None) -> str:
    level = 'CAST(attributes."gen_ai.request.reasoning.level" AS VARCHAR)'
    return f"{level} IS NULL" if effort is None else f"{level} = '{effort}'"


def _next_lower(used: str | None, by_effort: dict[str | None, list[dict[str, Any]]]) -> str | None:
    if used not in _EFFORTS:
        return None
    lower = [effort for effort in _EFFORTS[: _EFFORTS.index(used)] if effort in by_effort]
    return lower[-1] if lower else None


def _difference(
    used: list[dict[str, Any]], lower: list[dict[str, Any]], usd: float, *, seed: int
) -> Estimate | NotEnoughData:
    """Reasoning tokens per call at the used effort less those at the lower one, times `usd` per token."""
    found = [
        bootstrap_ratio(
            np.array([row["reasoning_tokens"] for row in rows], dtype=np.float64),
            np.array([row["calls"] for row in rows], dtype=np.float64),
            seed=seed + place,
        )
        for place, rows in enumerate((used, lower))
    ]
    here, there = found
    if isinstance(here, NotEnoughData):
        return here
    if isinstance(there, NotEnoughData):
        return there
    value = here.value - there.value
    # Two independent means: the distances to the bounds add up in squares.
    down = float(np.hypot(here.value - here.low, there.high - there.value))
    up = float(np.hypot(here.high - here.value, there.value - there.low))
    return Estimate(
        value=value * usd,
        low=(value - down) * usd,
        high=(value + up) * usd,
        confidence_level=here.confidence_level,
        n=here.n + there.n,
        effective_n=min(here.effective_n, there.effective_n),
        method=f"difference of reasoning tokens per call between efforts, {here.method}",
        unit="USD",
    )
