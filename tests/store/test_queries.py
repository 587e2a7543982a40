"""What the named queries say about a small world whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Decision, Evaluation, Usage
from tierwise.errors import QueryError
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord, SpanRecord

MakeCall = Callable[..., CallRecord]
MakeScore = Callable[..., Evaluation]

DAY_NS = 86_400_000_000_000
DAY_1 = 1_790_000_000_000_000_000
SHADOW_OF_1 = f"{1:032x}-{1:016x}"


@pytest.fixture
def world(memory: DuckDBStore, make_call: MakeCall) -> DuckDBStore:
    """Two days: three calls of a classified use case, one unknown and unpriced, one failed, and one shadow call."""
    invoices = {"task_type": "extraction", "use_case_id": "uc_1", "use_case_name": "invoices", "tenant": "acme"}
    memory.add_calls(
        [
            make_call(1, usd="1.00", conversation_id="c1", **invoices),
            make_call(2, usd="0.50", conversation_id="c1", **invoices),
            make_call(
                3,
                usd="0.10",
                start_ns=DAY_1 + DAY_NS,
                request_model="gpt-5.4-mini",
                usage=Usage(input_tokens=10, output_tokens=5, estimated=True),
                **invoices,
            ),
            make_call(
                4, usd=None, provider="ollama", request_model="local", unpriced_reason="no price", service_name="b"
            ),
            make_call(5, usd="0.40", error_type="timeout"),
            make_call(
                6, usd="0.07", request_model="gpt-5.4-mini", shadow_of=SHADOW_OF_1, shadow_propensity=0.5, **invoices
            ),
        ]
    )
    return memory


def only(store: DuckDBStore, name: str, **parameters: Any) -> dict[str, Any]:
    (row,) = store.query(name, **parameters).to_pylist()
    return row


def test_overview_keeps_shadow_calls_apart(world: DuckDBStore) -> None:
    """Spend and counts are the user's own; what measuring cost stands beside them."""
    totals = only(world, "overview_totals")

    assert (totals["calls"], totals["errors"], totals["use_cases"]) == (5, 1, 1)
    assert totals["spend_usd"] == Decimal("2.00")
    assert totals["priced_share"] == pytest.approx(4 / 5)
    assert totals["classified_spend_share"] == pytest.approx(1.6 / 2.0)
    assert totals["estimated_share"] == pytest.approx(1 / 5)
    assert (totals["evaluation_calls"], totals["evaluation_cost_usd"]) == (1, Decimal("0.07"))


def test_filters_combine(world: DuckDBStore) -> None:
    """A use case is found by id or name; filters are joined by and."""
    assert only(world, "overview_totals", use_case="invoices")["calls"] == 3
    assert only(world, "overview_totals", use_case="uc_1", model="gpt-5.4-mini")["calls"] == 1
    assert only(world, "overview_totals", tenant="acme", task_type="extraction", service="b")["calls"] == 0


def test_no_spend_is_not_zero_spend(world: DuckDBStore) -> None:
    """Where nothing is priced, spend is NULL."""
    assert only(world, "overview_totals", model="local")["spend_usd"] is None


@pytest.mark.parametrize(
    ("dimension", "buckets"),
    [
        (None, {"total": Decimal("1.90")}),
        ("model", {"gpt-5.4": Decimal("1.90"), "local": None}),
        ("task_type", {"extraction": Decimal("1.50"), "unknown": Decimal("0.40")}),
        ("use_case", {"invoices": Decimal("1.50"), "unknown": Decimal("0.40")}),
        ("tenant", {"acme": Decimal("1.50"), "unknown": Decimal("0.40")}),
        ("service", {"unknown_service": Decimal("1.90"), "b": None}),
    ],
)
def test_days_are_cut_by_dimension(
    world: DuckDBStore, dimension: str | None, buckets: dict[str, Decimal | None]
) -> None:
    """A day's spend by each dimension, the largest first."""
    rows = world.query("spend_by_day", dimension=dimension).to_pylist()

    first_day = [row for row in rows if row["day"] == date(2026, 9, 21)]
    assert {row["bucket"]: row["spend_usd"] for row in first_day} == buckets
    assert rows[-1]["day"] == date(2026, 9, 22)


def test_unknown_dimension_is_refused(world: DuckDBStore) -> None:
    """A dimension that is not on the list is an error, not a column name."""
    with pytest.raises(QueryError, match="dimension"):
        world.query("spend_by_day", dimension="request_model; DROP TABLE llm_calls")


