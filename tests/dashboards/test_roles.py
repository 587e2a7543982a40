from __future__ import annotations

from typing import Any

import pytest
import roles
import streamlit as st
from opening import OpenPage
from streamlit import config

from tierwise.store import Store


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Sign-in is configured, and this is what the identity provider says."""
    user: dict[str, Any] = {"is_logged_in": True, "email": "ada@acme.com"}
    monkeypatch.setattr(roles, "sign_in_configured", lambda: True)
    monkeypatch.setattr(st, "user", user)
    return user


def test_alone_on_loopback_one_may_do_everything() -> None:
    """Without sign-in, roles and network there is nobody else."""
    assert roles.role() == "approve"
    assert roles.email() is None


@pytest.mark.parametrize("address", [None, "0.0.0.0", "10.0.0.4"])
def test_off_loopback_a_stranger_looks(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others can reach the port and nobody signs in, nothing can be changed."""
    config.set_option("server.address", address)

    assert roles.role() == "look"
    assert not roles.may("review")


def test_roles_can_open_it_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that only a proxy reaches may be opened by name."""
    config.set_option("server.address", "0.0.0.0")
    monkeypatch.setenv("TIERWISE_ROLES", "approve: *")

    assert roles.role() == "approve"


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("ada@acme.com", "approve"),
        ("ADA@acme.com", "approve"),
        ("lin@acme.com", "review"),
        ("eve@evil.example", "look"),
        ("ada@acme.com.evil.example", "look"),
    ],
)
def test_the_address_decides(
    address: str, role: str, signed_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest role of a pattern that the whole address matches."""
    monkeypatch.setenv("TIERWISE_ROLES", "approve: ada@acme.com, review: *@acme.com")
    signed_in["email"] = address

    assert roles.role() == role


def test_an_unverified_address_is_nobodys(signed_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What anybody could have typed gives no role."""
    monkeypatch.setenv("TIERWISE_ROLES", "approve: ada@acme.com")
    signed_in["email_verified"] = False

    assert roles.role() == "look"


def test_signed_in_without_roles_is_looking(signed_in: dict[str, Any]) -> None:
    """Sign-in alone gives nobody the right to change the policy."""
    assert roles.role() == "look"


def test_who_is_not_signed_in_sees_nothing(signed_in: dict[str, Any], populated_db: str, open_page: OpenPage) -> None:
    """Where sign-in is asked for, a stranger gets the way to it and no figure."""
    signed_in.clear()

    app = open_page()

    assert [item.value for item in app.subheader] == ["Sign in"]
    assert not app.metric


def test_looking_leaves_every_button_without_effect(
    populated_db: str, store: Store, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A button that is pressed all the same, as a made-up message would, changes nothing and says why."""
    app = open_page("policy")
    app.button(key="switch_off").click().run()
    monkeypatch.setenv("TIERWISE_ROLES", "look: *")

    app.button(key="switch_off_now").click().run()

    assert len(store.policy_history()) == 2
    assert "approve" in app.error[0].value


def test_who_is_signed_in_signs(
    signed_in: dict[str, Any], populated_db: str, store: Store, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in the audit log is the address that the provider vouches for, and cannot be typed over."""
    monkeypatch.setenv("TIERWISE_ROLES", "approve: ada@acme.com")
    app = open_page("policy")
    app.button(key="switch_off").click().run()
    assert app.text_input(key="switch_off_who").disabled

    app.button(key="switch_off_now").click().run()

    record = store.current_policy()
    assert record is not None
    assert record.who == "ada@acme.com"
