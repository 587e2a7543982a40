from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tierwise.alerts.days import month_end, month_start, no_days, read_days

if TYPE_CHECKING:
    from alerts.conftest import Spend
    from tierwise.store.duckdb import DuckDBStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_months_begin_and_end_where_they_do() -> None:
    """The last month of a year ends with the year."""
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)

    assert month_start(moment) == datetime(2026, 12, 1, tzinfo=UTC)
    assert month_end(moment) == datetime(2027, 1, 1, tzinfo=UTC)


def test_days_without_calls_are_zero(memory: DuckDBStore, spend: Spend) -> None:
    """Gaps are filled, today and the first day with a call stand apart."""
    spend(["5", "1", "2"])
    memory.sql("SELECT 1")

    days = read_days(memory, NOW)[""]

    assert (days.days, days.spend_usd) == ((date(2026, 11, 23),), (1.0,))
    assert days.today_usd == Decimal(2)
    assert days.month_usd == Decimal(8)


def test_a_dimension_has_its_subjects(memory: DuckDBStore, spend: Spend) -> None:
    """Each tenant has days of its own, and calls without a price are counted beside."""
    spend(["1", "1"], tenant="acme")
    spend([None, "4"], tenant="globex")

    found = read_days(memory, NOW, dimension="tenant")

    assert {name: days.month_usd for name, days in found.items()} == {"acme": Decimal(2), "globex": Decimal(4)}
    assert found["globex"].unpriced_calls == 1


def test_no_calls_no_subject(memory: DuckDBStore) -> None:
    """An empty store has no days; a subject without calls has none and costs nothing."""
    assert read_days(memory, NOW) == {}
    assert no_days().month_usd == 0