def test_models_come_dearest_first(world: DuckDBStore) -> None:
    """Spend by model counts calls, errors and prices, unpriced models last."""
    rows = world.query("spend_by_model").to_pylist()

    assert [(row["model"], row["calls"], row["errors"], row["priced_calls"], row["spend_usd"]) for row in rows] == [
        ("gpt-5.4", 3, 1, 3, Decimal("1.90")),
        ("gpt-5.4-mini", 1, 0, 1, Decimal("0.10")),
        ("local", 1, 0, 0, None),
    ]


def test_tasks_come_dearest_first(world: DuckDBStore) -> None:
    """Spend by task has a row for what is not classified."""
    rows = world.query("spend_by_task").to_pylist()

    assert [(row["task_type"], row["calls"], row["spend_usd"]) for row in rows] == [
        ("extraction", 3, Decimal("1.60")),
        ("unknown", 2, Decimal("0.40")),
    ]


def test_use_case_sums_its_calls(world: DuckDBStore, make_score: MakeScore) -> None:
    """A use case has its models dearest first, spend, tokens, conversations and mean score."""
    world.add_evaluations([make_score(1, 1.0), make_score(2, 0.5), make_score(2, None, name="other")])

    row = world.query("use_cases").to_pylist()[0]

    assert (row["use_case_id"], row["use_case_name"], row["task_type"]) == ("uc_1", "invoices", "extraction")
    assert (row["models"], row["model"]) == (["gpt-5.4", "gpt-5.4-mini"], "gpt-5.4")
    assert (row["calls"], row["spend_usd"], row["input_tokens"]) == (3, Decimal("1.60"), 210)
    assert (row["conversations"], row["scored_calls"], row["mean_score"]) == (1, 2, 0.75)
    assert row["first_seen"] < row["last_seen"]


def test_calls_are_the_users_own_in_order(world: DuckDBStore) -> None:
    """The raw columns come oldest first, without shadow calls."""
    table = world.query("calls")

    assert table["span_id"].to_pylist() == [f"{number:016x}" for number in (1, 2, 4, 5, 3)]
    assert "attributes" not in table.column_names


def test_recent_calls_show_shadows(world: DuckDBStore) -> None:
    """The newest calls come first, shadow calls marked, as many as asked for."""
    rows = world.query("recent_calls", limit=2).to_pylist()

    assert [(row["span_id"], row["is_shadow"]) for row in rows] == [(f"{3:016x}", False), (f"{6:016x}", True)]


class TestPairs:
    def test_both_scores_make_a_pair(self, world: DuckDBStore, make_score: MakeScore) -> None:
        """A call and its shadow with scores of one name and source are a pair."""
        world.add_evaluations([make_score(1, 1.0), make_score(6, 0.5)])

        row = only(world, "pairs")

        assert (row["strong_model"], row["weak_model"]) == ("gpt-5.4", "gpt-5.4-mini")
        assert (row["evaluation_name"], row["strong_score"], row["weak_score"]) == ("exact", 1.0, 0.5)
        assert (row["strong_cost_usd"], row["weak_cost_usd"]) == (Decimal("1.00"), Decimal("0.07"))
        assert (row["shadow_propensity"], row["conversation_key"], row["use_case_id"]) == (0.5, "c1", "uc_1")

    def test_newest_score_counts(self, world: DuckDBStore, make_score: MakeScore) -> None:
        """Where a call was scored twice, the later score is the one."""
        world.add_evaluations([make_score(1, 1.0), make_score(6, 0.0, time_ns=1), make_score(6, 1.0, time_ns=2)])

        assert only(world, "pairs")["weak_score"] == 1.0

    @pytest.mark.parametrize(
        "weak", [{"score": None}, {"score": 1.0, "name": "other"}, {"score": 1.0, "source": "judge"}]
    )
    def test_half_a_pair_is_none(self, world: DuckDBStore, make_score: MakeScore, weak: dict[str, Any]) -> None:
        """An abstention, or a score of another name or source, makes no pair."""
        world.add_evaluations([make_score(1, 1.0), make_score(6, **weak)])

        assert world.query("pairs").num_rows == 0

    def test_routed_primary_is_no_strong_answer(
        self, memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore
    ) -> None:
        """A call that a rule sent elsewhere was not answered by the strong model."""
        routed = Decision("gpt-5.4", "gpt-5.4-mini", 1, "r1", "canary", "routed", 0.5)
        memory.add_calls(
            [make_call(1, request_model="gpt-5.4-mini", decision=routed), make_call(2, shadow_of=SHADOW_OF_1)]
        )
        memory.add_evaluations([make_score(1, 1.0), make_score(2, 1.0)])

        assert memory.query("pairs").num_rows == 0
        assert memory.query("shadows").num_rows == 0

    def test_shadows_need_no_score(self, world: DuckDBStore) -> None:
        """What lengths are measured on is every shadow call with its primary."""
        row = only(world, "shadows")

        assert (row["strong_input_tokens"], row["weak_input_tokens"]) == (100, 100)
        assert (row["shadow_trace_id"], row["trace_id"]) == (f"{6:032x}", f"{1:032x}")


