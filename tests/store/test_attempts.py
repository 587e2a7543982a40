"""Several attempts at one call: counted once, paid for in full."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Attempt, Decision
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord, call_table

MakeCall = Callable[..., CallRecord]


def attempts(make_call: MakeCall, **of_the_last: Any) -> list[CallRecord]:
    """A cascade of three attempts in one trace: rejected, overtaken, and the one that the caller got."""
    of = f"{1:032x}-{1:016x}"

    def decision(model: str, value: Any) -> Decision:
        return Decision("gpt-5.4", model, 7, "cheaper", "treated", value, 0.9)

    return [
        make_call(
            1,
            usd="0.001",
            request_model="nano",
            decision=decision("nano", "rejected"),
            attempt=Attempt(of, 1, rejected_by="schema", reason="no", checks=(("schema", "failed"),)),
        ),
        make_call(
            2,
            trace=1,
            usd="0.002",
            request_model="mini",
            decision=decision("mini", "rejected"),
            attempt=Attempt(of, 2, rejected_by="late"),
        ),
        make_call(
            3,
            trace=1,
            **{
                "usd": "0.04",
                "decision": decision("gpt-5.4", "escalated"),
                "attempt": Attempt(of, 3, started_after_s=1.5),
                **of_the_last,
            },
        ),
    ]


def test_columns(make_call: MakeCall) -> None:
    """Which attempt it was, of which call, and why nobody saw it are columns of their own; NULL for other calls."""
    rejected, _, accepted = call_table(attempts(make_call)).to_pylist()
    (alone,) = call_table([make_call(9)]).to_pylist()

    names = ("attempt", "attempt_of_span_id", "rejected_by")
    assert [rejected[name] for name in names] == [1, f"{1:016x}", "schema"]
    assert [accepted[name] for name in names] == [3, f"{1:016x}", None]
    assert [alone[name] for name in names] == [None, None, None]
    assert '"tierwise.check.schema":"failed"' in rejected["attributes"]


def test_one_call_at_the_cost_of_all_attempts(memory: DuckDBStore, make_call: MakeCall) -> None:
    """Traffic has one row for the three, which costs what the three cost; every other call is as it was."""
    memory.add_calls([*attempts(make_call), make_call(9)])

    rows = memory.sql("SELECT span_id, cost_usd, decision FROM traffic() ORDER BY span_id").to_pylist()

    assert [(row["span_id"], row["cost_usd"]) for row in rows] == [
        (f"{3:016x}", Decimal("0.043000000000")),
        (f"{9:016x}", Decimal("0.010000000000")),
    ]


def test_what_was_paid_for_is_there_attempt_by_attempt(memory: DuckDBStore, make_call: MakeCall) -> None:
    """Each attempt is a paid call of its own model, at its own cost."""
    memory.add_calls(attempts(make_call))

    rows = memory.sql("SELECT request_model, cost_usd FROM paid_calls() ORDER BY attempt").to_pylist()

    assert [(row["request_model"], str(row["cost_usd"])) for row in rows] == [
        ("nano", "0.001000000000"),
        ("mini", "0.002000000000"),
        ("gpt-5.4", "0.040000000000"),
    ]


def test_a_failed_call_costs_what_its_attempts_did(memory: DuckDBStore, make_call: MakeCall) -> None:
    """When the last attempt failed, without a price, the attempts before it were paid for all the same."""
    memory.add_calls(attempts(make_call, usd=None, error_type="RateLimitError"))

    (row,) = memory.sql("SELECT cost_usd FROM traffic()").to_pylist()

    assert row["cost_usd"] == Decimal("0.003")


def test_an_unknown_price_stays_unknown(memory: DuckDBStore, make_call: MakeCall) -> None:
    """A call that was answered and has no price has none with its attempts either."""
    memory.add_calls(attempts(make_call, usd=None))

    (row,) = memory.sql("SELECT cost_usd FROM traffic()").to_pylist()

    assert row["cost_usd"] is None


@pytest.mark.parametrize("query", ["overview_totals", "spend_series", "savings_calls", "calls", "top_use_cases"])
def test_queries_count_the_call_once(memory: DuckDBStore, make_call: MakeCall, query: str) -> None:
    """What the dashboard and the savings are made of sees one call, and all the money."""
    memory.add_calls(attempts(make_call))

    rows = memory.query(query).to_pylist()

    calls = sum(row["calls"] for row in rows) if "calls" in rows[0] else len(rows)
    spend = sum(row.get("spend_usd") or row.get("cost_usd") or 0 for row in rows)
    assert (calls, spend) == (1, Decimal("0.043"))


def test_spend_by_model_is_that_of_each_model(memory: DuckDBStore, make_call: MakeCall) -> None:
    """A rejected attempt's money is shown with the model that took it."""
    memory.add_calls(attempts(make_call))

    rows = memory.query("spend_series").to_pylist()

    assert {row["bucket"]: (row["calls"], str(row["spend_usd"].normalize())) for row in rows} == {
        "gpt-5.4": (1, "0.04"),
        "mini": (0, "0.002"),
        "nano": (0, "0.001"),
    }
