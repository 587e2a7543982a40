"""What a person does from a page: always in a callback, once however often it is clicked, told on the next redraw.

Every write says what it was decided on (a policy version, a recommendation's state). When somebody else was first,
nothing is written and the page shows how things stand now.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import analysis
import connection
import format
import streamlit as st

from tierwise.errors import Conflict, TierwiseError
from tierwise.recommend import Recommendation, actions
from tierwise.store import Store

_DONE = "writes_done"
_OUTCOME = "write_outcome"


def once(what: tuple[Any, ...], write: Callable[[], str]) -> None:
    """Callback body: do `write`, unless this session has done the same already, and keep what came of it to be shown.

    Args:
        what: names the write and what it was decided on, such as ("apply", id, version); a second click gives the same.
        write: does it and says in words what was done.
    """
    done: set[tuple[Any, ...]] = st.session_state.setdefault(_DONE, set())
    if what in done:
        return
    try:
        outcome = ("success", write())
        done.add(what)
    except Conflict as error:
        outcome = ("conflict", str(error))
    except TierwiseError as error:
        outcome = ("error", str(error))
    connection.forget_reads()
    analysis.forget()
    st.session_state[_OUTCOME] = outcome


def show_outcome() -> None:
    """Say what came of the write before this run of the page, once."""
    kind, text = st.session_state.pop(_OUTCOME, (None, ""))
    match kind:
        case "success":
            st.success(format.literal(text), icon=":material/check_circle:")
        case "conflict":
            st.warning(
                format.literal(text), title="Somebody changed it first; reloaded", icon=":material/sync_problem:"
            )
        case "error":
            st.error(format.literal(text), title="Nothing was changed", icon=":material/error:")
        case _:
            pass


def refuse(text: str) -> None:
    """Have the page say why nothing was done."""
    st.session_state[_OUTCOME] = ("error", text)


def require_current(store: Store, based_on: int | None) -> None:
    """Make sure that the policy in force is the one that was on the page.

    Raises:
        Conflict: it is another.
    """
    current = store.current_policy()
    version = None if current is None else current.version
    if version != based_on:
        raise Conflict(
            f"The policy in force is {'none' if version is None else f'version {version}'}, the page showed "
            f"{'none' if based_on is None else f'version {based_on}'}. Look at it and decide again."
        )


def require_state(store: Store, item: Recommendation) -> None:
    """Make sure that a recommendation is still in the state that was on the page.

    Raises:
        Conflict: it is in another.
    """
    now = actions.find(store, item.id)
    if now.state != item.state:
        raise Conflict(f"{item.scope.label} is {now.state} by now, the page showed {item.state}.")


def signature(key: str, *, why: str, required: bool = False) -> tuple[str, str]:
    """Draw the who and why fields of a dialog.

    Args:
        key: of the dialog; unique on the page.
        why: the label of the reason.

    Returns: the keys under which a callback finds both in the session's state; see `signed()`.
    """
    who_key, why_key = f"{key}_who", f"{key}_why"
    st.text_input("Who", value=remembered_name(), key=who_key, help="Goes into the audit log.", autocomplete="name")
    st.text_area(why, key=why_key, height=80, placeholder=None if required else "Optional; goes into the audit log")
    return who_key, why_key


def signed(keys: tuple[str, str]) -> tuple[str, str]:
    """Who and why, as just typed; the name is kept for the next dialog."""
    who = str(st.session_state.get(keys[0], "")).strip()
    why = str(st.session_state.get(keys[1], "")).strip()
    if who:
        st.session_state["name"] = who
    return who or operating_system_user(), why


def remembered_name() -> str:
    """Who wrote last in this session, else the user that runs the dashboard."""
    return st.session_state.get("name") or operating_system_user()


def operating_system_user() -> str:
    """The account the dashboard runs under; `dashboard` where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that no password file knows.
        return "dashboard"
