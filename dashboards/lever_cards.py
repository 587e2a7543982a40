"""The cards of levers other than routing: what the calls show, what to do, and what it saves at most or surely."""

from __future__ import annotations

from collections.abc import Sequence

import estimates
import format
import streamlit as st

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


def draw(levers: Sequence[Lever]) -> None:
    """A card each, best first; the saving is never shown without its interval."""
    if not levers:
        st.caption("The calls of the last 30 days show nothing else to save.")
        return
    st.caption("Looked at one by one: levers that concern the same calls do not add up.")
    for lever in levers[:MOST_SHOWN]:
        with st.container(border=True, key=f"lever_{lever.id}"):
            _card(lever)
    if len(levers) > MOST_SHOWN:
        st.caption(f"{format.count(len(levers) - MOST_SHOWN)} more: `tierwise recommend --levers`")


def _card(lever: Lever) -> None:
    target = "" if lever.target is None else f" :material/arrow_forward: `{lever.target}`"
    st.markdown(
        f"**{NAMES[lever.kind]}** · {format.literal(lever.label)} · `{lever.request_model}`{target} "
        f":gray[at {format.literal(lever.provider)}]"
    )
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
        for line in lever.findings:
            st.markdown(f"- {format.literal(line)}")
        st.caption("Assumed: " + format.literal("; ".join(lever.assumptions)) + ".")
