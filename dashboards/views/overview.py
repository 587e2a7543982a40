"""Overview: spend over time, what the tokens were, and the use cases that cost most."""

from __future__ import annotations

from typing import Any

import charts
import connection
import downloads
import format
import pyarrow as pa
import states
import streamlit as st
from filters import Filters

DIMENSIONS = {"Model": "model", "Task type": "task_type", "Use case": "use_case"}

selected: Filters = st.session_state["selected"]


def headline() -> None:
    """Four figures with their course, each against the period before."""
    change = connection.row("spend_change", selected.parameters)
    steps = connection.rows("spend_series", {**selected.parameters, "step_s": selected.step_s, "buckets": 0})
    slowest = format.seconds(change["duration_s_p95"])
    with st.grid(4, min_column_width=150, gap="small"):
        _metric("Spend", format.money(change["spend_usd"]), change["spend_change"], steps, "spend_usd")
        _metric(
            "Calls",
            format.compact(change["calls"]),
            change["calls_change"],
            steps,
            "calls",
            worse_when_up=False,
            note="Your own calls; tierwise's shadow calls are not among them.",
        )
        _metric(
            "Cost of one call",
            format.money(change["cost_per_call_usd"]),
            change["cost_per_call_change"],
            steps,
            "cost_per_call_usd",
            note="Mean over the calls that have a price.",
        )
        _metric(
            "Time to answer",
            format.seconds(change["duration_s_p50"]),
            None,
            steps,
            "duration_s_p50",
            note=f"Median over all calls. 95% answer within {slowest}.",
        )


def _metric(
    label: str,
    value: str,
    change: float | None,
    steps: list[dict[str, Any]],
    column: str,
    *,
    worse_when_up: bool = True,
    note: str | None = None,
) -> None:
    course = [step[column] for step in steps if step[column] is not None]
    st.metric(
        label,
        format.literal(value),
        None if change is None else format.signed_percent(change),
        delta_color="inverse" if worse_when_up else "off",
        delta_description=None if change is None else f"to the {selected.range_name} before",
        chart_data=course if len(course) > 1 else None,
        chart_type="area",
        border=True,
        height="stretch",
        help=note,
    )


def spend() -> None:
    """Spend over time, stacked by what the person picks."""
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader("Spend over time", anchor=False, width="content")
            title = st.segmented_control(
                "Stacked by",
                list(DIMENSIONS),
                default="Model",
                required=True,
                key="by",
                bind="query-params",
                label_visibility="collapsed",
            )
        series = connection.table(
            "spend_series", {**selected.parameters, "step_s": selected.step_s, "dimension": DIMENSIONS[title]}
        )
        st.altair_chart(
            charts.spend_over_time(series, since=selected.since, step=selected.range.step, bucket_title=title),
            alt=_spend_in_words(series, title),
            key="spend_chart",
        )
        downloads.menu(series, "spend")


def _spend_in_words(series: pa.Table, title: str) -> str:
    totals = {row["bucket"]: row["bucket_spend_usd"] for row in series.to_pylist()}
    named = ", ".join(f"{bucket} {format.money(usd)}" for bucket, usd in list(totals.items())[:4])
    return f"Stacked bars of spend a {selected.range.step_label} by {title.lower()}. Most spent: {named}."


def tokens() -> None:
    """Token mix by model."""
    with st.container(border=True, height="stretch"):
        st.subheader("What the tokens were", anchor=False)
        mix = connection.table("token_mix", selected.parameters)
        named = ", ".join(
            f"{row['model']} {row['kind']} {format.percent(row['share'], 0)}" for row in mix.to_pylist()[:6]
        )
        st.altair_chart(charts.token_mix(mix), alt=f"Bars of token kinds by model: {named}.", key="token_chart")
        downloads.menu(mix, "tokens")


def use_cases() -> None:
    """The dearest use cases with their unit cost."""
    found = connection.table("top_use_cases", {**selected.parameters, "step_s": selected.step_s, "limit": 20})
    largest = max((row["spend_usd"] or 0.0 for row in found.to_pylist()), default=0.0)
    with st.container(border=True, height="stretch"):
        st.subheader("Use cases by spend", anchor=False)
        downloads.menu(found, "use-cases", focus=selected.parameters)
        st.dataframe(
            found,
            hide_index=True,
            placeholder=format.UNKNOWN,
            alt="Use cases by spend, with what one call and a thousand calls cost",
            column_order=[
                "label",
                "spend_usd",
                "spend_share",
                "spend_series",
                "calls",
                "cost_per_call_usd",
                "cost_per_1k_calls_usd",
                "task_type",
                "model",
                "mean_score",
                "duration_s_p50",
                "error_share",
            ],
            column_config={
                "label": st.column_config.TextColumn("Use case", pinned=True, width=160),
                "spend_usd": st.column_config.NumberColumn("Spend", format=format.money_column_format(largest)),
                "spend_share": st.column_config.ProgressColumn("Share", format="percent", min_value=0, max_value=1),
                "spend_series": st.column_config.AreaChartColumn("Over time", y_min=0),
                "calls": st.column_config.NumberColumn("Calls", format="localized"),
                "cost_per_call_usd": st.column_config.NumberColumn("Per call", format="$%.4f"),
                "cost_per_1k_calls_usd": st.column_config.NumberColumn("Per 1,000", format="$%,.2f"),
                "task_type": st.column_config.TextColumn("Task type"),
                "model": st.column_config.TextColumn("Model asked for"),
                "mean_score": st.column_config.NumberColumn("Score", format="percent", help="Mean of its scores"),
                "duration_s_p50": st.column_config.NumberColumn("Median time", format="%.2f s"),
                "error_share": st.column_config.NumberColumn("Errors", format="percent"),
            },
        )


totals = connection.row("overview_totals", selected.parameters)
if not totals["calls"]:
    states.no_calls_selected()
else:
    headline()
    spend()
    use_cases()
    tokens()
