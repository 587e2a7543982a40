"""Recommendations as a table: to filter, to sort, to copy, and to open one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import cards
import connection
import format
import streamlit as st

from tierwise.reports.recommendation_rows import recommendation_rows

_COLUMNS = (
    "use_case",
    "state",
    "request_model",
    "target",
    "rule_kind",
    "share",
    "monthly_calls",
    "monthly_saving_usd",
    "monthly_saving_usd_low",
    "monthly_saving_usd_high",
    "retention",
    "retention_low",
    "pairs",
    "missing",
)


def rows(ids: Collection[str]) -> list[dict[str, Any]]:
    """The recommendations of these ids, in their order, one flat row each."""
    stored = {item["id"]: item for item in connection.recommendations()}
    chosen = [stored[one] for one in ids]
    return [
        {
            **row,
            "use_case": row["use_case_name"] or row["use_case_id"],
            # What an earlier version stored has neither.
            "rule_kind": item.get("rule_kind", "route"),
            "share": item.get("share", 1.0),
        }
        for row, item in zip(recommendation_rows(chosen), chosen, strict=True)
    ]


def draw(ids: list[str]) -> str | None:
    """Draw the table with its filters.

    Returns: the id of the row that is picked; None when none is.
    """
    if not ids:
        st.caption("None.")
        return None
    all_rows = rows(ids)
    states = list(dict.fromkeys(row["state"] for row in all_rows))
    targets = sorted({row["target"] for row in all_rows})
    with st.container(horizontal=True):
        in_states = st.pills(
            "State",
            states,
            selection_mode="multi",
            format_func=lambda state: cards.STATES[state][0],
            key="table_states",
        )
        to_targets = st.multiselect("To", targets, key="table_targets", placeholder="All targets", width=260)
    listed = [
        row
        for row in all_rows
        if (not in_states or row["state"] in in_states) and (not to_targets or row["target"] in to_targets)
    ]
    largest = max((abs(row["monthly_saving_usd_high"] or 0.0) for row in listed), default=0.0)
    dollars = format.money_column_format(largest)
    picked: Any = st.dataframe(
        listed,
        hide_index=True,
        placeholder=format.UNKNOWN,
        alt="Recommendations; picking a row opens its card below",
        key="recommendation_table",
        on_select="rerun",
        selection_mode="single-row",
        column_order=_COLUMNS,
        column_config={
            "use_case": st.column_config.TextColumn("Use case", pinned=True, width=170),
            "state": "State",
            "request_model": "From",
            "target": "To",
            "rule_kind": "Kind",
            "share": st.column_config.NumberColumn("Share", format="percent", help="Of the calls, that would move"),
            "monthly_calls": st.column_config.NumberColumn("Calls a month", format="%,.0f"),
            "monthly_saving_usd": st.column_config.NumberColumn("Saving a month", format=dollars),
            "monthly_saving_usd_low": st.column_config.NumberColumn("Low", format=dollars),
            "monthly_saving_usd_high": st.column_config.NumberColumn("High", format=dollars),
            "retention": st.column_config.NumberColumn("Quality kept", format="percent"),
            "retention_low": st.column_config.NumberColumn("At least", format="percent"),
            "pairs": st.column_config.NumberColumn("Pairs", format="localized"),
            "missing": st.column_config.TextColumn("Missing", width="medium"),
        },
    )
    chosen = picked.selection.rows
    return str(listed[chosen[0]]["id"]) if chosen and chosen[0] < len(listed) else None
