"""What is asked before a recommendation's rule comes into force, takes a larger share, or goes."""

from __future__ import annotations

from datetime import UTC, datetime

import connection
import format
import streamlit as st
import writes

from tierwise.recommend import Recommendation, actions
from tierwise.routing.policy import MAX_HOLDOUT

CANARY_PERCENT = 10
"""A share to begin with where nothing hurries."""


def most_share(item: Recommendation) -> float:
    """The largest share of the calls that the evidence allows."""
    return item.share if item.evidence_state == "certified" else min(item.share, actions.MAX_UNCERTIFIED_SHARE)


def buttons(item: Recommendation) -> None:
    """Draw the button that puts an open recommendation in force, or those that change the rule of one that is."""
    if item.state == "enforced":
        if st.button("Step up", icon=":material/stairs:", key=f"step_up_{item.id}"):
            step_up_dialog(item)
        if st.button("Roll back", icon=":material/undo:", key=f"rollback_{item.id}"):
            rollback_dialog(item)
        return
    refused = _refused(item)
    if st.button(
        "Apply as canary",
        icon=":material/bolt:",
        key=f"apply_{item.id}",
        disabled=refused is not None,
        type="primary" if item.evidence_state == "certified" else "secondary",
        help=refused,
    ):
        apply_dialog(item)


def _refused(item: Recommendation) -> str | None:
    """Why it cannot be put in force now; None when it can."""
    if item.evidence_state == "unproven":
        return "It needs evidence first; see what is missing."
    if item.is_stale(datetime.now(UTC)):
        return "Prices, traffic and evidence may have moved on: work it out again first."
    return None


@st.dialog("Apply as canary", icon=":material/bolt:", width="medium")
def apply_dialog(item: Recommendation) -> None:
    """Ask how much of the traffic, then put it in force."""
    most = round(100 * most_share(item))
    st.markdown(
        f"Calls of **{format.literal(item.scope.label)}** for `{item.scope.request_model}` go to `{item.target}`"
        + (
            f", and where its answer fails a structural check, `{item.scope.request_model}` answers after it"
            if item.rule_kind == "cascade"
            else ""
        )
        + ". The holdout stays on the present model, so that the saving and the quality can be measured."
    )
    share_column, holdout_column = st.columns(2)
    with share_column:
        st.number_input(
            "Share of the calls, %",
            min_value=1,
            max_value=most,
            value=most,
            step=5,
            key="apply_share",
            help="Assigned by a hash of the conversation, so that none changes its model midway. "
            + (f"Certified for {most}%." if item.evidence_state == "certified" else f"At most {most}% for now."),
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
    if most > CANARY_PERCENT:
        st.button(
            f"Begin with {CANARY_PERCENT}%",
            key="apply_small",
            type="tertiary",
            icon=":material/stairs:",
            on_click=_begin_small,
            help="The policy page proposes each further step when nothing measured speaks against it.",
        )
    writes.confirm("apply", "Put in force", _apply, item, _version(), icon=":material/bolt:")


def _begin_small() -> None:
    st.session_state["apply_share"] = CANARY_PERCENT


def _apply(item: Recommendation, based_on: int | None, signature: writes.Signature) -> None:
    share, holdout = st.session_state["apply_share"] / 100, st.session_state["apply_holdout"] / 100

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.apply(
            store,
            [item.id],
            # A certificate may be for a share between two whole percents.
            share=min(share, most_share(item)),
            holdout=holdout,
            who=signature.who,
            why=signature.why,
            now=datetime.now(UTC),
        )
        return (
            f"{item.scope.label} is in force for {format.percent(share, 0)} of its calls, "
            f"{format.percent(holdout, 0)} held out: policy version {record.version}."
        )

    writes.once(("apply", item.id, based_on), write)


@st.dialog("Step up", icon=":material/stairs:")
def step_up_dialog(item: Recommendation) -> None:
    """Ask for the new share."""
    most = round(100 * most_share(item))
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
        record = actions.step_up(
            store, item.id, share=min(share, most_share(item)), who=signature.who, why=signature.why
        )
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


def _version() -> int | None:
    current = connection.current_policy()
    return None if current is None else current.version
