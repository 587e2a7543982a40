"""Budgets and alerts: what the month comes to against what was agreed, and what stands out."""

from __future__ import annotations

import json
from typing import Any

import analysis
import connection
import downloads
import estimates
import filters
import format
import roles
import streamlit as st
import writes

from tierwise.alerts import Alert, BudgetStatus
from tierwise.store.budgets import SCOPES, budget_id, decimal

_STATES: dict[str, tuple[Any, str]] = {
    "exceeded": ("red", ":material/error:"),
    "will exceed": ("red", ":material/trending_up:"),
    "may exceed": ("orange", ":material/warning:"),
    "within": ("green", ":material/check_circle:"),
    "unknown": ("gray", ":material/hourglass_empty:"),
}
_SCOPES = {"all": "All traffic", "tenant": "A tenant", "use_case": "A use case", "model": "A model"}
_KINDS = {"budget": "Budget", "forecast": "Forecast", "anomaly": "Anomaly", "drift": "Drift"}


def card(status: BudgetStatus) -> None:
    """One budget: spent, what the month comes to, and the rows behind it."""
    budget = status.budget
    colour, icon = _STATES[status.state]
    with st.container(border=True, key=f"budget_{budget.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(format.literal(budget.subject[:1].upper() + budget.subject[1:]), anchor=False, width="content")
            st.badge(status.state.capitalize(), icon=icon, color=colour)
        with st.grid(3, min_column_width=150, gap="small"):
            estimates.card("A month", format.money(budget.monthly_usd), "UTC calendar month")
            estimates.card("Spent", format.money(status.spent_usd), f"{format.percent(status.spent_share)} of it")
            estimates.metric("The month comes to", estimates.shown(status.forecast), colour=colour)
        if status.unpriced_calls:
            st.caption(f"{format.count(status.unpriced_calls)} calls of the month have no price and are not in it.")
        with st.container(horizontal=True, gap="small"):
            may = roles.may("approve")
            if st.button("Change", icon=":material/edit:", key=f"change_{budget.id}", disabled=not may):
                change_dialog(status)
            if st.button("Remove", icon=":material/delete:", key=f"remove_{budget.id}", disabled=not may):
                remove_dialog(status)
        with st.expander("The rows behind it", icon=":material/database:", type="compact", key=f"sql_{budget.id}"):
            st.code(status.sql, language="sql", wrap_lines=True)


@st.dialog("Set a budget", icon=":material/savings:")
def set_dialog(budgets: list[BudgetStatus]) -> None:
    """Ask for whom and how much."""
    scope = st.segmented_control(
        "For", list(SCOPES), format_func=_SCOPES.__getitem__, default="all", required=True, key="budget_scope"
    )
    if scope != "all":
        st.selectbox("Which", filters.known_values().get(scope, ()), key="budget_value")
    st.number_input("USD a month", min_value=0.01, value=100.0, step=10.0, key="budget_usd")
    revisions = {status.budget.id: status.budget.revision for status in budgets}
    writes.confirm("set_budget", "Set", _set, revisions)


def _set(revisions: dict[str, int], signature: writes.Signature) -> None:
    scope = st.session_state["budget_scope"]
    value = "" if scope == "all" else st.session_state.get("budget_value") or ""
    _put(scope, value, st.session_state["budget_usd"], revisions.get(budget_id(scope, value)), signature)


@st.dialog("Change the budget", icon=":material/edit:")
def change_dialog(status: BudgetStatus) -> None:
    """Ask for the amount."""
    budget = status.budget
    st.markdown(format.literal(budget.subject))
    st.number_input("USD a month", min_value=0.01, value=float(budget.monthly_usd), step=10.0, key="changed_usd")
    writes.confirm("change_budget", "Change", _change, status)


def _change(status: BudgetStatus, signature: writes.Signature) -> None:
    budget = status.budget
    _put(budget.scope, budget.value, st.session_state["changed_usd"], budget.revision, signature)


def _put(scope: str, value: str, usd: float, based_on: int | None, signature: writes.Signature) -> None:
    def write() -> str:
        connection.store().put_budget(
            scope, value, decimal(usd), who=signature.who, why=signature.why, based_on=based_on
        )
        return f"{value or 'All traffic'} may cost {format.money(usd)} a month."

    writes.once(("budget", scope, value, based_on, usd), write)


@st.dialog("Remove the budget?", icon=":material/delete:")
def remove_dialog(status: BudgetStatus) -> None:
    """Ask once more."""
    st.markdown(f"{format.literal(status.budget.subject)} will have no budget.")
    writes.confirm("remove_budget", "Remove", _remove, status)


def _remove(status: BudgetStatus, signature: writes.Signature) -> None:
    budget = status.budget

    def write() -> str:
        connection.store().remove_budget(budget.id, who=signature.who, why=signature.why, based_on=budget.revision)
        return f"{budget.subject} has no budget any more."

    writes.once(("remove_budget", budget.id, budget.revision), write)


def now_wrong(alerts: tuple[Alert, ...]) -> None:
    """What a look right now finds."""
    st.subheader("Stands out now", anchor=False)
    if not alerts:
        st.caption("Nothing: no budget is exceeded, yesterday was like the days before, no rule has drifted.")
    for alert in alerts:
        with st.container(border=True, key=f"now_{alert.id}"):
            st.markdown(f"**{_KINDS[alert.kind]}** · {format.literal(alert.message)}")
            with st.expander("The rows behind it", icon=":material/database:", type="compact", key=f"rows_{alert.id}"):
                st.code(alert.sql, language="sql", wrap_lines=True)


def told() -> None:
    """What the collector has told, newest first."""
    rows = [{**row, "detail": json.loads(row["detail"])} for row in connection.rows("alerts")]
    with st.expander(f"Told so far ({format.count(len(rows))})", icon=":material/history:", key="told"):
        if not rows:
            st.caption("A collector looks every quarter of an hour; `tierwise budget check --notify` looks at once.")
            return
        downloads.menu(rows, "alerts")
        st.dataframe(
            rows,
            hide_index=True,
            alt="Alerts, newest first",
            key="alerts",
            column_order=["time", "kind", "message", "sql"],
            column_config={
                "time": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"),
                "kind": "Kind",
                "message": st.column_config.TextColumn("What", width="large"),
                "sql": st.column_config.TextColumn("Rows behind it", width="medium"),
            },
        )


checked = analysis.checked()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.caption("Of all traffic this calendar month, whatever the filters.")
    downloads.menu([status.to_dict() for status in checked.budgets], "budgets")
    if st.button("Set a budget", icon=":material/add:", key="set_budget", disabled=not roles.may("approve")):
        set_dialog(list(checked.budgets))
if not checked.budgets:
    with st.container(border=True, key="no_budgets"):
        st.subheader("No budget yet", icon=":material/savings:", anchor=False)
        st.markdown("Say what all traffic, a tenant, a use case or a model may cost a month, here or with:")
        st.code("tierwise budget set 500\ntierwise budget set 120 --tenant acme", language="bash")
for status in checked.budgets:
    card(status)
now_wrong(checked.alerts)
told()
