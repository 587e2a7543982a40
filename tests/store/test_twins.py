from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tierwise.call import Decision
from tierwise.store.rows import CallRecord, call_table
from tierwise.store.twins import find_twins, merge, sighting_of

MakeCall = Callable[..., CallRecord]
NOON_NS = 1_790_000_000_000_000_000


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
        {"instrumentation": "tierwise"},
        {"start_ns": 1, "end_ns": 2},
        {"response_id": None, "start_ns": 1, "end_ns": 2},
    ],
    ids=["other response", "same instrumentation", "other time", "no response id and other time"],
)
def test_other_calls_are_left_apart(make_call: MakeCall, different: dict[str, Any]) -> None:
    """Calls that differ in response or time, or come from one instrumentation, stay two."""
    fields: dict[str, Any] = {"trace": 1, "instrumentation": "native", "response_id": "msg_1", **different}
    calls = [pair(make_call)[0], make_call(1, **fields)]

    assert find_twins([], calls) == []


def test_overlapping_in_time_is_enough(make_call: MakeCall) -> None:
    """Views of one response need not be parent and child, nor does one have to end inside the other."""
    one = make_call(2, trace=1, response_id="r", start_ns=20, end_ns=41)
    other = make_call(1, trace=1, response_id="r", start_ns=10, end_ns=40, instrumentation="other")

    assert len(find_twins([], [one, other])) == 1


def test_one_response_in_two_traces(make_call: MakeCall) -> None:
    """A wrapper that does not make its span current leaves the other's in a trace of its own: still one call."""
    calls = [make_call(1, response_id="r"), make_call(2, response_id="r", instrumentation="other")]

    (group,) = find_twins([], calls)

    assert [sighting.trace_id for sighting in group] == [calls[0].trace_id, calls[1].trace_id]


class TestWithoutResponseId:
    """Failed calls have no response, and not every wrapper looks at a stream that was left early."""

    def call(self, make_call: MakeCall, number: int, **fields: Any) -> CallRecord:
        return make_call(number, **{"start_ns": NOON_NS, "end_ns": NOON_NS + 1000, **fields})

    @pytest.mark.parametrize("known_by", ["nobody", "tierwise", "other"])
    def test_parent_and_child(self, make_call: MakeCall, known_by: str) -> None:
        """A call's span right inside another instrumentation's is the same call, whatever model each saw."""
        ids = {name: "r" if known_by == name else None for name in ("tierwise", "other")}
        outer = self.call(make_call, 1, instrumentation="other", response_id=ids["other"])
        inner = self.call(
            make_call, 2, trace=1, parent_span_id=f"{1:016x}", response_id=ids["tierwise"], request_model="gpt-5-nano"
        )

        (group,) = find_twins([], [outer, inner])

        assert [sighting.instrumentation for sighting in group] == ["tierwise", "other"]

    @pytest.mark.parametrize("parent", [None, f"{9:016x}"], ids=["roots of two traces", "below one span"])
    def test_side_by_side(self, make_call: MakeCall, parent: str | None) -> None:
        """Spans of one request that begin together, neither inside the other, are one call."""
        place: dict[str, Any] = {"parent_span_id": parent, **({"trace": 1} if parent else {})}
        calls = [
            self.call(make_call, 1, error_type="timeout", **place),
            self.call(make_call, 2, instrumentation="other", start_ns=NOON_NS - 500, **place),
        ]

        assert len(find_twins([], calls)) == 1

    @pytest.mark.parametrize(
        "different",
        [
            {"request_model": "gpt-5.4-mini"},
            {"operation": "embeddings"},
            {"service_name": "another"},
            {"parent_span_id": f"{8:016x}"},
            {"start_ns": NOON_NS - 300_000_000},
        ],
        ids=lambda different: next(iter(different)),
    )
    def test_another_request(self, make_call: MakeCall, different: dict[str, Any]) -> None:
        """Spans side by side that differ in model, operation, service, place or start are two calls."""
        calls = [self.call(make_call, 1), self.call(make_call, 2, instrumentation="other", **different)]

        assert find_twins([], calls) == []

    def test_routed_call(self, make_call: MakeCall) -> None:
        """An instrumentation outside of us saw the model that was asked for, not the one that was sent."""
        decision = Decision("gpt-5.4", "gpt-5.4-mini", 1)
        calls = [
            self.call(make_call, 1, request_model="gpt-5.4-mini", decision=decision),
            self.call(make_call, 2, instrumentation="other", request_model="gpt-5.4"),
        ]

        assert len(find_twins([], calls)) == 1

    def test_each_to_its_own(self, make_call: MakeCall) -> None:
        """Of calls made at the same time, each finds the view that began closest to it."""
        ours = [self.call(make_call, number, start_ns=NOON_NS + number * 100) for number in (1, 2, 3)]
        theirs = [
            self.call(make_call, number, start_ns=NOON_NS + (number - 10) * 100 - 20, instrumentation="other")
            for number in (11, 12, 13)
        ]

        groups = find_twins([], [*theirs, *ours])

        pairs = sorted(tuple(int(sighting.span_id, 16) for sighting in group) for group in groups)
        assert pairs == [(1, 11), (2, 12), (3, 13)]

    @pytest.mark.parametrize(("after_ns", "count"), [(-10, 1), (10, 1), (400_000_000, 0)])
    def test_report_at_the_end(self, make_call: MakeCall, after_ns: int, count: int) -> None:
        """A span without a length, written when a stream ended, is the stream that ended then, in any trace."""
        end_ns = NOON_NS + 30_000_000_000
        stream = self.call(make_call, 1, response_id="r", end_ns=end_ns, stream=True)
        report = self.call(
            make_call,
            2,
            instrumentation="other",
            parent_span_id=f"{9:016x}",
            start_ns=end_ns + after_ns,
            end_ns=end_ns + after_ns,
        )

        assert len(find_twins([], [stream, report])) == count


def test_three_views_are_one_call(make_call: MakeCall) -> None:
    """Any number of instrumentations on one call make one group: ours first, then the SDK's own, then the rest."""
    third = make_call(3, trace=1, response_id="msg_1", instrumentation="third", start_ns=1, end_ns=2 * 10**18)

    (group,) = find_twins([], [*pair(make_call), third])

    assert [sighting.instrumentation for sighting in group] == ["tierwise", "com.anthropic.sdk.python", "third"]


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
