from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import PolicyError
from tierwise.routing.document import KeyPath, TableReader, key_spans, load_toml, with_version
from tierwise.routing.toml_writer import to_toml

AWKWARD = '''\
# a comment with a = and a [[rule]]
title = """
several lines
[[rule]] x = "1" \\""" ""
"""
"quoted key".inner = 'literal # not a comment'
list = [
  1, # one
  [2, { deep = "]" }],
]

[[rule]]
id = "a]b"   # trailing
when = { x.y = 1, "z z" = [ "}", '{' ] }
[rule.evidence]
at = 1979-05-27 07:32:00

[[rule]]
id = \'\'\'b\'\'\'
[rule.sub.deeper]
k = true
'''


def test_places_of_keys_are_found_through_strings_comments_and_nesting():
    """Each key of an awkward but valid file is found on its own line."""
    lines = {path: span.line for path, span in key_spans(AWKWARD).items()}

    assert lines[("title",)] == 2
    assert lines[("quoted key", "inner")] == 6
    assert lines[("list", 1, 1, "deep")] == 9
    assert lines[("rule", 0)] == 12
    assert lines[("rule", 0, "id")] == 13
    assert lines[("rule", 0, "when", "x", "y")] == 14
    assert lines[("rule", 0, "when", "z z", 1)] == 14
    assert lines[("rule", 0, "evidence", "at")] == 16
    assert lines[("rule", 1)] == 18
    assert lines[("rule", 1, "id")] == 19
    assert lines[("rule", 1, "sub", "deeper", "k")] == 21


def test_values_lie_where_the_spans_say():
    """The text between a span's offsets is the value as it is written."""
    spans = key_spans(AWKWARD)

    def written(*path: str | int) -> str:
        span = spans[path]
        return AWKWARD[span.value_start : span.value_end]

    assert written("rule", 0, "id") == '"a]b"'
    assert written("rule", 0, "evidence", "at") == "1979-05-27 07:32:00"
    assert written("rule", 1, "id") == "'''b'''"
    assert written("list").startswith("[\n")
    assert written("list").endswith(",\n]")


JSON_LIKE: Any = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    found = {path} if path else set[KeyPath]()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found |= _paths(item, (*path, key))
    return found


@given(st.dictionaries(st.text(max_size=4), JSON_LIKE, max_size=5))
def test_every_value_of_any_document_has_a_place(document: dict[str, Any]):
    """No key, at any depth of any document, is without a place."""
    text = to_toml(document)

    found = set(key_spans(text))

    assert _paths(tomllib.loads(text)) <= found


def test_a_syntax_error_names_its_line():
    """A file that is not TOML is refused with the line where reading stopped."""
    with pytest.raises(PolicyError, match=r"^p\.toml, line 2: not valid TOML: "):
        load_toml("a = 1\nb = = 2\n", origin="p.toml")


def test_a_new_version_keeps_every_other_character():
    """Only the number changes when a file that has a version gets another."""
    text = '# ours\nversion   =  7 # said "so"\r\nmode = "off"\n\n[[rule]]\nid = "version = 7"\n'

    assert with_version(text, 12) == text.replace("7 # said", "12 # said")


def test_a_file_without_version_gets_one_as_its_first_line():
    """A missing version is put above everything, where no table can swallow it."""
    assert with_version('[[rule]]\nid = "a"\n', 3) == 'version = 3\n[[rule]]\nid = "a"\n'


@given(st.integers(0, 10**6), st.booleans(), st.dictionaries(st.text(min_size=1, max_size=4), JSON_LIKE, max_size=4))
def test_the_version_set_is_the_version_read(version: int, had_one: bool, rest: dict[str, Any]):
    """For any document, the new version is read back and nothing else changes."""
    document = ({"version": 1} if had_one else {}) | {f"x{key}": value for key, value in rest.items()}

    changed = tomllib.loads(with_version(to_toml(document), version))

    assert changed == document | {"version": version}


def _reader(text: str) -> TableReader:
    values, spans = load_toml(text, origin="p.toml")
    return TableReader(values, origin="p.toml", spans=spans, subject="it")


@pytest.mark.parametrize(
    ("text", "read", "complaint"),
    [
        ("\nn = true", lambda r: r.number("n", 0, low=0, high=1), "line 2: it has n = True; a number from 0 to 1"),
        ("n = nan", lambda r: r.number("n", 0, low=0, high=1), "it has n = nan"),
        ("n = 0", lambda r: r.number("n", 0, low=0, high=1, low_allowed=False), "a number above 0 to 1 is needed"),
        ("n = -1", lambda r: r.whole("n"), "it has n = -1; a whole number from 0 is needed"),
        ("n = 1.5", lambda r: r.whole("n"), "it has n = 1.5; a whole number from 0 is needed"),
        ("n = 1", lambda r: r.flag("n", False), "it has n = 1; true or false is needed"),
        ("n = 1", lambda r: r.text("n"), "it has n = 1; a text of 1 to 200 characters is needed"),
        ("n = ' '", lambda r: r.text("n"), "it has n = ' '"),
        ("", lambda r: r.text("n"), "line 1: it has no 'n'; it needs a text"),
        ("n = []", lambda r: r.texts("n"), "a text or a list of texts is needed"),
        ("n = [1]", lambda r: r.texts("n"), "a text or a list of texts is needed"),
        ("n = 'c'", lambda r: r.choice("n", ("a", "b"), "a"), "it has n = 'c'; allowed: a, b"),
        ("n = 1", lambda r: r.table("n"), "it has n = 1; a table is needed"),
        ("n = 1", lambda r: r.tables("n"), r"each one begins with [[n]]"),
        ("\n\nz = 1", lambda r: r.only({"b", "a"}), "line 3: it has an unknown key 'z'; known: a, b"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_place_and_the_way_out(text: str, read: Any, complaint: str):
    """Every reading method refuses what it cannot use, naming line, value and what is allowed."""
    reader = _reader(text)

    with pytest.raises(PolicyError) as refused:
        read(reader)

    assert complaint in str(refused.value)
    assert str(refused.value).startswith("p.toml, line ")


def test_missing_keys_give_their_defaults():
    """A key that is not there reads as its default, not as an error."""
    reader = _reader("")

    assert reader.number("n", 0.5, low=0, high=1) == 0.5
    assert reader.whole("n") is None
    assert reader.texts("n") == ()
    assert reader.flag("n", True) is True
    assert reader.table("n").values == {}
    assert reader.tables("n") == []
