"""What the queries behind the dashboard's charts say about calls whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Cost, Usage
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

MakeCall = Callable[..., CallRecord]

START = datetime(2026, 9, 21, tzinfo=UTC)
HOUR_NS = 3_600_000_000_000
START_NS = int(START.timestamp()) * 1_000_000_000


def at(hours: float) -> int:
    return START_NS + int(hours * HOUR_NS)


@pytest.fixture
def world(memory: DuckDBStore, make_call: MakeCall) -> DuckDBStore:
    """Two days: a dear use case on both, a cheap one on the second, a call without either or price, a shadow call."""
    dear = {"use_case_id": "uc_dear", "use_case_name": "reports", "request_model": "gpt-5.4"}
    cheap = {"use_case_id": "uc_cheap", "request_model": "gpt-5.4-mini"}
    memory.add_calls(
        [
            make_call(1, usd="1.00", start_ns=at(1), **dear),
            make_call(2, usd="2.00", start_ns=at(25), **dear),
            make_call(3, usd="0.10", start_ns=at(26), **cheap),
            make_call(4, usd="0.20", start_ns=at(26), error_type="timeout", **cheap),
            make_call(5, usd=None, start_ns=at(27), request_model="local", unpriced_reason="no price"),
            make_call(6, usd="9.00", start_ns=at(2), shadow_of=f"{1:032x}-{1:016x}", shadow_propensity=0.5, **dear),
        ]
    )
    return memory


class TestSpendSeries:
    """spend_series."""

    def test_dearest_bucket_comes_first(self, world: DuckDBStore) -> None:
        """Every step of a bucket is a row, ranked by the bucket's spend over all steps; unpriced ones come last."""
        rows = world.query("spend_series", dimension="use_case", step_s=86_400).to_pylist()

        assert [(row["bucket"], row["rank"], row["spend_usd"]) for row in rows] == [
            ("reports", 1, Decimal("1.00")),
            ("reports", 1, Decimal("2.00")),
            ("uc_cheap", 2, Decimal("0.30")),
            ("unknown", 3, None),
        ]
        assert rows[0]["bucket_spend_usd"] == Decimal("3.00")
        assert rows[0]["step_end"] - rows[0]["step"] == timedelta(days=1)

    def test_the_rest_is_added_up(self, world: DuckDBStore) -> None:
        """Beyond so many buckets, one holds everything else, and nothing is lost."""
        rows = world.query("spend_series", dimension="model", step_s=86_400, buckets=1).to_pylist()

        assert [row["bucket"] for row in rows] == ["gpt-5.4", "gpt-5.4", "everything else"]
        assert rows[-1]["calls"] == 3
        assert sum(row["spend_usd"] for row in rows) == Decimal("3.30")

    def test_steps_are_as_wide_as_asked(self, world: DuckDBStore) -> None:
        """A step of an hour starts on the hour."""
        rows = world.query("spend_series", buckets=0, step_s=3600).to_pylist()

        assert [row["step"].hour for row in rows] == [1, 1, 2, 3]
        assert rows[2]["cost_per_call_usd"] == pytest.approx(0.15)


class TestSpendChange:
    """spend_change."""

    def test_period_is_compared_with_the_one_before(self, world: DuckDBStore) -> None:
        """Equal lengths, side by side; shadow calls in neither."""
        (change,) = world.query(
            "spend_change", since=START + timedelta(days=1), until=START + timedelta(days=2)
        ).to_pylist()

        assert (change["calls"], change["spend_usd"]) == (4, Decimal("2.30"))
        assert change["previous_spend_usd"] == Decimal("1.00")
        assert change["spend_change"] == pytest.approx(1.3)
        assert change["calls_change"] == pytest.approx(3.0)
        assert change["cost_per_call_change"] == pytest.approx(2.3 / 3 - 1)

    def test_nothing_before_is_no_change(self, world: DuckDBStore) -> None:
        """Without a period before, or without a beginning, there is no change to tell."""
        first = {"since": START, "until": START + timedelta(days=1)}

        for parameters in (first, {}):
            (change,) = world.query("spend_change", **parameters).to_pylist()
            assert change["spend_change"] is None
            assert change["calls_change"] is None


