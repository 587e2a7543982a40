"""The strip on top of every page: how much of what the figures rest on is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import connection
import format
import streamlit as st
from filters import Filters

WELL_COVERED = 0.99
"""From this share up, pricing and classification need nobody's attention."""
MUCH_ESTIMATED = 0.05
STALE_AFTER_S = 24 * 3600
"""A newest call older than this is worth a look: an exporter may have stopped."""


def draw(selected: Filters, totals: dict[str, Any]) -> None:
    """Draw the strip.

    Args:
        totals: the row of `overview_totals` for the same filters.
    """
    with st.container(horizontal=True, gap="xsmall", key="coverage"):
        _priced(selected, totals["priced_share"])
        _classified(totals["classified_spend_share"])
        _estimated(totals["estimated_share"])
        _fresh(totals["newest_call_time"])
        _price_list(selected)
        _evaluation(totals)


def _priced(selected: Filters, share: float | None) -> None:
    missing = connection.rows("unpriced", selected.parameters) if share is not None and share < 1 else []
    if missing:
        named = ", ".join(f"{format.count(item['calls'])} to {format.literal(item['model'])}" for item in missing[:3])
        explanation = f"Calls without a price: {named}. They are left out of every amount, not counted as zero."
    else:
        explanation = "Every call has a price."
    st.badge(
        f"{format.percent(share)} priced",
        icon=":material/payments:",
        color=_colour(None if share is None else share >= WELL_COVERED),
        help=explanation,
    )


def _classified(share: float | None) -> None:
    st.badge(
        f"{format.percent(share)} classified",
        icon=":material/category:",
        color=_colour(None if share is None else share >= WELL_COVERED),
        help="Share of spend whose task type is known, tagged by you or inferred.",
    )


def _estimated(share: float | None) -> None:
    st.badge(
        f"{format.percent(share)} estimated",
        icon=":material/straighten:",
        color=_colour(None if share is None else share <= MUCH_ESTIMATED),
        help="Share of calls whose provider reported no token counts; theirs are our estimate.",
    )


def _fresh(newest: datetime | None) -> None:
    fresh = None if newest is None else format.age_s(newest) <= STALE_AFTER_S
    st.badge(
        f"Newest {format.age(newest)}",
        icon=":material/schedule:",
        color=_colour(fresh),
        help=f"Newest call selected: {format.moment(newest)}. Figures lag by {connection.TTL_S} s at most.",
    )


def _price_list(selected: Filters) -> None:
    versions = connection.rows("price_versions", selected.parameters)
    newest = versions[0]["price_version"] if versions else None
    older = ", ".join(version["price_version"] for version in versions[1:])
    st.badge(
        f"{format.literal(newest or 'no prices used')}{f' +{len(versions) - 1}' if older else ''}",
        icon=":material/sell:",
        color="gray",
        help=f"Price list of the newest priced call. Also in use: {format.literal(older)}."
        if older
        else "Price list that every call selected was priced with.",
    )


def _evaluation(totals: dict[str, Any]) -> None:
    st.badge(
        f"Evaluation {format.literal(format.money(totals['evaluation_cost_usd']))}",
        icon=":material/science:",
        color="gray",
        help=f"What tierwise's own {format.count(totals['evaluation_calls'])} shadow calls cost. "
        "It is in no other amount, and every net saving has it taken off."
        + (
            f" Judges asked models for {format.literal(format.money(totals['judge_cost_usd']))} more; those calls are "
            "your own, and in the spend."
            if totals["judge_calls"]
            else ""
        ),
    )


def _colour(good: bool | None) -> Any:
    return {True: "green", False: "orange", None: "gray"}[good]
