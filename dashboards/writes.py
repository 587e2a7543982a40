"""What a person does from a page: always in a callback, once however often it is clicked, told on the next redraw.

Every write says what it was decided on (a policy version, a recommendation's state). When somebody else was first,
nothing is written and the page shows how things stand now.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import analysis
import connection
import format
import roles
import streamlit as st

from tierwise.errors import Conflict, TierwiseError
from tierwise.recommend import Recommendation, actions
from tierwise.recommend.kept_levers import find_lever
from tierwise.recommend.levers import Lever
from tierwise.store import PolicyRecord, Store

_DONE = "writes_done"
_OUTCOME = "write_outcome"


def once(what: tuple[Any, ...], write: Callable[[], str], *, role: str = "approve") -> None:
    """Callback body: do `write`, unless this session has done the same already, and keep what came of it to be shown.

    Args:
        what: names the write and what it was decided on, such as ("apply", id, version); a second click gives the same.
        write: does it and says in words what was done.
        role: what it takes to do it; a message that somebody made up presses a button that is not there.
    """
    if not roles.may(role):
        refuse(f"This takes the role “{role}”.")
        return
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


class _OfVersion:
    """A store whose policy can only be changed from the version that was on the page: the store itself compares."""

    def __init__(self, store: Store, version: int | None) -> None:
        self._store, self._version = store, version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_policy(
        self, text: str, *, who: str, why: str, action: str = "apply", based_on: int | None = None
    ) -> PolicyRecord:
        """As the store's, from the version that was on the page, whatever was read meanwhile."""
        return self._store.put_policy(text, who=who, why=why, action=action, based_on=self._version)


def store_as_seen(version: int | None) -> Store:
    """The store, for a decision made on this policy version: once another is in force, a change raises Conflict.

    Raises:
        Conflict: another is in force already.
    """
    current = connection.store().current_policy()
    present = None if current is None else current.version
    if present != version:
        raise Conflict(
            f"The policy in force is {'none' if present is None else f'version {present}'}, the page showed "
            f"{'none' if version is None else f'version {version}'}. Look at it and decide again."
        )
    return cast("Store", _OfVersion(connection.store(), version))


def require_state(store: Store, item: Recommendation | Lever) -> None:
    """Make sure that a recommendation or lever is still in the state that was on the page.

    Raises:
        Conflict: it is in another.
    """
    label, now = (
        (item.label, find_lever(store, item.id).state)
        if isinstance(item, Lever)
        else (item.scope.label, actions.find(store, item.id).state)
    )
    if now != item.state:
        raise Conflict(f"{label} is {now} by now, the page showed {item.state}.")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who did something, and why."""

    who: str
    why: str


def confirm(
    key: str,
    label: str,
    act: Callable[..., None],
    *args: Any,
    why: str = "Why",
    required: bool = False,
    icon: str | None = None,
    role: str = "approve",
) -> None:
    """Draw the end of a dialog: who, why, and the button that does it.

    Args:
        key: of the dialog, unique on the page; its fields are `KEY_who` and `KEY_why`, its button `KEY_now`.
        act: callback, called with `args` and the `Signature`.
        why: the label of the reason; required: without one nothing is done.
    """
    who_key, why_key = f"{key}_who", f"{key}_why"
    signed_in = roles.email()
    st.text_input(
        "Who",
        value=signed_in or remembered_name(),
        key=who_key,
        help="Goes into the audit log.",
        autocomplete="name",
        disabled=signed_in is not None,
    )
    st.text_area(why, key=why_key, height=80, placeholder=None if required else "Optional; goes into the audit log")
    if st.button(
        label,
        key=f"{key}_now",
        type="primary",
        width="stretch",
        icon=icon,
        disabled=not roles.may(role),
        on_click=_confirmed,
        args=(act, args, who_key, why_key, required),
    ):
        st.rerun()


def _confirmed(act: Callable[..., None], args: tuple[Any, ...], who_key: str, why_key: str, required: bool) -> None:
    signature = signed(who_key, why_key)
    if required and not signature.why:
        refuse("Say why: whoever looks next has to know.")
        return
    act(*args, signature)


def signed(who_key: str, why_key: str) -> Signature:
    """Who and why, as just typed; who is signed in signs. The name is kept for the next dialog."""
    who = roles.email() or str(st.session_state.get(who_key, "")).strip()
    why = str(st.session_state.get(why_key, "")).strip()
    if who:
        st.session_state["name"] = who
    return Signature(who or operating_system_user(), why)


def remembered_name() -> str:
    """Who is signed in, else who wrote last in this session, else the user that runs the dashboard."""
    return roles.email() or st.session_state.get("name") or operating_system_user()


def operating_system_user() -> str:
    """The account the dashboard runs under; `dashboard` where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that no password file knows.
        return "dashboard"
