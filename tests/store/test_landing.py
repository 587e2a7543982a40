from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierwise.call import Evaluation
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.landing import Landed
from tierwise.store.rows import CallRecord, SpanRecord

MakeCall = Callable[..., CallRecord]
MakeScore = Callable[..., Evaluation]


def rows(store: DuckDBStore, statement: str) -> list[dict[str, Any]]:
    return store.sql(statement).to_pylist()


def test_what_is_new_is_counted(memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore) -> None:
    """A landing says how many calls, spans and evaluations it added."""
    span = SpanRecord(f"{1:032x}", f"{7:016x}", 1, 2, "GET /")

    landed = memory.land(calls=[make_call(1), make_call(2)], spans=[span], evaluations=[make_score(1, 1.0)])

    assert landed == Landed(calls=2, spans=1, evaluations=1)


def test_sequence_lands_with_the_rows(memory: DuckDBStore, make_call: MakeCall) -> None:
    """The write-ahead sequence is stored in the same transaction as the rows it completes."""
    memory.land(calls=[make_call(1)], sequence=41)

    assert memory.landed_sequence() == 41


def test_failed_landing_leaves_nothing(memory: DuckDBStore, make_call: MakeCall) -> None:
    """When one row cannot be stored, no row is, and the sequence stays."""
    unstorable = make_call(2, service_name="\ud800")

    with pytest.raises(UnicodeEncodeError):
        memory.land(calls=[make_call(1), unstorable], sequence=1)

    assert memory.query("calls").num_rows == 0
    assert memory.landed_sequence() == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(st.lists(st.integers(1, 12), max_size=8), max_size=6))
def test_every_call_is_stored_once(make_call: MakeCall, deliveries: list[list[int]]) -> None:
    """However calls are repeated within and between deliveries, each is one row."""
    store = DuckDBStore.open(None)

    added = [store.land(calls=[make_call(number) for number in numbers]).calls for numbers in deliveries]

    distinct = {number for numbers in deliveries for number in numbers}
    found = store.query("calls")["span_id"].to_pylist()
    assert sorted(found) == sorted(f"{number:016x}" for number in distinct)
    assert sum(added) == len(distinct)
    store.close()


class TestTwins:
    @pytest.fixture
    def views(self, make_call: MakeCall) -> list[CallRecord]:
        """One call as three instrumentations see it, and another call of the same trace."""
        return [
            make_call(3, trace=1, parent_span_id=f"{2:016x}", response_id="msg_1", task_type="extraction"),
            make_call(2, trace=1, parent_span_id=f"{1:016x}", response_id="msg_1", instrumentation="native"),
            make_call(
                1, trace=1, response_id="msg_1", instrumentation="outer", conversation_id="c1", end_ns=2 * 10**18
            ),
            make_call(4, trace=1, response_id="msg_2", instrumentation="native"),
        ]

    @pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
    def test_order_of_arrival_does_not_matter(
        self, memory: DuckDBStore, views: list[CallRecord], order: tuple[int, ...]
    ) -> None:
        """One call seen thrice is tierwise's row with the others' knowledge, and two plain spans."""
        for index in order:
            memory.land(calls=[views[index]])

        calls = rows(memory, "SELECT span_id, instrumentation, conversation_id, task_type FROM llm_calls ORDER BY ALL")
        assert calls == [
            {"span_id": f"{3:016x}", "instrumentation": "tierwise", "conversation_id": "c1", "task_type": "extraction"},
            {"span_id": f"{4:016x}", "instrumentation": "native", "conversation_id": None, "task_type": "unknown"},
        ]
        assert rows(memory, "SELECT span_id, parent_span_id FROM spans ORDER BY ALL") == [
            {"span_id": f"{1:016x}", "parent_span_id": None},
            {"span_id": f"{2:016x}", "parent_span_id": f"{1:016x}"},
        ]

    def test_together_is_the_same_as_one_by_one(self, memory: DuckDBStore, views: list[CallRecord]) -> None:
        """Views that arrive together make the same rows."""
        landed = memory.land(calls=views)

        assert landed == Landed(calls=2, spans=2, merged_calls=2)
        assert memory.query("overview_totals")["calls"].to_pylist() == [2]

    @pytest.mark.parametrize("order", [1, -1], ids=["ours first", "theirs first"])
    @pytest.mark.parametrize("known", [True, False], ids=["response id", "no response id"])
    def test_views_in_two_traces(self, memory: DuckDBStore, make_call: MakeCall, known: bool, order: int) -> None:
        """Views of one call that arrive in two requests and two traces are one row, whichever comes first."""
        response_id = "r" if known else None
        ours = make_call(1, response_id=response_id)
        theirs = make_call(2, response_id=response_id, instrumentation="other")

        for record in (ours, theirs)[::order]:
            memory.land(calls=[record])

        assert rows(memory, "SELECT instrumentation FROM llm_calls") == [{"instrumentation": "tierwise"}]
        assert rows(memory, "SELECT span_id FROM spans") == [{"span_id": f"{2:016x}"}]

    @pytest.mark.parametrize("order", [1, -1], ids=["ours first", "theirs first"])
    def test_report_of_a_long_stream(self, memory: DuckDBStore, make_call: MakeCall, order: int) -> None:
        """A report written at the end of a stream finds it, however long ago it began."""
        ours = make_call(1, response_id="r", stream=True, end_ns=make_call(1).start_ns + 90_000_000_000)
        report = make_call(2, instrumentation="other", start_ns=ours.end_ns, end_ns=ours.end_ns)

        for record in (ours, report)[::order]:
            memory.land(calls=[record])

        assert rows(memory, "SELECT instrumentation FROM llm_calls") == [{"instrumentation": "tierwise"}]

    def test_repeating_changes_nothing(self, memory: DuckDBStore, views: list[CallRecord]) -> None:
        """Views that arrive again are known, also those that were absorbed."""
        memory.land(calls=views)

        again = memory.land(calls=views)

        assert again == Landed(repeated_calls=4)

    def test_nanoseconds_survive(self, memory: DuckDBStore, make_call: MakeCall) -> None:
        """Merging with a stored row keeps its times to the nanosecond."""
        exact = 1_790_000_000_123_456_789
        memory.land(calls=[make_call(1, response_id="r", start_ns=exact)])

        outer = make_call(2, trace=1, response_id="r", start_ns=exact - 1, end_ns=exact * 2, instrumentation="outer")
        memory.land(calls=[outer])

        found = rows(memory, "SELECT epoch_ns(start_time) AS ns, instrumentation FROM llm_calls")
        assert found == [{"ns": exact, "instrumentation": "tierwise"}]


