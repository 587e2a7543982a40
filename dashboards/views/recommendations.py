"""Recommendations: one card each, with everything it takes to decide, and the buttons to decide with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import analysis
import cards
import connection
import downloads
import format
import lever_cards
import roles
import states
import streamlit as st
import writes
from filters import Filters

from tierwise.recommend import Recommendation, actions
from tierwise.reports.figures import selected as in_selection
from tierwise.reports.recommendation_rows import recommendation_rows
from tierwise.routing.policy import MAX_HOLDOUT

selected: Filters = st.session_state["selected"]

GROUPS = {
    "Open": ("certified", "candidate", "unproven"),
    "In force": ("enforced",),
    "Put away": ("snoozed", "dismissed", "rolled_back"),
}
_ORDER = ("certified", "candidate", "unproven", "enforced", "rolled_back", "snoozed", "dismissed")
CARDS_A_PAGE = 10
SNOOZES = {"1 week": 7, "1 month": 30, "3 months": 90}


def work_out() -> None:
    """Callback: let the library look at the calls and pairs again."""

    def write() -> str:
        found = actions.refresh(connection.store(), now=datetime.now(UTC))
        return (
            f"{format.count(len(found))} recommendations worked out."
            if found
            else ("Nothing to recommend yet: no use case has both a cheaper model and enough priced calls.")
        )

    with st.spinner("Working out recommendations from your calls…"):
        writes.once(("refresh", datetime.now(UTC)), write)


@st.dialog("Apply as canary", icon=":material/bolt:", width="medium")
def apply_dialog(item: Recommendation) -> None:
    """Ask how much of the traffic, then put it in force."""
    certified = item.evidence_state == "certified"
    most = item.share if certified else actions.MAX_UNCERTIFIED_SHARE
    st.markdown(
        f"Calls of **{format.literal(item.scope.label)}** for `{item.scope.request_model}` go to `{item.target}`. "
        "The holdout stays on the present model, so that the saving and the quality can be measured."
    )
    share_column, holdout_column = st.columns(2)
    with share_column:
        st.number_input(
            "Share of the calls, %",
            min_value=1,
            max_value=round(100 * most),
            value=min(10, round(100 * most)),
            step=5,
            key="apply_share",
            help="Assigned by a hash of the conversation, so that none changes its model midway. "
            + (
                f"Certified for {format.percent(most, 0)}."
                if certified
                else f"At most {format.percent(most, 0)} for now."
            ),
        )
    with holdout_column:
        st.number_input(
            "Holdout, %",
            min_value=0,
            max_value=round(100 * MAX_HOLDOUT),
            value=5,
            step=1,
            key="apply_holdout",
            help="Kept on the present model at every share. Without one nothing can be verified.",
        )
    writes.confirm("apply", "Put in force", _apply, item, _version(), icon=":material/bolt:")


def _apply(item: Recommendation, based_on: int | None, signature: writes.Signature) -> None:
    share, holdout = st.session_state["apply_share"] / 100, st.session_state["apply_holdout"] / 100

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.apply(
            store, [item.id], share=share, holdout=holdout, who=signature.who, why=signature.why, now=datetime.now(UTC)
        )
        return (
            f"{item.scope.label} is in force for {format.percent(share, 0)} of its calls, "
            f"{format.percent(holdout, 0)} held out: policy version {record.version}."
        )

    writes.once(("apply", item.id, based_on), write)


@st.dialog("Step up", icon=":material/stairs:")
def step_up_dialog(item: Recommendation) -> None:
    """Ask for the new share."""
    certified = item.evidence_state == "certified"
    most = round(100 * (item.share if certified else actions.MAX_UNCERTIFIED_SHARE))
    st.number_input(
        "Share of the calls, %",
        min_value=1,
        max_value=most,
        value=min(50, most),
        step=5,
        key="step_up_share",
        help="Conversations already on the target stay there; the holdout stays as it is.",
    )
    writes.confirm("step_up", "Change the share", _step_up, item, _version())


def _step_up(item: Recommendation, based_on: int | None, signature: writes.Signature) -> None:
    share = st.session_state["step_up_share"] / 100

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.step_up(store, item.id, share=share, who=signature.who, why=signature.why)
        return f"{item.scope.label} now takes {format.percent(share, 0)}: policy version {record.version}."

    writes.once(("step_up", item.id, based_on), write)


@st.dialog("Roll back?", icon=":material/undo:")
def rollback_dialog(item: Recommendation) -> None:
    """Ask once more, then take the rule out."""
    st.markdown(
        f"Every call of **{format.literal(item.scope.label)}** goes to `{item.scope.request_model}` again, "
        "within seconds."
    )
    writes.confirm("rollback", "Roll back", _rollback, item, _version(), icon=":material/undo:")


def _rollback(item: Recommendation, based_on: int | None, signature: writes.Signature) -> None:

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.rollback(store, item.id, who=signature.who, why=signature.why)
        return f"{item.scope.label} is rolled back: policy version {record.version}."

    writes.once(("rollback", item.id, based_on), write)


@st.dialog("Dismiss", icon=":material/block:")
def dismiss_dialog(item: Recommendation, decided_on: datetime) -> None:
    """Ask for the reason."""
    writes.confirm("dismiss", "Dismiss", _dismiss, item, decided_on, why="Reason", required=True)


def _dismiss(item: Recommendation, decided_on: datetime, signature: writes.Signature) -> None:

    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        actions.dismiss(store, item.id, reason=signature.why, who=signature.who)
        return f"{item.scope.label} is dismissed."

    writes.once(("dismiss", item.id, decided_on), write)


@st.dialog("Snooze", icon=":material/snooze:")
def snooze_dialog(item: Recommendation, decided_on: datetime) -> None:
    """Ask until when."""
    st.segmented_control("For", list(SNOOZES), default="1 month", required=True, key="snooze_for")
    writes.confirm("snooze", "Snooze", _snooze, item, decided_on)


def _snooze(item: Recommendation, decided_on: datetime, signature: writes.Signature) -> None:
    until = datetime.now(UTC) + timedelta(days=SNOOZES[st.session_state["snooze_for"]])

    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        actions.snooze(store, item.id, until=until, who=signature.who, why=signature.why)
        return f"{item.scope.label} is snoozed until {format.moment(until)}."

    writes.once(("snooze", item.id, decided_on), write)


def _reopen(item: Recommendation, decided_on: datetime) -> None:
    def write() -> str:
        store = connection.store()
        writes.require_state(store, item)
        actions.reopen(store, item.id, who=writes.remembered_name(), why="Reopened in the dashboard")
        return f"{item.scope.label} is open again."

    writes.once(("reopen", item.id, decided_on), write)


def _version() -> int | None:
    current = connection.current_policy()
    return None if current is None else current.version


def buttons(item: Recommendation, decided_on: datetime) -> None:
    """What can be done about a recommendation in its state."""
    with st.container(horizontal=True, gap="small"):
        match item.state:
            case "enforced":
                if st.button("Step up", icon=":material/stairs:", key=f"step_up_{item.id}"):
                    step_up_dialog(item)
                if st.button("Roll back", icon=":material/undo:", key=f"rollback_{item.id}"):
                    rollback_dialog(item)
            case "dismissed" | "snoozed" | "rolled_back":
                st.button(
                    "Reopen",
                    icon=":material/replay:",
                    key=f"reopen_{item.id}",
                    on_click=_reopen,
                    args=(item, decided_on),
                )
            case _:
                unproven = item.evidence_state == "unproven"
                if st.button(
                    "Apply as canary",
                    icon=":material/bolt:",
                    key=f"apply_{item.id}",
                    disabled=unproven,
                    type="primary" if item.evidence_state == "certified" else "secondary",
                    help="It needs evidence first; see what is missing." if unproven else None,
                ):
                    apply_dialog(item)
                if st.button("Dismiss", icon=":material/block:", key=f"dismiss_{item.id}"):
                    dismiss_dialog(item, decided_on)
                if st.button("Snooze", icon=":material/snooze:", key=f"snooze_{item.id}"):
                    snooze_dialog(item, decided_on)


stored = {entry.item.id: (entry.item, entry.updated_at) for entry in analysis.recommended()}
if not stored:
    states.no_recommendations(work_out, has_calls=bool(connection.row("overview_totals")["calls"]))
else:
    shown = [pair for pair in stored.values() if in_selection(pair[0], selected.chosen)]
    ids = {item.id for item, _ in shown}
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
        downloads.menu(
            recommendation_rows([item for item in connection.recommendations() if item["id"] in ids]), "recommendations"
        )
        st.button(
            "Work out again",
            icon=":material/refresh:",
            key="refresh",
            on_click=work_out,
            disabled=not roles.may("approve"),
        )
    numbers = {name: sum(item.state in of_group for item, _ in shown) for name, of_group in GROUPS.items()}
    newest = max(item.as_of for item, _ in stored.values())
    st.caption(
        " · ".join(f"{number} {name.lower()}" for name, number in numbers.items())
        + f" · worked out {format.age(newest)}"
    )
    listed = [pair for pair in shown if pair[0].state in GROUPS[group]]
    listed.sort(key=lambda pair: (_ORDER.index(pair[0].state), -pair[0].spend_usd, pair[0].id))
    pages = st.container()
    page = 1
    if len(listed) > CARDS_A_PAGE:
        page = st.pagination(-(-len(listed) // CARDS_A_PAGE), key="page", bind="query-params")
    for recommendation, updated_at in listed[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE]:
        with pages, st.container(border=True, key=f"card_{recommendation.id}"):
            cards.draw(recommendation)
            buttons(recommendation, updated_at)
            cards.details(recommendation)
    if st.toggle(
        "Other ways to save", key="other_ways", help="Batches, caches, failures, retired models and the like."
    ):
        lever_cards.draw(analysis.levers())
