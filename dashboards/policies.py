"""The policy in words and colours: its mode, its versions, what changes between two of them."""

from __future__ import annotations

import difflib
from typing import Any

import format
import streamlit as st

from tierwise.errors import PolicyError
from tierwise.routing import policy
from tierwise.routing.policy import Policy
from tierwise.store import PolicyRecord

_MODES: dict[str, tuple[str, Any, str]] = {
    "enforce": ("Enforcing", "green", ":material/play_circle:"),
    "shadow": ("Shadow only", "blue", ":material/visibility:"),
    "off": ("Switched off", "red", ":material/power_settings_new:"),
}
_MODE_MEANS = {
    "enforce": "Matching calls are sent to the rules' targets, each rule at its share.",
    "shadow": "Nothing is rerouted; what the rules would do is recorded, and evidence is gathered.",
    "off": "No call is touched.",
}


def parsed(record: PolicyRecord | None) -> Policy:
    """The policy of a stored version; without one, the policy that does nothing."""
    return Policy() if record is None else policy.parse(record.text, origin=f"policy version {record.version}")


def mode_badge(record: PolicyRecord | None) -> None:
    """Draw the mode in force."""
    if record is None:
        st.badge("No policy yet", icon=":material/radio_button_unchecked:", color="gray", help="No call is touched.")
        return
    mode = parsed(record).mode
    label, color, icon = _MODES[mode]
    st.badge(
        f"{label} · v{record.version}",
        icon=icon,
        color=color,
        help=f"{_MODE_MEANS[mode]} An application with TIERWISE_MODE set goes its own way.",
    )


def off_banner(record: PolicyRecord | None) -> None:
    """Say on every page that the kill switch is thrown."""
    if record is not None and parsed(record).mode == "off":
        st.error(
            f"By {format.literal(record.who)}, {format.age(record.created_at)}"
            + (f": {format.literal(record.why)}" if record.why else ""),
            title=f"Routing is switched off (policy version {record.version})",
            icon=":material/power_settings_new:",
        )


def show_changes(old_text: str, new_text: str, *, old_name: str, new_name: str) -> bool:
    """Draw what changes between two policies, in sentences and as a diff.

    Returns: whether anything does.
    """
    changes = policy.diff(policy.parse(old_text, origin=old_name), policy.parse(new_text, origin=new_name))
    if not changes:
        st.caption(f"{new_name} says the same as {old_name}.")
        return False
    st.markdown("\n".join(f"- {format.literal(change.describe())}" for change in changes))
    lines = difflib.unified_diff(old_text.splitlines(), new_text.splitlines(), old_name, new_name, lineterm="", n=2)
    with st.expander("As text", icon=":material/difference:"):
        st.code("\n".join(lines), language="diff")
    return True


def problem(text: str) -> str | None:
    """Why a text is no policy; None when it is one."""
    try:
        policy.parse(text, origin="policy.toml")
    except PolicyError as error:
        return str(error)
    return None
