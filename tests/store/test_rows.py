from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Cost, Usage
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CALL_SCHEMA, EVALUATION_SCHEMA, SPAN_SCHEMA, CallRecord, call_table

MakeCall = Callable[..., CallRecord]


def row(record: CallRecord) -> dict[str, Any]:
    return call_table([record]).to_pylist()[0]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("llm_calls", CALL_SCHEMA.names),
        ("spans", SPAN_SCHEMA.names),
        ("evaluations", EVALUATION_SCHEMA.names),
    ],
)
def test_columns_are_those_of_the_table(memory: DuckDBStore, table: str, columns: list[str]) -> None:
    """A record's columns are the table's, in its order."""
    assert memory.sql(f"FROM {table}").column_names == columns


def test_unknown_is_null_and_none_is_zero(make_call: MakeCall) -> None:
    """Counts that nobody reported are NULL; counts that are known to be none are 0."""
    found = row(make_call(1, usage=Usage(), usd=None))

    assert (found["input_tokens"], found["output_tokens"], found["cost_usd"]) == (None, None, None)
    assert (found["cache_read_tokens"], found["priced"]) == (0, False)


def test_cost_is_the_sum_of_its_parts(make_call: MakeCall) -> None:
    """Parts are rounded to the store's last digit, and the total is their sum."""
    third = Decimal(1) / 3
    found = row(make_call(1, cost=Cost(third, third, third, third, third, source="provider")))

    assert found["cost_input_usd"] == Decimal("0.333333333333")
    assert found["cost_usd"] == 5 * Decimal("0.333333333333")
    assert found["cost_source"] == "provider"


@pytest.mark.parametrize("amount", ["1e6", "-1e9", "NaN", "Infinity"])
def test_impossible_cost_is_no_cost(make_call: MakeCall, amount: str) -> None:
    """A cost that does not fit is kept as unpriced, with the reason."""
    found = row(make_call(1, cost=Cost(Decimal(amount), Decimal(0))))

    assert (found["cost_usd"], found["priced"], found["unpriced_reason"]) == (None, False, "cost out of range")


def test_huge_count_is_cut(make_call: MakeCall) -> None:
    """A count beyond 64 bits is the largest that fits."""
    assert row(make_call(1, usage=Usage(input_tokens=10**30)))["input_tokens"] == 2**63 - 1


def test_requested_model_is_the_callers(make_call: MakeCall) -> None:
    """Without a decision, the model asked for is the model sent."""
    assert row(make_call(1, request_model="m"))["requested_model"] == "m"


def test_rest_goes_into_attributes(make_call: MakeCall) -> None:
    """Parameters, unknown attributes, the port and the resource are kept as JSON."""
    record = make_call(
        1,
        parameters={"gen_ai.request.temperature": 0.5},
        extra={"custom": ["a", "b"]},
        server_port=443,
        resource={"service.version": "2.1"},
    )

    assert json.loads(row(record)["attributes"]) == {
        "gen_ai.request.temperature": 0.5,
        "custom": ["a", "b"],
        "server.port": 443,
        "resource.service.version": "2.1",
    }


def test_numbers_that_json_lacks_become_texts(make_call: MakeCall) -> None:
    """NaN and infinities among the attributes do not make the JSON invalid."""
    record = make_call(1, extra={"a": float("nan"), "b": {"c": [float("inf")]}})

    assert json.loads(row(record)["attributes"]) == {"a": "nan", "b": {"c": ["inf"]}}


def test_attributes_are_queryable_by_key(memory: DuckDBStore, make_call: MakeCall) -> None:
    """An attribute is found by its dotted key."""
    memory.add_calls([make_call(1, extra={"http.route": "/pay"}), make_call(2)])

    table = memory.sql("SELECT variant_extract(attributes, 'http.route')::VARCHAR AS route FROM llm_calls ORDER BY ALL")

    assert table["route"].to_pylist() == ["/pay", None]
