"""What is due for the rules in force: the next share of each, limits that one has passed, and what went for that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import analysis
import connection
import downloads
import format
import roles
import streamlit as st
import writes

from tierwise.errors import Conflict
from tierwise.recommend import guards, step_ups
from tierwise.recommend.guards import Trip
from tierwise.recommend.step_ups import StepUp

_LIMITS = {
    "min_retention": "Quality kept",
    "max_failure_rate": "Failures",
    "daily_budget_usd": "Budget of a day",
}
_MOST_SHOWN = 10


def draw() -> None:
    """Draw limits passed, proposals, and which rules went before; nothing when there is nothing to say."""
    watched = analysis.watched()
    gone = [entry for entry in connection.audit_log() if entry["action"] == "rule.disabled"]
    for trip in watched.trips:
        _trip(trip)
    if watched.step_ups:
        _step_ups(watched.step_ups)
    if gone:
        _gone(gone)


def _trip(trip: Trip) -> None:
    with st.container(border=True, key=f"trip_{trip.rule_id}"):
        st.error(
            format.literal(f"{trip.why[:1].upper()}{trip.why[1:]}."),
            title=f"{trip.rule_id} has passed its limit: {_LIMITS[trip.limit].lower()}",
            icon=":material/error:",
        )
        st.button(
            "Take it out of force",
            icon=":material/block:",
            key=f"trip_now_{trip.rule_id}",
            type="primary",
            disabled=not roles.may("approve"),
            on_click=_roll_back,
            args=(trip,),
            help="A collector that holds the store does this within a minute.",
        )


def _roll_back(trip: Trip) -> None:
    def write() -> str:
        record = guards.roll_back(connection.store(), trip)
        if record is None:
            raise Conflict(f"{trip.rule_id} is out of force already.")
        return f"{trip.rule_id} is disabled: policy version {record.version}."

    writes.once(("trip", trip.rule_id, trip.why), write)


def _step_ups(found: list[StepUp]) -> None:
    with st.container(border=True, key="step_ups"):
        st.subheader("Next steps", anchor=False)
        for step in found:
            words, button = st.columns([4, 1], vertical_alignment="center")
            with words:
                st.markdown(
                    f"**{format.literal(step.rule_id)}** {format.percent(step.share, 0)} :material/arrow_forward: "
                    f"{format.percent(step.next_share, 0)} "
                    f":gray[after {format.days(step.days)} and {format.count(step.calls)} calls at its share]"
                )
                st.caption(
                    format.literal(
                        "Waits for " + "; ".join(step.waits_for)
                        if step.waits_for
                        else "Nothing measured speaks against it"
                        + ("; the collector takes the step by itself" if step.automatic else "")
                    )
                )
            with button:
                if st.button(
                    f"Step up to {format.percent(step.next_share, 0)}",
                    key=f"take_{step.rule_id}",
                    disabled=not step.ready or not roles.may("approve"),
                    width="stretch",
                ):
                    step_up_dialog(step)


@st.dialog("Step up", icon=":material/stairs:")
def step_up_dialog(step: StepUp) -> None:
    """Say what it means once more, then raise the share."""
    st.markdown(
        f"**{format.literal(step.rule_id)}** takes {format.percent(step.next_share, 0)} of its calls instead of "
        f"{format.percent(step.share, 0)}. Conversations already on the target stay there."
    )
    writes.confirm("take", "Step up now", _take, step)


def _take(step: StepUp, signature: writes.Signature) -> None:

    def write() -> str:
        store = writes.store_as_seen(step.policy_version)
        record = step_ups.take(store, step.rule_id, who=signature.who, why=signature.why, now=datetime.now(UTC))
        return f"{step.rule_id} now takes {format.percent(step.next_share, 0)}: policy version {record.version}."

    writes.once(("take", step.rule_id, step.policy_version), write)


def _gone(entries: list[dict[str, Any]]) -> None:
    with st.container(border=True, key="guard_trips"):
        st.subheader("Taken out of force by a guard", anchor=False)
        rows = [
            {
                "time": entry["time"],
                "rule": entry["detail"]["rule_id"],
                "limit": _LIMITS.get(entry["detail"]["limit"], entry["detail"]["limit"]),
                "why": entry["why"],
                "version": entry["detail"]["version"],
            }
            for entry in entries
        ]
        downloads.menu(rows, "guard-trips")
        st.dataframe(
            rows[:_MOST_SHOWN],
            hide_index=True,
            alt="Rules that passed a limit of their guard, newest first",
            key="guard_trip_table",
            column_config={
                "time": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"),
                "rule": st.column_config.TextColumn("Rule", width="medium"),
                "limit": "Limit",
                "why": st.column_config.TextColumn("Why", width="large"),
                "version": st.column_config.NumberColumn("Version", width="small"),
            },
        )
        st.caption("A rule comes back when a person who has looked at it enables it again; it is counted anew then.")
