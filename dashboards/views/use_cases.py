"""Use cases: what each costs, and what people say about it: name, task type, what it counts as, if it is left out."""

from __future__ import annotations

from typing import Any

import connection
import downloads
import format
import roles
import states
import streamlit as st
import writes
from filters import Filters

from tierwise.store.use_cases import SPLITS
from tierwise.tasks.taxonomy import TASKS

selected: Filters = st.session_state["selected"]

LISTED = 500
_MINUTE = "YYYY-MM-DD HH:mm"
_SPLIT_NAMES = {"tenant": "tenant", "request_model": "model asked for"}
_SAID = {
    "rename": "is called “{value}”",
    "label": "has the task type {value}",
    "exclude": "is kept out of recommendations",
    "merge": "counts as {value}",
    "split": "is split by {value}",
}


def table(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The use cases, dearest first; the one that is ticked."""
    largest = max((row["spend_usd"] or 0.0 for row in found), default=0.0)
    chosen = st.dataframe(
        [{**row, "confirmed": row["task_source"] == "label"} for row in found],
        hide_index=True,
        placeholder=format.UNKNOWN,
        alt="Use cases by spend",
        key="use_case_table",
        on_select="rerun",
        selection_mode="single-row",
        column_order=[
            "label",
            "spend_usd",
            "spend_share",
            "calls",
            "task_type",
            "task_source",
            "models",
            "tenants",
            "excluded",
            "newest_call_time",
            "use_case_id",
        ],
        column_config={
            "label": st.column_config.TextColumn("Use case", pinned=True, width=180),
            "spend_usd": st.column_config.NumberColumn("Spend", format=format.money_column_format(largest)),
            "spend_share": st.column_config.ProgressColumn("Share", format="percent", min_value=0, max_value=1),
            "calls": st.column_config.NumberColumn("Calls", format="localized"),
            "task_type": "Task type",
            "task_source": st.column_config.TextColumn("Said by", help="label: by a person, here."),
            "models": st.column_config.ListColumn("Models"),
            "tenants": st.column_config.NumberColumn("Tenants", format="localized"),
            "excluded": st.column_config.CheckboxColumn("Left out", help="Of recommendations"),
            "newest_call_time": st.column_config.DatetimeColumn(
                "Newest (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
            ),
            "use_case_id": "Id",
        },
    )
    ticked = chosen["selection"]["rows"]
    return found[ticked[0]] if ticked and ticked[0] < len(found) else None


def actions(row: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """What can be said about the use case that is ticked."""
    is_part = "/" in row["use_case_id"]
    may = roles.may("approve")
    with st.container(border=True, key="use_case_actions"):
        st.subheader(format.literal(row["label"]), anchor=False)
        others = [name for name in row["observed"] if name and name != row["use_case_id"]]
        if others:
            st.caption(f"Calls of {format.literal(', '.join(others))} count as this one.")
        with st.container(horizontal=True, gap="small"):
            if st.button("Rename", icon=":material/edit:", key="rename", disabled=not may):
                rename_dialog(row)
            if st.button("Set the task type", icon=":material/category:", key="label", disabled=not may):
                label_dialog(row)
            if st.button("Merge", icon=":material/merge:", key="merge", disabled=not may or is_part):
                merge_dialog(row, found)
            if st.button("Split", icon=":material/call_split:", key="split", disabled=not may or is_part):
                split_dialog(row)
            if st.button(
                "Leave out", icon=":material/block:", key="exclude", disabled=not may or row["excluded"],
                help="Nothing is recommended for it; spend still counts.",
            ):  # fmt: skip
                exclude_dialog(row)


@st.dialog("Rename", icon=":material/edit:")
def rename_dialog(row: dict[str, Any]) -> None:
    """Ask for the name."""
    st.text_input("Name", value=row["label"], key="new_name", max_chars=120)
    writes.confirm("rename_use_case", "Rename", _edit, row, "rename", "new_name")


@st.dialog("Set the task type", icon=":material/category:")
def label_dialog(row: dict[str, Any]) -> None:
    """Ask for the task type."""
    st.markdown("What a person says here outranks what was inferred from the prompts, for calls past and to come.")
    names = list(TASKS)
    place = names.index(row["task_type"]) if row["task_type"] in names else 0
    st.selectbox("Task type", names, index=place, key="new_task_type")
    writes.confirm("label_use_case", "Set", _edit, row, "label", "new_task_type")


@st.dialog("Merge", icon=":material/merge:")
def merge_dialog(row: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Ask as what its calls count."""
    labels = {
        other["use_case_id"]: other["label"]
        for other in found
        if other["use_case_id"] != row["use_case_id"] and "/" not in other["use_case_id"]
    }
    if not labels:
        st.markdown("There is no other use case in the selection.")
        return
    st.selectbox(
        f"Calls of {format.literal(row['label'])} count as",
        list(labels),
        format_func=labels.__getitem__,
        key="merge_into",
    )
    st.caption("Evidence of both is put together, and a rule names both. Nothing stored is rewritten.")
    writes.confirm("merge_use_case", "Merge", _edit, row, "merge", "merge_into")


@st.dialog("Split", icon=":material/call_split:")
def split_dialog(row: dict[str, Any]) -> None:
    """Ask by what."""
    st.segmented_control(
        "By", list(SPLITS), format_func=_SPLIT_NAMES.__getitem__, default=SPLITS[0], required=True, key="split_by"
    )
    st.caption("Each value becomes a use case of its own: what a rule can tell apart, too.")
    writes.confirm("split_use_case", "Split", _edit, row, "split", "split_by")


@st.dialog("Leave out of recommendations?", icon=":material/block:")
def exclude_dialog(row: dict[str, Any]) -> None:
    """Ask once more."""
    st.markdown(f"Nothing will be recommended for {format.literal(row['label'])}. Rules in force stay.")
    writes.confirm("exclude_use_case", "Leave out", _edit, row, "exclude", None)


def _edit(row: dict[str, Any], kind: str, value_key: str | None, signature: writes.Signature) -> None:
    value = "" if value_key is None else str(st.session_state[value_key]).strip()

    def write() -> str:
        connection.store().edit_use_case(
            kind, row["use_case_id"], value, who=signature.who, why=signature.why, based_on=row["last_edit"]
        )
        return f"{row['label']} {_SAID[kind].format(value=value)}."

    writes.once((kind, row["use_case_id"], row["last_edit"], value), write)


def _undo(number: int, words: str) -> None:
    def write() -> str:
        connection.store().undo_use_case_edit(number, who=writes.remembered_name(), why="Taken back in the dashboard")
        return f"Taken back: {words}."

    writes.once(("undo", number), write)


def edits() -> None:
    """What has been said, newest first, and the way back."""
    said = connection.rows("use_case_edits")
    with st.expander(f"What people said ({format.count(len(said))})", icon=":material/history:", key="edits"):
        if not said:
            st.caption("Nothing yet. Tick a use case to name it, label it, merge or split it.")
            return
        downloads.menu(said, "use-case-edits")
        for edit in said[:50]:
            words = f"{edit['use_case_id']} {_SAID[edit['kind']].format(value=edit['value'])}"
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f"{format.literal(words)} :gray[{format.literal(edit['who'])}, {format.moment(edit['created_at'])}"
                    f"{'' if not edit['why'] else ': ' + format.literal(edit['why'])}]"
                )
                if edit["undone_at"] is None:
                    st.button(
                        "Take back",
                        icon=":material/undo:",
                        key=f"undo_{edit['id']}",
                        on_click=_undo,
                        args=(edit["id"], words),
                        disabled=not roles.may("approve"),
                    )
                else:
                    st.markdown(f":gray[taken back by {format.literal(edit['undone_by'])}]")


use_cases = connection.table("use_cases", {**selected.parameters, "limit": LISTED})
rows = use_cases.to_pylist()
if not connection.row("overview_totals", selected.parameters)["calls"]:
    states.no_calls_selected()
elif not rows:
    with st.container(border=True, key="no_use_cases"):
        st.subheader("No use case yet", icon=":material/category:", anchor=False)
        st.markdown('None of these calls has one. `with tierwise.use_case("invoices"):` names them in the application.')
else:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{format.count(len(rows))} of {format.count(rows[0]['use_cases'])}. Tick one to edit it.")
        downloads.menu(use_cases, "use-cases", focus=selected.parameters)
    chosen = table(rows)
    if chosen is not None:
        actions(chosen, rows)
    edits()
