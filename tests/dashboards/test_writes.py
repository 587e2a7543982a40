from __future__ import annotations

import getpass
from typing import Any

import pytest
import streamlit as st
import writes

from tierwise.errors import Conflict, StoreError


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The session's state, without a session."""
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    return state


def test_second_click_does_nothing_and_says_nothing(session: dict[str, Any]) -> None:
    """The same decision, made twice in a session, is carried out once."""
    done: list[str] = []

    def write() -> str:
        done.append("written")
        return "Done."

    writes.once(("apply", "rec_1", 2), write)
    told = session.pop("write_outcome")
    writes.once(("apply", "rec_1", 2), write)

    assert done == ["written"]
    assert told == ("success", "Done.")
    assert "write_outcome" not in session


def test_decision_on_another_state_is_another_decision(session: dict[str, Any]) -> None:
    """Applying again after a rollback is not taken for a second click."""
    done: list[int] = []

    for version in (2, 4):
        writes.once(("apply", "rec_1", version), lambda version=version: str(done.append(version)))

    assert done == [2, 4]


@pytest.mark.parametrize(
    ("error", "kind"), [(Conflict("version 3 came first"), "conflict"), (StoreError("no such id"), "error")]
)
def test_failed_write_is_told_and_can_be_tried_again(error: Exception, kind: str, session: dict[str, Any]) -> None:
    """What did not work is said in the library's words, and the next click is a new try."""

    def fail() -> str:
        raise error

    writes.once(("dismiss", "rec_1"), fail)
    first = session.pop("write_outcome")
    writes.once(("dismiss", "rec_1"), lambda: "Dismissed.")

    assert first == (kind, str(error))
    assert session["write_outcome"] == ("success", "Dismissed.")


def test_bug_is_not_taken_for_a_failed_write(session: dict[str, Any]) -> None:
    """Anything but a tierwise error goes up as it is."""

    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writes.once(("apply",), fail)


def test_signature_defaults_to_the_account(session: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the operating system's user signs; a name that was typed is remembered."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ops")
    assert writes.signed("who", "why") == writes.Signature("ops", "")

    session.update(who=" lin ", why=" safe ")

    assert writes.signed("who", "why") == writes.Signature("lin", "safe")
    assert writes.remembered_name() == "lin"


def test_account_without_a_name(session: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user that no file knows still signs with something."""

    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)

    assert writes.remembered_name() == "dashboard"
