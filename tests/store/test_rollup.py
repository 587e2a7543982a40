from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierwise.store import rollup
from tierwise.store.duckdb import DuckDBStore

NOON_NS = 1_790_000_000_000_000_000
"""2026-09-21 14:13:20 UTC."""
DAY_NS = 86_400_000_000_000
LATER = datetime(2026, 10, 20, tzinfo=UTC)

Make = Callable[..., Any]

BY_CELLS = """
SELECT sum(calls)::BIGINT AS calls, sum(cost_usd) AS cost, sum(input_tokens)::BIGINT AS input, min(first_time) AS first,
       max(newest_time) AS newest, count(DISTINCT use_case_id) AS use_cases
FROM selected_cells($since, $until, NULL, NULL, NULL, NULL, $use_case, $rolled_from, $rolled_until)
"""
BY_CALLS = """
SELECT count(*) AS calls, sum(cost_usd) AS cost, sum(input_tokens)::BIGINT AS input, min(start_time) AS first,
       max(start_time) AS newest, count(DISTINCT use_case_id) AS use_cases
FROM selected_calls($since, $until, NULL, NULL, NULL, NULL, $use_case)
"""


def roll_up(store: DuckDBStore, limit: int = 100) -> int:
    with store._transaction() as cursor:
        return rollup.roll_up(cursor, now=LATER, limit=limit)


def answers(store: DuckDBStore, since: int | None, until: int | None, use_case: str | None = None) -> tuple[Any, Any]:
    """What cells and what calls say of a span of time."""
    bounds = {"since": since, "until": until, "use_case": None if use_case is None else [use_case]}
    with store.cursor() as cursor:
        rolled = rollup.rolled_spans(cursor, {"rolled_from"}, bounds)
        return cursor.execute(BY_CELLS, bounds | rolled).fetchall(), cursor.execute(BY_CALLS, bounds).fetchall()


def good_days(store: DuckDBStore) -> list[date]:
    with store.cursor() as cursor:
        return [day for (day,) in cursor.execute("SELECT day FROM daily_days ORDER BY day").fetchall()]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hours=st.lists(st.integers(0, 240), min_size=1, max_size=30),
    since=st.none() | st.integers(-30, 250),
    until=st.none() | st.integers(-30, 250),
    late=st.lists(st.integers(0, 240), max_size=3),
)
def test_cells_say_what_the_calls_say(
    make_call: Make, hours: list[int], since: int | None, until: int | None, late: list[int]
) -> None:
    """Over any span of time, however much of it is rolled up and whatever lands afterwards, both give one answer."""
    store = DuckDBStore.open(None)
    bounds = [None if hour is None else NOON_NS + hour * 3_600_000_000_000 for hour in (since, until)]
    for first, found in ((0, hours), (100, late)):
        calls = [make_call(first + n, start_ns=NOON_NS + hour * 3_600_000_000_000) for n, hour in enumerate(found)]
        store.add_calls(calls)
        if first == 0:
            roll_up(store)

    by_cells, by_calls = answers(store, bounds[0], bounds[1])

    assert by_cells[0][1:] == by_calls[0][1:]
    assert (by_cells[0][0] or 0) == by_calls[0][0]
    store.close()


def test_a_days_rows_are_read_from_its_cells_once_it_has_ended(memory: DuckDBStore, make_call: Make) -> None:
    """Days that have ended are rolled up, empty ones between them count, and today is left to the calls."""
    today_ns = int(LATER.timestamp()) * 10**9
    memory.add_calls([make_call(1, start_ns=NOON_NS), make_call(2, start_ns=NOON_NS + 3 * DAY_NS)])
    memory.add_calls([make_call(3, start_ns=today_ns)])

    done = roll_up(memory)

    assert done == 2
    assert good_days(memory) == [date(2026, 9, day) for day in range(21, 25)]
    with memory.cursor() as cursor:
        assert cursor.execute("SELECT sum(calls) FROM daily_traffic").fetchall() == [(2,)]
        assert rollup.rolled_spans(cursor, {"rolled_from"}, {}) == {
            "rolled_from": NOON_NS // DAY_NS * DAY_NS,
            "rolled_until": (NOON_NS // DAY_NS + 4) * DAY_NS,
        }


def test_call_that_lands_late_takes_its_day_off(memory: DuckDBStore, make_call: Make) -> None:
    """A day in which a call lands afterwards, and the day after it, are read from the calls until rolled up anew."""
    memory.add_calls([make_call(number, start_ns=NOON_NS + number * DAY_NS) for number in range(5)])
    roll_up(memory)

    memory.add_calls([make_call(9, start_ns=NOON_NS + 2 * DAY_NS)])
    without = good_days(memory)
    told = answers(memory, None, None)
    roll_up(memory)

    assert without == [date(2026, 9, 21), date(2026, 9, 22), date(2026, 9, 25)]
    assert told[0][0][0] == told[1][0][0] == 6
    assert len(good_days(memory)) == 5


def test_deleted_calls_leave_no_cells(memory: DuckDBStore, make_call: Make) -> None:
    """What retention deletes is gone from the cells at once."""
    memory.add_calls([make_call(number, start_ns=NOON_NS + number * DAY_NS) for number in range(3)])
    roll_up(memory)

    memory.delete_oldest(NOON_NS + DAY_NS, limit=100)

    assert answers(memory, None, None)[0][0][0] == 2


def test_few_days_at_once(memory: DuckDBStore, make_call: Make) -> None:
    """No more days than asked for are rolled up in one transaction, the oldest first."""
    memory.add_calls([make_call(number, start_ns=NOON_NS + number * DAY_NS) for number in range(3)])

    assert [roll_up(memory, limit=2), roll_up(memory, limit=2), roll_up(memory, limit=2)] == [2, 1, 0]


def test_durations_come_back_within_their_step(memory: DuckDBStore, make_call: Make) -> None:
    """A duration read back from the histogram is off by 2.5% at most."""
    with memory.cursor() as cursor:
        worst = cursor.execute(
            "SELECT max(abs(duration_of(duration_step(s)) / s - 1)) "
            "FROM (SELECT pow(1.013, i - 500) AS s FROM range(1500) t(i)) WHERE s > 0.0001"
        ).fetchall()

    assert worst[0][0] < 0.0255
