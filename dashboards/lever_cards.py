"""The cards of levers other than routing: what the calls show, what to do, and what it saves at most or surely."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import connection
import estimates
import format
import put_away
import streamlit as st
import writes
from analysis import Stored
from cards import STATES

from tierwise.recommend.kept_levers import claim_lever
from tierwise.recommend.levers import Kind, Lever

NAMES: dict[Kind, str] = {
    "batch_tier": "Batch or flex tier",
    "cache_prefix": "Prompt cache",
    "change_outright": "Change the model outright",
    "duplicate_calls": "Repeated calls",
    "failed_calls": "Failed calls",
    "reasoning_effort": "Reasoning effort",
    "retiring_model": "Retiring model",
    "truncated_answers": "Answers cut off",
}
MOST_SHOWN = 20


def draw(levers: Sequence[Stored[Lever]]) -> None:
    """A card each, best first; the saving is never shown without its interval."""
    if not levers:
        st.caption("None. “Work out again” looks for them in the calls of the last 30 days.")
        return
    st.caption("Of all traffic, looked at one by one: levers that concern the same calls do not add up.")
    for entry in levers[:MOST_SHOWN]:
        with st.container(border=True, key=f"lever_{entry.item.id}"):
            _card(entry.item)
            with st.container(horizontal=True, gap="small"):
                _buttons(entry.item, entry.updated_at)
    if len(levers) > MOST_SHOWN:
        st.caption(f"{format.count(len(levers) - MOST_SHOWN)} more: `tierwise recommend --levers`")


def _card(lever: Lever) -> None:
    target = "" if lever.target is None else f" :material/arrow_forward: `{lever.target}`"
    name, colour, icon, meaning = STATES[lever.state]
    if lever.state == "enforced":
        name, meaning = "Taken up", "Somebody has taken it up; what it says is from then."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"**{NAMES[lever.kind]}** · {format.literal(lever.label)} · `{lever.request_model}`{target} "
            f":gray[at {format.literal(lever.provider)}]",
            width="content",
        )
        st.badge(name, icon=icon, color=colour, help=meaning)
    by_month = lever.window_days >= 1.0
    figures, words = st.columns([1, 2])
    with figures:
        estimates.metric(
            ("At most, a month" if lever.at_most else "Saving a month")
            if by_month
            else f"In {format.days(lever.window_days)}",
            estimates.shown(lever.monthly_saving if by_month else lever.window_saving),
            note=f"{format.count(lever.calls)} calls, {format.money(lever.spend_usd)}",
        )
    with words:
        st.markdown(format.literal(lever.action[:1].upper() + lever.action[1:]) + ".")
        for line in (*lever.why_now, *lever.findings):
            st.markdown(f"- {format.literal(line)}")
        st.caption("Assumed: " + format.literal("; ".join(lever.assumptions)) + ".")
        if lever.snoozed_until:
            st.markdown(f"**Put away until** {format.moment(lever.snoozed_until)}")
        if lever.decided_why:
            st.markdown(f"**Because** {format.literal(lever.decided_why)}")


def _buttons(lever: Lever, decided_on: datetime) -> None:
    if lever.state in ("enforced", "dismissed", "snoozed"):
        put_away.reopen_button(lever, decided_on)
        return
    stale = lever.is_stale(datetime.now(UTC))
    if st.button(
        "Take up",
        icon=":material/front_hand:",
        key=f"claim_{lever.id}",
        disabled=stale,
        help="It has expired: work it out again first." if stale else "Say that somebody does it.",
    ):
        claim_dialog(lever, decided_on)
    put_away.buttons(lever, decided_on)


@st.dialog("Take up", icon=":material/front_hand:")
def claim_dialog(lever: Lever, decided_on: datetime) -> None:
    """Ask by whom, and what is done."""
    st.markdown("What it says stays as it is now; tierwise itself changes nothing.")
    writes.confirm("claim", "Take up", _claim, lever, decided_on)


def _claim(lever: Lever, decided_on: datetime, signature: writes.Signature) -> None:

    def write() -> str:
        store = connection.store()
        writes.require_state(store, lever)
        claim_lever(store, lever.id, who=signature.who, why=signature.why, now=datetime.now(UTC))
        return f"{lever.label} is taken up by {signature.who}."

    writes.once(("claim", lever.id, decided_on), write)