def test_arms_hold_what_savings_are_computed_from(
    memory: DuckDBStore, make_call: MakeCall, make_score: MakeScore
) -> None:
    """Calls of each arm with their costs, failures and scores; calls that no rule matched are in none."""

    def decision(arm: Any, kind: Any = "unchanged") -> Decision:
        return Decision("gpt-5.4", "gpt-5.4", 2, "r1", arm, kind, 0.5)

    memory.add_calls(
        [
            make_call(1, usd="1.0", decision=decision("holdout")),
            make_call(2, usd="3.0", decision=decision("holdout")),
            make_call(3, usd="0.5", decision=decision("treated", "fell_back")),
            make_call(4, usd="9.0"),
        ]
    )
    memory.add_evaluations([make_score(1, 1.0), make_score(1, 0.0, name="format")])

    holdout, treated = memory.query("arms").to_pylist()

    assert (holdout["policy_version"], holdout["rule_id"], holdout["arm"], holdout["n"]) == (2, "r1", "holdout", 2)
    assert (holdout["cost_usd"], holdout["mean_cost_usd"], holdout["cost_usd_variance"]) == (Decimal(4), 2.0, 2.0)
    assert (holdout["scored_calls"], holdout["mean_score"]) == (1, 0.5)
    assert (treated["arm"], treated["fell_back"], treated["cost_usd_variance"]) == ("treated", 1, None)


def test_trace_has_calls_and_spans(memory: DuckDBStore, make_call: MakeCall) -> None:
    """A trace is its calls and its other spans, by start."""
    root = SpanRecord(f"{1:032x}", f"{9:016x}", DAY_1, DAY_1 + 2_000_000_000, "POST /invoice", kind="server")
    memory.add_calls([make_call(1, parent_span_id=root.span_id)], [root])

    rows = memory.query("trace", trace_id=f"{1:032x}").to_pylist()

    assert [(row["name"], row["is_call"], row["duration_s"]) for row in rows] == [
        ("POST /invoice", False, 2.0),
        ("chat gpt-5.4", True, 1.0),
    ]


def test_evaluations_know_their_call(world: DuckDBStore, make_score: MakeScore) -> None:
    """A score comes with the use case and model of its call, and without where the call is not stored."""
    world.add_evaluations([make_score(6, 1.0, time_ns=9), make_score(77, 0.0, time_ns=8)])

    known, unknown = world.query("evaluations").to_pylist()

    assert (known["use_case_name"], known["request_model"], known["is_shadow"]) == ("invoices", "gpt-5.4-mini", True)
    assert (unknown["request_model"], unknown["is_shadow"]) == (None, None)


def test_filter_values_are_what_traffic_has(world: DuckDBStore) -> None:
    """Each filter offers the values of the user's traffic, most calls first."""
    rows = world.query("filter_values").to_pylist()

    assert [row["value"] for row in rows if row["filter"] == "model"] == ["gpt-5.4", "gpt-5.4-mini", "local"]
    assert [(row["value"], row["label"]) for row in rows if row["filter"] == "use_case"] == [("uc_1", "invoices")]


def test_unpriced_names_model_and_reason(world: DuckDBStore) -> None:
    """Calls without a price are listed with why."""
    row = only(world, "unpriced")

    assert (row["model"], row["unpriced_reason"], row["calls"]) == ("local", "no price", 1)


def test_sources_name_who_sends(world: DuckDBStore) -> None:
    """Each service and instrumentation is there with its newest call."""
    rows = world.query("sources").to_pylist()

    assert {(row["service_name"], row["instrumentation"]): row["calls"] for row in rows} == {
        ("unknown_service", "tierwise"): 4,
        ("b", "tierwise"): 1,
    }
