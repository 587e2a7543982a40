"""Traces: a list, and one of them as a waterfall with what each step cost, and the way to the user's own tool."""

from __future__ import annotations

from typing import Any

import charts
import connection
import downloads
import estimates
import format
import states
import streamlit as st
from filters import Filters

from tierwise import settings

selected: Filters = st.session_state["selected"]

ORDERS = {"Newest": "newest", "Dearest": "dearest", "Slowest": "slowest"}
LISTED = 100
MOST_STEPS = 300


def trace_list() -> None:
    """The traces with selected calls; a click on one opens it."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        order = st.segmented_control(
            "Order",
            list(ORDERS),
            default="Newest",
            required=True,
            key="order",
            bind="query-params",
            label_visibility="collapsed",
        )
        found = connection.table("traces", {**selected.parameters, "order": ORDERS[order], "limit": LISTED})
        downloads.menu(found, "traces")
    rows = found.to_pylist()
    st.caption(
        f"{format.count(len(rows))} of {format.count(rows[0]['traces'])} traces. "
        "Tick one, or paste the id of one, to see its steps."
    )
    largest = max((row["cost_usd"] or 0.0 for row in rows), default=0.0)
    st.dataframe(
        found,
        hide_index=True,
        placeholder=format.UNKNOWN,
        alt="Traces with calls in the selection",
        key="trace_list",
        on_select=lambda: _open([row["trace_id"] for row in rows]),
        selection_mode="single-row",
        column_order=[
            "start_time",
            "use_case",
            "cost_usd",
            "calls",
            "errors",
            "duration_s",
            "models",
            "services",
            "tenant",
            "trace_id",
        ],
        column_config={
            "start_time": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "use_case": st.column_config.TextColumn("Use case"),
            "cost_usd": st.column_config.NumberColumn("Cost", format=format.money_column_format(largest)),
            "calls": st.column_config.NumberColumn("Calls", format="localized"),
            "errors": st.column_config.NumberColumn("Errors", format="localized"),
            "duration_s": st.column_config.NumberColumn("Took", format="%.2f s"),
            "models": st.column_config.ListColumn("Models"),
            "services": st.column_config.ListColumn("Services"),
            "tenant": "Tenant",
            "trace_id": st.column_config.TextColumn("Trace", width="medium"),
        },
    )


def _open(trace_ids: list[str]) -> None:
    """Callback: show the trace that was ticked."""
    ticked: list[int] = st.session_state["trace_list"]["selection"]["rows"]
    if ticked:
        st.session_state["trace"] = trace_ids[ticked[0]]


def _back() -> None:
    st.session_state["trace"] = ""


def one_trace(trace_id: str) -> None:
    """A trace: what it cost in all, its waterfall, its steps."""
    steps = connection.rows("trace_steps", {"trace_id": trace_id})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("All traces", icon=":material/arrow_back:", key="back_to_traces", on_click=_back)
        if steps:
            _link_out(steps[0])
            downloads.menu(steps, "trace")
    if not steps:
        with st.container(border=True, key="no_trace"):
            st.subheader("No such trace", icon=":material/search_off:", anchor=False)
            st.markdown(
                f"No call of a trace `{format.literal(trace_id)}` is stored. It may be older than what is kept, or "
                "its spans have not arrived yet."
            )
        return
    calls = [step for step in steps if step["kind"] == "call"]
    ended = max(step["offset_s"] + step["duration_s"] for step in steps)
    with st.grid(4, min_column_width=135, gap="small"):
        estimates.card("Cost", format.money(steps[0]["trace_cost_usd"]), f"{format.count(len(calls))} calls")
        estimates.card("Took", format.seconds(ended), format.moment(steps[0]["start_time"]))
        estimates.card("Errors", format.count(sum(step["status"] == "error" for step in steps)), "of all steps")
        estimates.card("Use case", calls[0]["use_case"] or format.UNKNOWN, calls[0]["task_type"]) if calls else None
    shown = steps[:MOST_STEPS]
    with st.container(border=True):
        st.subheader("Waterfall", anchor=False)
        st.altair_chart(charts.waterfall(shown), alt=_in_words(shown), key="waterfall")
        if len(steps) > len(shown):
            st.caption(
                f"The first {format.count(len(shown))} of {format.count(len(steps))} steps; all are in the download."
            )
    _steps(shown)


def _in_words(steps: list[dict[str, Any]]) -> str:
    return "Steps in order, with when each began, how long it took and what it cost: " + "; ".join(
        f"{step['name']} after {format.seconds(step['offset_s'])}, {format.seconds(step['duration_s'])}, "
        f"{format.money(step['cost_usd'])}"
        for step in steps[:8]
    )


def _link_out(step: dict[str, Any]) -> None:
    template = settings.load().trace_url
    if template is None:
        return
    st.link_button(
        "Open in your tracing tool",
        template.replace("{trace_id}", st.session_state["trace"]).replace("{span_id}", step["span_id"]),
        icon=":material/open_in_new:",
    )


def _steps(steps: list[dict[str, Any]]) -> None:
    largest = max((step["cost_usd"] or 0.0 for step in steps), default=0.0)
    st.dataframe(
        [{**step, "name": "   " * step["depth"] + step["name"]} for step in steps],
        hide_index=True,
        placeholder=format.UNKNOWN,
        alt="Steps of the trace",
        key="steps",
        column_order=[
            "name",
            "cost_usd",
            "duration_s",
            "offset_s",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "requested_model",
            "decision",
            "route_reason",
            "score",
            "shadows",
            "error_type",
            "unpriced_reason",
            "span_id",
        ],
        column_config={
            "name": st.column_config.TextColumn("Step", pinned=True),
            "cost_usd": st.column_config.NumberColumn("Cost", format=format.money_column_format(largest)),
            "duration_s": st.column_config.NumberColumn("Took", format="%.3f s"),
            "offset_s": st.column_config.NumberColumn("After", format="%.3f s"),
            "input_tokens": st.column_config.NumberColumn("Input tokens", format="localized"),
            "output_tokens": st.column_config.NumberColumn("Output tokens", format="localized"),
            "cache_read_tokens": st.column_config.NumberColumn("Cached", format="localized"),
            "requested_model": "Asked for",
            "decision": "Routing",
            "route_reason": "Because",
            "score": st.column_config.NumberColumn("Score", format="%.2f"),
            "shadows": st.column_config.NumberColumn("Shadow calls", format="localized"),
            "error_type": "Error",
            "unpriced_reason": "No price because",
            "span_id": "Span",
        },
    )


wanted = st.text_input(
    "Trace id", key="trace", bind="query-params", placeholder="Paste one to open it", autocomplete="off"
).strip()
if wanted:
    one_trace(wanted)
elif connection.row("overview_totals", selected.parameters)["calls"]:
    trace_list()
else:
    states.no_calls_selected()
