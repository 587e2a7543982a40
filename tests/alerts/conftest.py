"""Stores with spend by day whose course is known."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tierwise.call import Call, Cost, Usage
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

Spend = Callable[..., None]


@pytest.fixture
def memory() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    store = DuckDBStore.open(None)
    yield store
    store.close()


@pytest.fixture
def spend(memory: DuckDBStore) -> Spend:
    """Adds a call a day at eleven, the last of them today."""
    number = 0

    def add(usd_by_day: Sequence[str | None], *, tenant: str = "acme", model: str = "gpt-6.1-sol") -> None:
        nonlocal number
        records: list[CallRecord] = []
        for ago, usd in enumerate(reversed(usd_by_day)):
            number += 1
            start = int((NOW - timedelta(days=ago, hours=1)).timestamp()) * 1_000_000_000
            cost = None if usd is None else Cost(Decimal(usd), Decimal(0), price_version="genai-prices 0.2.3")
            call = Call(
                provider="openai",
                operation="chat",
                request_model=model,
                usage=Usage(input_tokens=10, output_tokens=10),
                cost=cost,
                unpriced_reason="no price" if cost is None else None,
                tenant=tenant,
                use_case_id="uc_1",
                use_case_name="replies",
            )
            records.append(
                CallRecord(
                    trace_id=f"{number:032x}", span_id=f"{number:016x}", call=call, start_ns=start, end_ns=start + 10**9
                )
            )
        memory.add_calls(records)

    return add
