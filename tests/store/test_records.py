from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.store.records import with_version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('mode = "off"\n', 'version = 8\nmode = "off"\n'),
        ("version = 3\n", "version = 8\n"),
        ("version=3 # old\n", "version = 8 # old\n"),
        ("# version = 3\nversion = 3\n", "# version = 3\nversion = 8\n"),
        ("[shadow]\nversion = 3\n", "version = 8\n[shadow]\nversion = 3\n"),
        ("", "version = 8\n"),
    ],
)
def test_only_the_policys_own_version_changes(text: str, expected: str) -> None:
    """The top-level version is replaced or put first; comments and other keys stay."""
    assert with_version(text, 8) == expected


@given(
    before=st.sampled_from(["", "# a remark\n", "\n"]),
    old=st.none() | st.integers(0, 10**6),
    remark=st.sampled_from(["", " # why", "\t"]),
    after=st.sampled_from(["", 'mode = "off"\n', '[[rule]]\nid = "version = 1"\nversion = 9\n']),
    new=st.integers(1, 10**6),
)
def test_result_is_toml_with_that_version(before: str, old: int | None, remark: str, after: str, new: int) -> None:
    """Whatever stands around it, the text parses, has the new version, and is otherwise the same."""
    text = before + ("" if old is None else f"version = {old}{remark}\n") + after

    parsed = tomllib.loads(with_version(text, new))

    assert parsed == {**tomllib.loads(text), "version": new}
