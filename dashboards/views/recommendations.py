"""Recommendations: cards with everything it takes to decide, the same as a table, and other ways to save."""

from __future__ import annotations

from datetime import UTC, datetime

import analysis
import cards
import connection
import downloads
import format
import lever_cards
import put_away
import recommendation_table
import roles
import rule_dialogs
import states
import streamlit as st
import writes
from analysis import Stored
from filters import Filters

from tierwise.recommend import actions
from tierwise.recommend.kept_levers import refresh_levers
from tierwise.reports.figures import selected as in_selection

selected: Filters = st.session_state["selected"]

GROUPS = {
    "Open": ("certified", "candidate", "unproven"),
    "In force": ("enforced",),
    "Put away": ("snoozed", "dismissed", "rolled_back"),
}
_ORDER = ("certified", "candidate", "unproven", "enforced", "rolled_back", "snoozed", "dismissed")
CARDS_A_PAGE = 10


def work_out() -> None:
    """Callback: let the library look at the calls and pairs again."""

    def write() -> str:
        store, now = connection.store(), datetime.now(UTC)
        found = actions.refresh(store, now=now)
        levers = refresh_levers(store, now=now, seed=analysis.SEED)
        if not found and not levers:
            return "Nothing to recommend yet: no use case has both a cheaper model and enough priced calls."
        return f"{format.count(len(found))} recommendations worked out, and {format.count(len(levers))} other ways."

    with st.spinner("Working out recommendations from your calls…"):
        writes.once(("refresh", datetime.now(UTC)), write)


def card(entry: Stored) -> None:
    """One recommendation with its buttons."""
    item = entry.item
    with st.container(border=True, key=f"card_{item.id}"):
        cards.draw(item)
        with st.container(horizontal=True, gap="small"):
            if item.state in GROUPS["Put away"]:
                put_away.reopen_button(item, entry.updated_at)
            else:
                rule_dialogs.buttons(item)
                if item.state != "enforced":
                    put_away.buttons(item, entry.updated_at)
        cards.details(item)


def all_cards(listed: list[Stored]) -> None:
    """The cards, ten a page."""
    pages = st.container()
    page = 1
    if len(listed) > CARDS_A_PAGE:
        page = st.pagination(-(-len(listed) // CARDS_A_PAGE), key="page", bind="query-params")
    with pages:
        for entry in listed[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE]:
            card(entry)


stored = {entry.item.id: entry for entry in analysis.recommended()}
levers = analysis.levers()
if not stored and not levers:
    states.no_recommendations(work_out, has_calls=bool(connection.row("overview_totals")["calls"]))
else:
    shown = [entry for entry in stored.values() if in_selection(entry.item, selected.chosen)]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        group = st.segmented_control(
            "Show",
            list(GROUPS),
            default="Open",
            required=True,
            key="show",
            bind="query-params",
            label_visibility="collapsed",
        )
        layout = st.segmented_control(
            "As",
            ["Cards", "Table"],
            default="Cards",
            required=True,
            key="layout",
            bind="query-params",
            label_visibility="collapsed",
        )
        downloads.menu(recommendation_table.rows([entry.item.id for entry in shown]), "recommendations")
        st.button(
            "Work out again",
            icon=":material/refresh:",
            key="refresh",
            on_click=work_out,
            disabled=not roles.may("approve"),
        )
    numbers = {name: sum(entry.item.state in of_group for entry in shown) for name, of_group in GROUPS.items()}
    newest = max(entry.item.as_of for entry in [*stored.values(), *levers])
    st.caption(
        " · ".join(f"{number} {name.lower()}" for name, number in numbers.items())
        + f" · worked out {format.age(newest)}"
    )
    listed = [entry for entry in shown if entry.item.state in GROUPS[group]]
    listed.sort(key=lambda entry: (_ORDER.index(entry.item.state), -entry.item.spend_usd, entry.item.id))
    if layout == "Table":
        chosen = recommendation_table.draw([entry.item.id for entry in listed])
        if chosen is not None:
            card(stored[chosen])
    else:
        all_cards(listed)
    of_group = [entry for entry in levers if entry.item.state in GROUPS[group]]
    if st.toggle(
        f"Other ways to save ({format.count(len(of_group))})",
        key="other_ways",
        help="Batches, caches, failures, retired models and the like.",
    ):
        lever_cards.draw(of_group)