class TestTokenMix:
    """token_mix."""

    def test_kinds_add_up_to_the_total(self, memory: DuckDBStore, make_call: MakeCall) -> None:
        """Reads and writes are taken off the input, reasoning off the output; shares are of the model's tokens."""
        usage = Usage(
            input_tokens=100, output_tokens=50, cache_read_tokens=30, cache_write_tokens=20, reasoning_tokens=40
        )
        cost = Cost(Decimal(5), Decimal(4), cache_read_usd=Decimal("0.3"), cache_write_usd=Decimal("0.7"))
        memory.add_calls([make_call(1, usage=usage, cost=cost)])

        rows = memory.query("token_mix").to_pylist()

        assert {row["kind"]: (row["tokens"], row["cost_usd"]) for row in rows} == {
            "fresh input": (50, Decimal(5)),
            "cache read": (30, Decimal("0.3")),
            "cache write": (20, Decimal("0.7")),
            "output": (10, Decimal(4)),
            "reasoning": (40, None),
        }
        assert sum(row["share"] for row in rows) == pytest.approx(1.0)

    def test_only_the_dearest_models(self, world: DuckDBStore) -> None:
        """The chart is kept to as many models as asked for."""
        models = {row["model"] for row in world.query("token_mix", models=2).to_pylist()}

        assert models == {"gpt-5.4", "gpt-5.4-mini"}


def by_label(store: DuckDBStore, **parameters: Any) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in store.query("top_use_cases", **parameters).to_pylist()}


class TestTopUseCases:
    """top_use_cases."""

    def test_unit_costs(self, world: DuckDBStore) -> None:
        """What one call and a thousand calls cost, over priced calls, with the share of all spend."""
        found = by_label(world)

        assert list(found) == ["reports", "uc_cheap", "no use case"]
        assert found["reports"]["cost_per_call_usd"] == pytest.approx(1.5)
        assert found["reports"]["cost_per_1k_calls_usd"] == pytest.approx(1500)
        assert found["reports"]["spend_share"] == pytest.approx(3.0 / 3.3)
        assert found["uc_cheap"]["error_share"] == pytest.approx(0.5)
        assert found["no use case"]["cost_per_call_usd"] is None

    def test_series_has_a_value_for_every_step(self, world: DuckDBStore) -> None:
        """A step without a call is a zero, so that all series are of one length."""
        found = by_label(world, step_s=86_400)

        assert found["reports"]["spend_series"] == pytest.approx([1.0, 2.0])
        assert found["uc_cheap"]["spend_series"] == pytest.approx([0.0, 0.3])

    def test_limit(self, world: DuckDBStore) -> None:
        """Shares stay shares of everything, however few rows are shown."""
        (row,) = world.query("top_use_cases", limit=1).to_pylist()

        assert row["spend_share"] == pytest.approx(3.0 / 3.3)


def test_price_versions_come_by_newest_use(memory: DuckDBStore, make_call: MakeCall) -> None:
    """The list that priced the newest call is first; calls without a price have none."""
    older = Cost(Decimal(1), Decimal(0), price_version="list 1")
    newer = Cost(Decimal(1), Decimal(0), price_version="list 2")
    memory.add_calls(
        [
            make_call(1, cost=older, start_ns=at(1)),
            make_call(2, cost=newer, start_ns=at(2)),
            make_call(3, usd=None, start_ns=at(3), unpriced_reason="no price"),
        ]
    )

    rows = memory.query("price_versions").to_pylist()

    assert [(row["price_version"], row["calls"]) for row in rows] == [("list 2", 1), ("list 1", 1)]
