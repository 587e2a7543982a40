"""Calls that nobody waits for, at the price of the batch or flex tier of the same model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.recommend.levers.lever import Lever, View, sql_scope, sums_by, total_of
from tierwise.savings.reprice import reprice
from tierwise.savings.traffic import Labels, Traffic, row_groups

_TIERS = ("flex", "batch")
"""Flex answers in the same request, only later, so it is the smaller change where both cost the same."""
_WORTH_IT = 0.05


def find(view: View) -> list[Lever]:
    """One a use case and model whose calls are marked as offline, or look as if nobody waited for them."""
    evidence = {
        (row["provider"], row["request_model"], row["use_case_id"]): row
        for row in view.rows_of("lever_use_cases").to_pylist()
    }
    found: list[Lever] = []
    traffic = view.traffic
    keys = np.stack([traffic.provider.codes, traffic.request_model.codes, traffic.use_case_id.codes], axis=1)
    for rows in row_groups(keys.astype(np.int64)):
        first = rows[0]
        provider, model, use_case = (
            column[first] for column in (traffic.provider, traffic.request_model, traffic.use_case_id)
        )
        row = evidence.get((provider, model, use_case))
        if row is None or not provider or not model or not use_case:
            continue
        marked = bool({use_case, row["use_case_name"]} & view.offline)
        nobody_waits = (
            row["calls"] >= ENOUGH
            and row["streamed_calls"] == 0
            and row["tool_calls"] == 0
            and row["conversations"] == row["calls"]
        )
        if marked or nobody_waits:
            lever = _lever(view, traffic.take(rows), provider, model, row, marked=marked)
            found += [] if lever is None else [lever]
    return found


def _lever(
    view: View, traffic: Traffic, provider: str, model: str, row: dict[str, object], *, marked: bool
) -> Lever | None:
    at_ns = int(view.until.timestamp() * 1e9)
    present = reprice(traffic, model, cache_kept=1.0, at_ns=at_ns)
    for tier in _TIERS:
        tiered = _on_tier(traffic, tier)
        there = reprice(tiered, model, cache_kept=1.0, at_ns=at_ns)
        known = present.known & there.known & traffic.priced
        now_usd = present.per_input + present.per_output + present.fixed
        then_usd = there.per_input + there.per_output + there.fixed
        saved = np.where(known, now_usd - then_usd, 0.0)
        if saved.sum() > _WORTH_IT * np.where(known, now_usd, 0.0).sum():
            break
    else:
        return None
    use_case_id = str(row["use_case_id"])
    calls = traffic.count(known)
    saving = total_of(sums_by(traffic.block, saved), n=calls, seed=view.seed)
    if not marked and isinstance(saving, NotEnoughData):
        return None
    return Lever(
        kind="batch_tier",
        provider=provider,
        request_model=model,
        use_case_id=use_case_id,
        use_case_name=None if row["use_case_name"] is None else str(row["use_case_name"]),
        target=tier,
        calls=traffic.count(),
        spend_usd=traffic.total_usd(),
        window_days=view.window_days,
        window_saving=saving,
        at_most=not marked,
        action=(
            f'send these calls with service_tier="{tier}"'
            if tier == "flex"
            else "collect these calls and send them through the provider's batch API"
        ),
        findings=(
            "a person marked the use case as offline"
            if marked
            else f"none of {row['calls']:,} calls is streamed, calls a tool or is one of several of a conversation",
        ),
        assumptions=(
            f"prices of the {tier} tier on {view.until:%Y-%m-%d}, the same tokens and the same model",
            "an answer may come minutes to a day later"
            + ("" if marked else "; whether somebody waits for it, only you know: mark the use case with --offline"),
            *(("cached input is not served in batches as it is now",) if traffic.cache_read_tokens.any() else ()),
        ),
        as_of=view.until,
        sql={
            "calls": f"SELECT count(*) FROM traffic() WHERE {sql_scope(view, provider, model, use_case_id)}",
            "spend_usd": f"SELECT sum(cost_usd) FROM traffic() WHERE {sql_scope(view, provider, model, use_case_id)}",
        },
    )


def _on_tier(traffic: Traffic, tier: str) -> Traffic:
    standard = np.isin(
        traffic.service_tier.codes,
        [
            code
            for code, name in enumerate(traffic.service_tier.values)
            if name in (None, "", "auto", "default", "standard")
        ],
    )
    # What is on another tier already stays there: its price is not known to be the same.
    names = (*traffic.service_tier.values, tier)
    codes = np.where(standard, len(names) - 1, traffic.service_tier.codes).astype(np.int32)
    return replace(traffic, service_tier=Labels(names, codes))
