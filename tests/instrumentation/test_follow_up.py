from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tierwise.instrumentation.follow_up import snapshot

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def containers(value: Any) -> set[int]:
    """Identities of every list and dict in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {id(value)} if isinstance(value, list | dict) else set()
    return own.union(*map(containers, inner))


@given(json_values)
def test_equal_and_apart(value: Any) -> None:
    """A snapshot equals what it was taken of, and shares no container with it."""
    copied = snapshot(value)

    assert copied == value
    assert containers(copied).isdisjoint(containers(value))


def test_what_is_not_json() -> None:
    """What is not a container stays the same object; a tuple becomes the list it is on the wire."""
    thing = object()

    assert snapshot({"a": (thing,)}) == {"a": [thing]}
