"""What every store does, whichever way it was opened."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tierwise.call import Decision, Evaluation
from tierwise.errors import Conflict, PolicyError, QueryError, StoreError
from tierwise.store import Store
from tierwise.store.rows import CallRecord, SpanRecord

POLICY = """# approved in the May review
mode = "shadow"

[[rule]]
id = "cheap-extraction"
kind = "route"
when = { task_type = ["extraction"] }
to = "gpt-5.4-mini"
"""

MakeCall = Callable[..., CallRecord]


class TestPolicies:
    def test_new_store_has_no_policy(self, store: Store) -> None:
        """Before the first there is no policy, and an empty history."""
        assert store.current_policy() is None
        assert store.policy_history() == []

    def test_policy_is_numbered_and_kept(self, store: Store) -> None:
        """A policy gets the next version, also in its text, whose comments stay."""
        before = datetime.now(UTC) - timedelta(seconds=1)

        first = store.put_policy(POLICY, who="ana", why="start")
        second = store.put_policy(first.text, who="ben", why="again", action="rollback", based_on=1)

        assert (first.version, second.version) == (1, 2)
        assert second.text == f"version = 2\n{POLICY}"
        assert before < second.created_at < datetime.now(UTC) + timedelta(seconds=1)
        assert store.current_policy() == second
        assert store.policy_history() == [second, first]

    def test_stale_change_is_refused(self, store: Store) -> None:
        """A change made from another version than the one in force is a Conflict and leaves no trace."""
        current = store.put_policy(POLICY, who="ana", why="start")

        with pytest.raises(Conflict, match="version 1"):
            store.put_policy(POLICY, who="ben", why="late", based_on=None)

        assert store.policy_history() == [current]
        assert [entry["who"] for entry in store.audit_log()] == ["ana"]

    def test_text_that_is_no_policy_is_refused(self, store: Store) -> None:
        """A text that the policy parser refuses is not stored."""
        with pytest.raises(PolicyError, match="mode"):
            store.put_policy('mode = "maybe"', who="ana", why="start")

        assert store.current_policy() is None

    def test_one_of_two_changes_at_once_wins(self, store: Store) -> None:
        """Of changes made from the same version at the same time, exactly one is applied."""

        def put(who: str) -> bool:
            try:
                store.put_policy(POLICY, who=who, why="race")
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(put, "abcd"))

        assert applied.count(True) == 1
        assert len(store.policy_history()) == 1

    def test_change_has_its_audit_row(self, store: Store) -> None:
        """A policy change is in the audit log with who, why and the version it came from."""
        store.put_policy(POLICY, who="ana", why="the May review")

        (entry,) = store.audit_log()

        assert (entry["who"], entry["action"], entry["why"]) == ("ana", "policy.apply", "the May review")
        assert entry["detail"]["version"] == 1
        assert entry["time"].tzinfo is not None


class TestRecommendations:
    def test_saved_content_comes_back(self, store: Store) -> None:
        """A recommendation comes back as saved, unproven unless it says otherwise."""
        store.save_recommendations([{"id": "r1", "title": "Use mini", "interval": [0.94, 0.99]}])

        (saved,) = store.recommendations()

        assert saved["title"] == "Use mini"
        assert saved["interval"] == [0.94, 0.99]
        assert saved["state"] == "unproven"
        assert saved["created_at"] == saved["updated_at"]

    def test_saving_again_replaces_content_and_evidence_state(self, store: Store) -> None:
        """Saving the same id again replaces the content and moves between the states of evidence."""
        store.save_recommendations([{"id": "r1", "n": 10}])

        store.save_recommendations([{"id": "r1", "n": 200, "state": "certified"}])

        (saved,) = store.recommendations()
        assert (saved["n"], saved["state"]) == (200, "certified")
        assert saved["created_at"] < saved["updated_at"]

    def test_enforced_content_stays(self, store: Store) -> None:
        """The content of an enforced recommendation is what was approved, whatever is saved later."""
        store.save_recommendations([{"id": "r1", "n": 10, "state": "certified"}])
        store.set_recommendation_state("r1", "enforced", who="ana", why="approved", expected="certified")

        store.save_recommendations([{"id": "r1", "n": 11, "state": "candidate"}])

        (saved,) = store.recommendations()
        assert (saved["n"], saved["state"]) == (10, "enforced")

    def test_dismissed_stays_dismissed(self, store: Store) -> None:
        """A state that a person set is not undone by new evidence, which is kept all the same."""
        store.save_recommendations([{"id": "r1", "n": 10}])
        store.set_recommendation_state("r1", "dismissed", who="ana", why="not this one")

        store.save_recommendations([{"id": "r1", "n": 11, "state": "certified"}])

        (saved,) = store.recommendations()
        assert (saved["n"], saved["state"]) == (11, "dismissed")

    def test_state_changed_meanwhile_is_a_conflict(self, store: Store) -> None:
        """Moving from a state that it is no longer in is refused."""
        store.save_recommendations([{"id": "r1", "state": "candidate"}])

        with pytest.raises(Conflict, match="is candidate, not certified"):
            store.set_recommendation_state("r1", "enforced", who="ana", why="go", expected="certified")

    @pytest.mark.parametrize(("identity", "state"), [("r1", "perfect"), ("r2", "enforced")])
    def test_unknown_state_or_id_is_refused(self, store: Store, identity: str, state: str) -> None:
        """A state or an id that does not exist is named in the error."""
        store.save_recommendations([{"id": "r1"}])

        with pytest.raises(StoreError, match=f"{state}|{identity}"):
            store.set_recommendation_state(identity, state, who="ana", why="go")

    def test_state_change_has_its_audit_row(self, store: Store) -> None:
        """A state change is in the audit log with both states."""
        store.save_recommendations([{"id": "r1"}])

        store.set_recommendation_state("r1", "snoozed", who="ana", why="after the release")

        (entry,) = store.audit_log()
        assert entry["action"] == "recommendation.snoozed"
        assert entry["detail"] == {"id": "r1", "from": "unproven", "to": "snoozed"}


class TestAudit:
    def test_newest_comes_first(self, store: Store) -> None:
        """Entries come back newest first, with their detail."""
        store.audit("review.score", {"score": 1.0}, who="ana", why="")
        store.audit("review.score", {"score": 0.0}, who="ben", why="wrong total")

        log = store.audit_log()

        assert [(entry["who"], entry["detail"]) for entry in log] == [("ben", {"score": 0.0}), ("ana", {"score": 1.0})]


class TestRecords:
    def test_calls_come_back_through_queries(self, store: Store, make_call: MakeCall) -> None:
        """Calls that were added are in the named queries, money to the last digit."""
        store.add_calls([make_call(1, usd="0.000000000001"), make_call(2, usd="12.5")])

        totals = store.query("overview_totals").to_pylist()[0]

        assert totals["calls"] == 2
        assert totals["spend_usd"] == Decimal("12.500000000001")

    def test_added_twice_is_there_once(self, store: Store, make_call: MakeCall) -> None:
        """Calls, spans and evaluations that are there already are left as they are."""
        span = SpanRecord(f"{1:032x}", f"{9:016x}", 1, 2, "GET /")
        score = Evaluation(f"{1:032x}", f"{1:016x}", "exact", "check", 1.0, 5)

        for _ in range(2):
            store.add_calls([make_call(1)], [span])
            store.add_evaluations([score])

        for table in ("llm_calls", "spans", "evaluations"):
            assert store.sql(f"SELECT count(*) AS n FROM {table}")["n"].to_pylist() == [1]

    def test_decision_survives_the_way(self, store: Store, make_call: MakeCall) -> None:
        """What routing decided is in the row, however the record got there."""
        decision = Decision("gpt-5.4", "gpt-5.4-mini", 3, "r1", "canary", "routed", 0.1, "matched")
        store.add_calls([make_call(1, request_model="gpt-5.4-mini", decision=decision)])

        (row,) = store.query("calls").to_pylist()

        assert (row["requested_model"], row["request_model"]) == ("gpt-5.4", "gpt-5.4-mini")
        assert (row["policy_version"], row["rule_id"], row["arm"], row["propensity"]) == (3, "r1", "canary", 0.1)


class TestQueries:
    def test_times_are_bounds(self, store: Store, make_call: MakeCall) -> None:
        """`since` is included, `until` is not; both may be datetimes or nanoseconds."""
        second = 1_000_000_000
        store.add_calls([make_call(n, start_ns=n * 1000 * second) for n in (1, 2, 3)])

        found = store.query("calls", since=datetime.fromtimestamp(2000, UTC), until=3000 * second)

        assert found["span_id"].to_pylist() == [f"{2:016x}"]

    def test_filter_takes_one_value_or_several(self, store: Store, make_call: MakeCall) -> None:
        """A filter takes a text or a sequence of texts; None and an empty sequence let everything through."""
        store.add_calls([make_call(n, request_model=f"m{n}") for n in (1, 2, 3)])

        counts = [store.query("calls", model=chosen).num_rows for chosen in ("m1", ["m1", "m3"], (), None, "m9")]

        assert counts == [1, 2, 3, 3, 0]

    def test_values_are_bound(self, store: Store, make_call: MakeCall) -> None:
        """A value that looks like SQL is only a value."""
        store.add_calls([make_call(1)])

        found = store.query("calls", model="' OR 1=1 --")

        assert found.num_rows == 0
        assert store.query("calls").num_rows == 1

    def test_unknown_query_is_refused(self, store: Store) -> None:
        """A query that does not exist is answered with those that do."""
        with pytest.raises(QueryError, match="overview_totals"):
            store.query("no_such_query")

    def test_unknown_parameter_is_refused(self, store: Store) -> None:
        """A parameter that the query does not have is answered with those it has."""
        with pytest.raises(QueryError, match="since"):
            store.query("calls", modle="m1")


class TestSql:
    def test_reading_statement_answers(self, store: Store, make_call: MakeCall) -> None:
        """A SELECT answers, attributes as JSON text."""
        store.add_calls([make_call(1, parameters={"gen_ai.request.temperature": 0.5})])

        table = store.sql("SELECT attributes FROM llm_calls")

        assert table["attributes"].to_pylist() == ['{"gen_ai.request.temperature":0.5}']

    @pytest.mark.parametrize(
        "text",
        [
            "DELETE FROM llm_calls",
            "SELECT 1; SELECT 2",
            "",
            "SELECT nonsense FROM",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM llm_calls, range(200)",
        ],
    )
    def test_anything_else_is_refused(self, store: Store, make_call: MakeCall, text: str) -> None:
        """What writes, is not one statement, does not parse, reaches outside or returns too much is refused."""
        store.add_calls([make_call(1)])

        with pytest.raises(QueryError):
            store.sql(text, max_rows=100)

    def test_slow_query_is_stopped(self, store: Store) -> None:
        """A query that runs past its time is interrupted, and the store answers again."""
        with pytest.raises(QueryError, match=r"0\.2 s"):
            store.sql("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b", timeout_s=0.2)

        assert store.sql("SELECT 1 AS one")["one"].to_pylist() == [1]
