from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend.stored_values import UNRECORDED, content_hash, decode, encode

numbers = st.floats(-1e9, 1e9)
estimates = st.builds(
    Estimate,
    value=numbers,
    low=numbers,
    high=st.one_of(numbers, st.just(math.inf)),
    confidence_level=st.floats(0.5, 0.99),
    n=st.integers(0, 10**9),
    effective_n=st.floats(0, 1e9),
    method=st.text(),
    unit=st.text(),
)
missing = st.builds(NotEnoughData, n=st.integers(0, 100), needed=st.integers(0, 100), why=st.text())


@given(st.lists(st.one_of(estimates, missing)))
def test_values_come_back_the_same(values: list[Estimate | NotEnoughData]) -> None:
    """Numbers go through JSON and come back equal, infinite bounds too."""
    stored = json.loads(json.dumps(encode(tuple(values)), allow_nan=False))

    assert decode(stored) == tuple(values)


def test_money_and_time_are_texts() -> None:
    """What JSON has no type for is written as text, inside mappings too."""
    encoded = encode({"usd": Decimal("0.10"), "at": datetime(2026, 11, 20, tzinfo=UTC), "most": math.inf})

    assert encoded == {"usd": "0.10", "at": "2026-11-20T00:00:00+00:00", "most": None}


def test_an_estimate_without_an_entry_is_unknown() -> None:
    """A part that another version wrote differently is no number."""
    assert decode({"kind": "estimate", "value": 1.0}) is UNRECORDED


def test_mappings_of_no_known_kind_stay_mappings() -> None:
    """SQL by name of a number is a mapping, whatever its names are."""
    assert decode({"calls": "SELECT 1"}) == {"calls": "SELECT 1"}
    assert decode({"kind": "batch_tier"}) == {"kind": "batch_tier"}


def test_the_hash_leaves_out_what_it_is_told_to() -> None:
    """Equal but for the names left out, two contents share a hash."""
    assert content_hash({"a": 1, "state": "x"}, without={"state"}) == content_hash({"a": 1}, without=())
    assert content_hash({"a": 1}, without=()) != content_hash({"a": 2}, without=())
