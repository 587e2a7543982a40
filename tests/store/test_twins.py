from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tierwise.store.rows import CallRecord, call_table
from tierwise.store.twins import find_twins, merge, sighting_of

MakeCall = Callable[..., CallRecord]


def pair(make_call: MakeCall, **other: Any) -> list[CallRecord]:
    """A call of tierwise's and another instrumentation's parent span of it, some of its fields changed."""
    fields: dict[str, Any] = {"instrumentation": "com.anthropic.sdk.python", "response_id": "msg_1"}
    return [
        make_call(2, trace=1, parent_span_id=f"{1:016x}", response_id="msg_1"),
        make_call(1, trace=1, **{**fields, **other}),
    ]


def test_tierwise_wins(make_call: MakeCall) -> None:
    """Two instrumentations' spans of one response, one the other's parent, are one call, and it is tierwise's."""
    (group,) = find_twins([], pair(make_call))

    assert [sighting.instrumentation for sighting in group] == ["tierwise", "com.anthropic.sdk.python"]


@pytest.mark.parametrize(
    "different",
    [
        {"response_id": "msg_2"},
        {"response_id": None},
        {"trace": 2},
        {"instrumentation": "tierwise"},
        {"number": 5, "start_ns": 1, "end_ns": 2},
    ],
    ids=["other response", "no response id", "other trace", "same instrumentation", "not nested"],
)
def test_other_calls_are_left_apart(make_call: MakeCall, different: dict[str, Any]) -> None:
    """Calls that differ in response, trace or place, or come from one instrumentation, stay two."""
    number = different.pop("number", 1)
    fields: dict[str, Any] = {"trace": 1, "instrumentation": "native", "response_id": "msg_1", **different}
    calls = [pair(make_call)[0], make_call(number, **fields)]

    assert find_twins([], calls) == []


def test_nesting_in_time_is_enough(make_call: MakeCall) -> None:
    """A span between the two may be missing: standing inside the other in time counts as well."""
    inner = make_call(2, trace=1, response_id="r", start_ns=20, end_ns=30)
    outer = make_call(1, trace=1, response_id="r", start_ns=10, end_ns=40, instrumentation="other")

    assert len(find_twins([], [inner, outer])) == 1


def test_three_views_are_one_call(make_call: MakeCall) -> None:
    """Any number of instrumentations on one call make one group."""
    third = make_call(3, trace=1, response_id="msg_1", instrumentation="third", start_ns=1, end_ns=2 * 10**18)

    (group,) = find_twins([], [*pair(make_call), third])

    assert [sighting.instrumentation for sighting in group] == ["tierwise", "third", "com.anthropic.sdk.python"]


def test_stored_twins_alone_are_no_work(make_call: MakeCall) -> None:
    """Sightings that are all stored already are not grouped again."""
    stored = [replace(sighting_of(record), arriving=None) for record in pair(make_call)]

    assert find_twins(stored, [make_call(9)]) == []


class TestMerge:
    def row(self, make_call: MakeCall, **fields: Any) -> dict[str, Any]:
        return call_table([make_call(1, **fields)]).to_pylist()[0]

    def test_winner_takes_over_what_it_did_not_know(self, make_call: MakeCall) -> None:
        """Columns that are empty in the winner are filled; those that are not stay."""
        winner = self.row(make_call, task_type="extraction")
        other = self.row(make_call, conversation_id="c1", provider="other", parameters={"a": 1})

        merged = merge(winner, [other])

        assert merged["conversation_id"] == "c1"
        assert (merged["task_type"], merged["provider"]) == ("extraction", "openai")
        assert merged["attributes"] == '{"a":1}'

    def test_cost_is_taken_over_whole(self, make_call: MakeCall) -> None:
        """An unpriced winner takes the other's cost with everything that belongs to it."""
        winner = self.row(make_call, usd=None, unpriced_reason="no price")
        other = self.row(make_call, usd="0.5")

        merged = merge(winner, [other])

        assert merged["priced"] is True
        assert merged["unpriced_reason"] is None
        assert merged["cost_usd"] == other["cost_usd"]
        assert merged["price_version"] == "list 1"

    def test_success_stays_success(self, make_call: MakeCall) -> None:
        """An error that only another report has is not the winner's: the answer was there when it ended."""
        merged = merge(self.row(make_call), [self.row(make_call, error_type="timeout")])

        assert merged["error_type"] is None
