"""Policy: the rules in force, who changed them when and why, the way back, and the switch that stops everything."""

from __future__ import annotations

import json

import connection
import downloads
import format
import policies
import rule_watch
import streamlit as st
import writes

from tierwise.recommend import actions
from tierwise.store import PolicyRecord


def in_force(current: PolicyRecord) -> None:
    """The current version in words, with the switch beside it."""
    words, switch = st.columns([3, 2], gap="medium")
    with words, st.container(border=True, height="stretch"):
        st.subheader(f"Version {current.version}", anchor=False)
        st.caption(
            f"{format.literal(current.action)} by {format.literal(current.who)}, {format.moment(current.created_at)}"
            + (f": {format.literal(current.why)}" if current.why else "")
        )
        policy = policies.parsed(current)
        rules = [f"**{format.literal(rule.id)}** {format.literal(rule.describe())}" for rule in policy.rules]
        st.markdown("\n".join(f"- {line}" for line in [*rules, format.literal(policy.shadow.describe())]))
    with switch, st.container(border=True, height="stretch"):
        kill_switch(current)


def kill_switch(current: PolicyRecord) -> None:
    """Switch routing off, or on again."""
    st.subheader("Kill switch", anchor=False)
    if policies.parsed(current).mode == "off":
        st.markdown("Routing is off: every call goes where the application asks.")
        if st.button("Switch on again", icon=":material/play_circle:", key="switch_on", width="stretch"):
            confirm_switch_on(current)
    else:
        st.markdown("Sends every call back to the model it asks for, within seconds. Rules and evidence stay.")
        if st.button(
            "Switch routing off",
            icon=":material/power_settings_new:",
            key="switch_off",
            type="primary",
            width="stretch",
        ):
            confirm_switch_off(current)


@st.dialog("Switch routing off?", icon=":material/power_settings_new:")
def confirm_switch_off(current: PolicyRecord) -> None:
    """Ask once more, then switch off."""
    st.markdown(
        "From the next look at the policy on, no application reroutes a call. "
        "This becomes a new policy version; switching on again brings the rules back."
    )
    writes.confirm("switch_off", "Switch off now", _switch_off, current.version)


def _switch_off(based_on: int, signature: writes.Signature) -> None:

    def write() -> str:
        # Off is meant whatever the policy has become since the page was drawn.
        record = actions.switch(connection.store(), "off", who=signature.who, why=signature.why)
        return f"Routing is switched off: policy version {record.version}."

    writes.once(("switch_off", based_on), write)


@st.dialog("Switch routing on again?", icon=":material/play_circle:")
def confirm_switch_on(current: PolicyRecord) -> None:
    """Ask in which mode, then switch on."""
    before = next(
        (mode for record in connection.policy_history() if (mode := policies.parsed(record).mode) != "off"), "shadow"
    )
    st.segmented_control(
        "Mode",
        ["shadow", "enforce"],
        default=before,
        required=True,
        key="switch_on_mode",
        help="shadow: nothing is rerouted, evidence is gathered. enforce: the rules are carried out.",
    )
    writes.confirm("switch_on", "Switch on", _switch_on, current.version)


def _switch_on(based_on: int, signature: writes.Signature) -> None:
    mode = st.session_state["switch_on_mode"]

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.switch(store, mode, who=signature.who, why=signature.why)
        return f"Routing is on again in mode {mode}: policy version {record.version}."

    writes.once(("switch_on", based_on), write)


def text(current: PolicyRecord) -> None:
    """The file itself."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.download_button(
            "Download policy.toml",
            current.text,
            file_name="policy.toml",
            mime="application/toml",
            icon=":material/download:",
            key="download_policy",
            on_click="ignore",
        )
    st.code(current.text, language="toml", line_numbers=True)


def versions(history: list[PolicyRecord]) -> None:
    """Every version, the difference between two, and the way back to one."""
    rows = [
        {
            "version": record.version,
            "when": record.created_at,
            "who": record.who,
            "action": record.action,
            "why": record.why,
            "mode": policies.parsed(record).mode,
            "rules": len(policies.parsed(record).rules),
            "content": record.content_hash[:12],
        }
        for record in history
    ]
    downloads.menu(rows, "policy-versions")
    st.dataframe(
        rows,
        hide_index=True,
        alt="Policy versions, newest first",
        key="policy_versions",
        column_config={
            "version": st.column_config.NumberColumn("Version", width="small"),
            "when": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "who": "Who",
            "action": "Action",
            "why": st.column_config.TextColumn("Why", width="medium"),
            "mode": "Mode",
            "rules": st.column_config.NumberColumn("Rules", width="small"),
            "content": st.column_config.TextColumn("Content", help="Two versions that say the same share it."),
        },
    )
    if len(history) < 2:
        st.caption("With a second version comes the difference between the two, and the way back.")
        return
    by_version = {record.version: record for record in history}
    numbers = list(by_version)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        before = st.selectbox("From version", numbers, index=1, key="diff_from", bind="query-params", width=160)
        after = st.selectbox("to version", numbers, index=0, key="diff_to", bind="query-params", width=160)
        current = history[0]
        if st.button(
            f"Roll back to version {before}",
            icon=":material/undo:",
            key="roll_back",
            disabled=before == current.version,
        ):
            confirm_rollback(current, by_version[before])
    policies.show_changes(
        by_version[before].text, by_version[after].text, old_name=f"version {before}", new_name=f"version {after}"
    )


@st.dialog("Roll back?", icon=":material/undo:", width="medium")
def confirm_rollback(current: PolicyRecord, target: PolicyRecord) -> None:
    """Show what changes, then make the old text the newest version."""
    st.markdown(f"Version {current.version + 1} will say what version {target.version} says:")
    policies.show_changes(
        current.text, target.text, old_name=f"version {current.version}", new_name=f"version {target.version}"
    )
    writes.confirm("roll_back", "Roll back", _roll_back, current.version, target.version)


def _roll_back(based_on: int, target: int, signature: writes.Signature) -> None:

    def write() -> str:
        store = writes.store_as_seen(based_on)
        record = actions.restore(store, target, who=signature.who, why=signature.why)
        return f"Rolled back: policy version {record.version} says what version {target} said."

    writes.once(("roll_back", based_on, target), write)


def audit() -> None:
    """Who did what, and why."""
    log = connection.audit_log()
    rows = [{**entry, "detail": json.dumps(entry["detail"])} for entry in log]
    downloads.menu(rows, "audit-log")
    st.dataframe(
        rows,
        hide_index=True,
        alt="Audit log, newest first",
        key="audit_log",
        column_order=["time", "who", "action", "why", "detail"],
        column_config={
            "time": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "who": "Who",
            "action": "Action",
            "why": st.column_config.TextColumn("Why", width="medium"),
            "detail": st.column_config.TextColumn("Detail", width="large"),
        },
    )


history = connection.policy_history()
if not history:
    with st.container(border=True, key="no_policy"):
        st.subheader("No policy yet", icon=":material/rule_settings:", anchor=False)
        st.markdown(
            "Nothing is routed. A policy begins with the first recommendation you apply, with one you write in the "
            "simulator, or with a file:"
        )
        st.code("tierwise policy apply policy.toml", language="bash")
        st.page_link("views/recommendations.py", label="See recommendations", icon=":material/lightbulb:")
else:
    in_force(history[0])
    rule_watch.draw()
    shown_text, shown_history, shown_audit = st.tabs(["Text", "History", "Audit log"], key="policy_tab")
    with shown_text:
        text(history[0])
    with shown_history:
        versions(history)
    with shown_audit:
        audit()
