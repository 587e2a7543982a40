"""Putting a recommendation or a lever away, for good or for a while, and taking it up again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import connection
import format
import streamlit as st
import writes

from tierwise.recommend import Recommendation, actions, kept_levers
from tierwise.recommend.levers import Lever

Decidable = Recommendation | Lever

SNOOZES = {"1 week": 7, "1 month": 30, "3 months": 90}
"""What it is called → days."""


def buttons(item: Decidable, decided_on: datetime) -> None:
    """Draw the buttons that put an open one away."""
    if st.button("Dismiss", icon=":material/block:", key=f"dismiss_{item.id}"):
        dismiss_dialog(item, decided_on)
    if st.button("Snooze", icon=":material/snooze:", key=f"snooze_{item.id}"):
        snooze_dialog(item, decided_on)


def reopen_button(item: Decidable, decided_on: datetime) -> None:
    """Draw the button that takes one up again."""
    st.button("Reopen", icon=":material/replay:", key=f"reopen_{item.id}", on_click=_reopen, args=(item, decided_on))


def label(item: Decidable) -> str:
    """The name a person knows its use case by."""
    return item.label if isinstance(item, Lever) else item.scope.label


@st.dialog("Dismiss", icon=":material/block:")
def dismiss_dialog(item: Decidable, decided_on: datetime) -> None:
    """Ask for the reason."""
    writes.confirm("dismiss", "Dismiss", _dismiss, item, decided_on, why="Reason", required=True)


def _dismiss(item: Decidable, decided_on: datetime, signature: writes.Signature) -> None:

    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        dismiss = kept_levers.dismiss_lever if isinstance(item, Lever) else actions.dismiss
        dismiss(store, item.id, reason=signature.why, who=signature.who)
        return f"{label(item)} is dismissed."

    writes.once(("dismiss", item.id, decided_on), write)


@st.dialog("Snooze", icon=":material/snooze:")
def snooze_dialog(item: Decidable, decided_on: datetime) -> None:
    """Ask until when."""
    st.segmented_control("For", list(SNOOZES), default="1 month", required=True, key="snooze_for")
    writes.confirm("snooze", "Snooze", _snooze, item, decided_on)


def _snooze(item: Decidable, decided_on: datetime, signature: writes.Signature) -> None:
    until = datetime.now(UTC) + timedelta(days=SNOOZES[st.session_state["snooze_for"]])

    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        snooze = kept_levers.snooze_lever if isinstance(item, Lever) else actions.snooze
        snooze(store, item.id, until=until, who=signature.who, why=signature.why)
        return f"{label(item)} is snoozed until {format.moment(until)}."

    writes.once(("snooze", item.id, decided_on), write)


def _reopen(item: Decidable, decided_on: datetime) -> None:
    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        reopen = kept_levers.reopen_lever if isinstance(item, Lever) else actions.reopen
        reopen(store, item.id, who=writes.remembered_name(), why="Reopened in the dashboard")
        return f"{label(item)} is open again."

    writes.once(("reopen", item.id, decided_on), write)
