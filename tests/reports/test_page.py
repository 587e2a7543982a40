from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tierwise.call import Call, Cost, Usage
from tierwise.reports.figures import read_figures
from tierwise.reports.page import page
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """Ten days of a dollar each, of a use case whose name is markup."""
    opened = DuckDBStore.open(None)
    for day in range(10):
        start = int((NOW - timedelta(days=day, hours=1)).timestamp()) * 1_000_000_000
        call = Call(
            operation="chat",
            provider="openai",
            request_model="gpt-6.1-sol",
            usage=Usage(input_tokens=10, output_tokens=10),
            cost=Cost(Decimal(1), Decimal(0), price_version="list 1"),
            use_case_id="uc_1",
            use_case_name="<script>alert(1)</script>",
        )
        opened.add_calls([CallRecord(f"{day + 1:032x}", f"{day + 1:016x}", start, start + 10**9, call)])
    yield opened
    opened.close()


def test_the_page_holds_the_figures(store: DuckDBStore) -> None:
    """Spend, calls and the change against the week before are those of the queries."""
    figures = read_figures(store, since=NOW - timedelta(days=7), until=NOW)

    text = page(figures)

    assert figures.spend_change["spend_usd"] == Decimal(7)
    assert "<dd>$7.00<small>+133.3% to the period before</small></dd>" in text
    assert "$7.00 in all, at most $1.00 a day" in text


def test_the_page_asks_nobody(store: DuckDBStore) -> None:
    """No script, no address, nothing that a browser would fetch; names are text."""
    text = page(read_figures(store, since=NOW - timedelta(days=7), until=NOW))

    assert not re.search(r"https?://|src=|<script|<link|@import|url\(", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_an_empty_store_has_a_page() -> None:
    """Without a call there is a page that says so, and no zero that is no measurement."""
    opened = DuckDBStore.open(None)

    text = page(read_figures(opened, since=None, until=NOW))
    opened.close()

    assert "No calls." in text
    assert "<dd>—<small>" in text