class TestEvaluations:
    def target(self, store: DuckDBStore) -> list[tuple[str, str]]:
        return [(row["trace_id"], row["span_id"]) for row in rows(store, "FROM evaluations")]

    @pytest.mark.parametrize("call_first", [True, False])
    def test_response_id_finds_the_call(
        self, memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore, call_first: bool
    ) -> None:
        """A score that knows only the response is joined to the call, whichever comes first."""
        call = make_call(1, response_id="resp_1")
        score = Evaluation("", "", "feedback", "feedback", 1.0, 5, response_id="resp_1")

        for deliver in (lambda: memory.land(calls=[call]), lambda: memory.land(evaluations=[score]))[
            :: 1 if call_first else -1
        ]:
            deliver()

        assert self.target(memory) == [(call.trace_id, call.span_id)]

    def test_feedback_given_in_another_span_finds_the_call(
        self, memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore
    ) -> None:
        """Feedback recorded while another span was current belongs to the response it names."""
        call = make_call(1, response_id="resp_1")
        memory.land(calls=[call])

        memory.land(evaluations=[make_score(9, 1.0, source="feedback", response_id="resp_1")])

        assert self.target(memory) == [(call.trace_id, call.span_id)]

    def test_check_stays_with_its_span(self, memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore) -> None:
        """A score that knows its span keeps it, though another call has the same response id."""
        memory.land(calls=[make_call(1, response_id="same"), make_call(2, response_id="same")])

        memory.land(evaluations=[make_score(2, 1.0, response_id="same")])

        assert self.target(memory) == [(f"{2:032x}", f"{2:016x}")]

    def test_repeated_score_is_stored_once(
        self, memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore
    ) -> None:
        """A score that comes again is known, also when it found its call meanwhile."""
        score = Evaluation("", "", "feedback", "feedback", 1.0, 5, response_id="resp_1")
        memory.land(evaluations=[score])
        memory.land(calls=[make_call(1, response_id="resp_1")])

        landed = memory.land(evaluations=[score, score])

        assert landed.evaluations == 0
        assert len(self.target(memory)) == 1

    def test_two_scores_of_one_call_are_two(self, memory: DuckDBStore, make_score: MakeScore) -> None:
        """Scores of different names, sources or times are different scores."""
        scores = [
            make_score(1, 1.0),
            make_score(1, 1.0, name="format"),
            make_score(1, 1.0, source="human"),
            make_score(1, 0.0, time_ns=9),
        ]

        assert memory.land(evaluations=scores).evaluations == 4
