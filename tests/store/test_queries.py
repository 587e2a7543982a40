"""What the named queries say about a small world whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Decision, Evaluation, Usage
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

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


def test_what_judges_cost_is_told_apart(world: DuckDBStore, make_call: MakeCall) -> None:
    """Calls that a judge makes are the user's own spend, and their part of it is said; others of the name are not."""
    before = only(world, "overview_totals")
    tagged = {"task_type": "classification", "task_source": "tag"}

    world.add_calls([
        make_call(8, usd="0.03", use_case_name="judge of invoices", use_case_id="uc_8", **tagged),
        make_call(9, usd="0.05", use_case_name="judge for sports", use_case_id="uc_9", **tagged),
    ])  # fmt: skip

    totals = only(world, "overview_totals")
    assert (before["judge_calls"], before["judge_cost_usd"]) == (0, 0)
    assert (totals["judge_calls"], totals["judge_cost_usd"]) == (1, Decimal("0.03"))
    assert totals["spend_usd"] == before["spend_usd"] + Decimal("0.08")
    assert totals["evaluation_cost_usd"] == before["evaluation_cost_usd"]


def test_filters_combine(world: DuckDBStore) -> None:
    """A use case is found by id or name; filters are joined by and."""
    assert only(world, "overview_totals", use_case="invoices")["calls"] == 3
    assert only(world, "overview_totals", use_case="uc_1", model="gpt-5.4-mini")["calls"] == 1
    assert only(world, "overview_totals", tenant="acme", task_type="extraction", service="b")["calls"] == 0


def test_no_spend_is_not_zero_spend(world: DuckDBStore) -> None:
    """Where nothing is priced, spend is NULL."""
    assert only(world, "overview_totals", model="local")["spend_usd"] is None


def test_calls_are_the_users_own_in_order(world: DuckDBStore) -> None:
    """The raw columns come oldest first, without shadow calls."""
    table = world.query("calls")

    assert table["span_id"].to_pylist() == [f"{number:016x}" for number in (1, 2, 4, 5, 3)]
    assert "attributes" not in table.column_names


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


def test_an_order_billed_later_is_not_unpriced(world: DuckDBStore, make_call: MakeCall) -> None:
    """A background response that another call is billed for takes nothing off the share of priced calls."""
    before = only(world, "overview_totals")["priced_share"]

    world.add_calls([make_call(9, usd=None, unpriced_reason="billed when the background response is retrieved")])

    assert only(world, "overview_totals")["priced_share"] == before
    assert only(world, "unpriced")["unpriced_reason"] == "no price"


def test_sources_name_who_sends(world: DuckDBStore) -> None:
    """Each service and instrumentation is there with its newest call."""
    rows = world.query("sources").to_pylist()

    assert {(row["service_name"], row["instrumentation"]): row["calls"] for row in rows} == {
        ("unknown_service", "tierwise"): 4,
        ("b", "tierwise"): 1,
    }
