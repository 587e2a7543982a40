from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.routing.toml_writer import Inline, to_toml

SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.times()
)
VALUES: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_is_written_reads_back_the_same(document: dict[str, Any]):
    """tomllib.loads(to_toml(d)) == d for every value TOML has."""
    assert tomllib.loads(to_toml(document)) == document


def test_layout_is_the_one_a_person_would_write():
    """Values come first, tables under headers, lists of tables under double headers, inline tables on one line."""
    document = {
        "mode": "off",
        "rule": [
            {"id": "a", "when": Inline({"x": ["y"], "n": 1}), "guard": {"min": 0.5}},
            {"id": "b", "when": Inline()},
        ],
        "budget": Decimal("5.0"),
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "hour": time(3, 4),
        "limit": float("-inf"),
    }

    assert to_toml(document) == (
        'mode = "off"\nbudget = 5\nat = 2026-01-02T03:04:05+00:00\nday = 2026-01-02\nhour = 03:04:00\nlimit = -inf\n'
        '\n[[rule]]\nid = "a"\nwhen = { x = ["y"], n = 1 }\n\n[rule.guard]\nmin = 0.5\n'
        '\n[[rule]]\nid = "b"\nwhen = {}\n'
    )


def test_a_value_toml_has_no_form_for_is_an_error():
    """None and other foreign values raise instead of being written as text."""
    with pytest.raises(TypeError, match="NoneType"):
        to_toml({"x": None})
