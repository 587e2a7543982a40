"""Who is looking, and what they may do: look, review (which includes looking), approve (which includes both).

Sign-in is Streamlit's own OIDC, in force once `.streamlit/secrets.toml` has an `[auth]` table. Which e-mail may do what
is the setting TIERWISE_ROLES. Without either, whoever reaches a dashboard on loopback approves, and whoever reaches one
that listens elsewhere looks.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import format
import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from tierwise import settings
from tierwise.settings import ROLES

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def sign_in_configured() -> bool:
    """Whether there is anybody to ask who is looking."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False


def email() -> str | None:
    """The address that the identity provider vouches for; None: nobody is signed in."""
    if not sign_in_configured() or not st.user.get("is_logged_in"):
        return None
    # An address that the provider has not verified is one that anybody could have entered.
    return str(st.user["email"]) if st.user.get("email") and st.user.get("email_verified", True) else None


def role() -> str:
    """One of ROLES, the highest that a pattern gives."""
    patterns = settings.load().roles
    if not patterns:
        alone = not sign_in_configured() and st.get_option("server.address") in LOOPBACK
        return "approve" if alone else "look"
    address = (email() or "").lower()
    return max((name for name, pattern in patterns if fnmatchcase(address, pattern)), key=ROLES.index, default="look")


def may(needed: str) -> bool:
    """Whether who is looking may do what takes the role `needed`."""
    return ROLES.index(role()) >= ROLES.index(needed)


def require_sign_in() -> None:
    """Show the way to the identity provider and nothing else, to whoever is not signed in where that is asked for."""
    if not sign_in_configured() or st.user.get("is_logged_in"):
        return
    with st.container(border=True, key="sign_in"):
        st.subheader("Sign in", icon=":material/login:", anchor=False)
        st.markdown("Spend and policies are shown to those your identity provider knows.")
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login, key="sign_in_now")
    st.stop()


def badge() -> None:
    """Say in the side bar who is looking and, where it is less than everything, what they may do."""
    address = email()
    if address is not None:
        st.caption(f"Signed in as {format.literal(address)}")
        st.button("Sign out", icon=":material/logout:", on_click=st.logout, key="sign_out", type="tertiary")
    if not may("approve"):
        st.caption(
            "You may review, not approve." if may("review") else "You may look; changing anything takes another role."
        )
