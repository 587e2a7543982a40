from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tierwise.call import Evaluation
from tierwise.store import retention
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.retention import DAY_NS, Removed, prune
from tierwise.store.rows import CallRecord, SpanRecord

NOW_NS = 1_790_000_000_000_000_000
Make = Callable[..., CallRecord]
Score = Callable[..., Evaluation]


def no_pause(seconds: float) -> None:
    """Go on at once."""


def pruned(store: DuckDBStore, *, days: float | None = None, size: int | None = None) -> Removed:
    return prune(store, days=days, size=size, now_ns=NOW_NS, pause=no_pause)


def numbers(store: DuckDBStore, table: str = "llm_calls") -> list[int]:
    column = store.sql(f"SELECT span_id FROM {table} ORDER BY ALL")["span_id"]
    return [int(span_id, 16) for span_id in column.to_pylist()]


def span(number: int, start_ns: int) -> SpanRecord:
    return SpanRecord(f"{number:032x}", f"{number:016x}", start_ns, start_ns + 1, "GET /")


def days_ago(days: float) -> int:
    return NOW_NS - round(days * DAY_NS)


def enforce(store: DuckDBStore, use_case_id: str) -> None:
    store.save_recommendations([{"id": use_case_id, "state": "certified", "scope": {"use_case_id": use_case_id}}])
    store.set_recommendation_state(use_case_id, "enforced", who="a", why="b")


def test_what_is_older_goes(memory: DuckDBStore, make_call: Make, make_score: Score) -> None:
    """Calls and spans from before the age go, evaluations with their call, and what is younger stays."""
    memory.add_calls(
        [make_call(1, start_ns=days_ago(31)), make_call(2, start_ns=days_ago(29))],
        [span(3, days_ago(31)), span(4, days_ago(29))],
    )
    # Scored long after the one call, and long before the retention of the other.
    memory.add_evaluations([make_score(1, 1.0, time_ns=days_ago(1)), make_score(2, 1.0, time_ns=days_ago(40))])

    removed = pruned(memory, days=30)

    assert removed == Removed(calls=1, spans=1, evaluations=1)
    assert (numbers(memory), numbers(memory, "spans"), numbers(memory, "evaluations")) == ([2], [4], [2])
    assert pruned(memory, days=30) == Removed()


def test_evaluations_without_a_call_age_too(memory: DuckDBStore, make_score: Score) -> None:
    """A score whose call never came goes by its own time."""
    memory.add_evaluations([make_score(1, 1.0, time_ns=days_ago(31)), make_score(2, 1.0, time_ns=days_ago(29))])

    assert pruned(memory, days=30) == Removed(evaluations=1)
    assert numbers(memory, "evaluations") == [2]


def test_shadow_goes_with_its_call(memory: DuckDBStore, make_call: Make, make_score: Score) -> None:
    """A shadow call, which is a little younger than its call, never stays alone, nor do its scores."""
    shadow_of = {"shadow_of": f"{1:032x}-{1:016x}"}
    memory.add_calls([make_call(1, start_ns=days_ago(30.001)), make_call(2, start_ns=days_ago(29.999), **shadow_of)])
    memory.add_evaluations([make_score(1, 1.0), make_score(2, 0.5)])

    assert pruned(memory, days=30) == Removed(calls=2, evaluations=2)


def test_evidence_of_what_is_enforced_stays(memory: DuckDBStore, make_call: Make, make_score: Score) -> None:
    """Pairs of an enforced recommendation's use case stay with their scores; single calls and other pairs go."""
    for first, use_case in ((1, "kept"), (11, "other")):
        shadow_of = {"shadow_of": f"{first:032x}-{first:016x}"}
        memory.add_calls(
            [
                make_call(first, start_ns=days_ago(90), use_case_id=use_case),
                make_call(first + 1, start_ns=days_ago(90), use_case_id=use_case, **shadow_of),
                make_call(first + 2, start_ns=days_ago(90), use_case_id=use_case),
            ]
        )
        memory.add_evaluations([make_score(first, 1.0), make_score(first + 1, 0.5), make_score(first + 2, 0.5)])
    enforce(memory, "kept")

    removed = pruned(memory, days=30)

    assert removed == Removed(calls=4, evaluations=4)
    assert numbers(memory) == numbers(memory, "evaluations") == [1, 2]
    assert len(memory.recommendations()) == 1
    assert len(memory.audit_log()) >= 1


def test_transactions_are_bounded(memory: DuckDBStore, make_call: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows go in several transactions, oldest first, and a stop between two of them ends the work."""
    memory.add_calls([make_call(number, start_ns=days_ago(60) + number) for number in range(1, 11)])
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 3)
    left: list[int] = []

    def stop_after_two(_: float) -> bool:
        left.append(len(numbers(memory)))
        return len(left) == 2

    removed = prune(memory, days=30, size=None, now_ns=NOW_NS, pause=stop_after_two)

    assert left == [7, 4]
    assert removed == Removed(calls=6)
    assert numbers(memory) == [7, 8, 9, 10]


@pytest.fixture
def file_store(tmp_path: Path) -> Generator[DuckDBStore]:
    """An empty store in a file."""
    opened = DuckDBStore.open(tmp_path / "calls.duckdb")
    yield opened
    opened.close()


def fill(store: DuckDBStore, calls: int) -> None:
    """Calls of the last hundred days with a kilobyte each that does not compress."""
    with store.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO llm_calls BY NAME
            SELECT printf('%032x', i) AS trace_id, printf('%016x', i) AS span_id,
                   make_timestamp_ns({NOW_NS} - ({calls} - i) * {100 * DAY_NS // calls}) AS start_time,
                   start_time AS end_time, 1.0 AS duration_s, 'app' AS service_name, 'tierwise' AS instrumentation,
                   'chat' AS operation, 'openai' AS provider, 'm' AS request_model, 'm' AS requested_model,
                   false AS stream, []::VARCHAR[] AS finish_reasons, 0 AS cache_read_tokens, 0 AS cache_write_tokens,
                   0 AS cache_write_1h_tokens, 0 AS reasoning_tokens, 0 AS web_searches, false AS usage_estimated,
                   false AS usage_partial, false AS priced, 'qa' AS task_type,
                   array_to_string([sha256(concat(i, '-', j)) FOR j IN range(16)], '')::VARIANT AS attributes
            FROM range({calls}) AS numbers(i)
            """
        )
    store.checkpoint()


def test_data_is_brought_below_the_size(file_store: DuckDBStore) -> None:
    """Past the size the oldest go until the data is below it; the newest stay, and reading goes on."""
    fill(file_store, 60_000)
    before = file_store.data_bytes()
    size = before // 2

    removed = pruned(file_store, size=size)

    after, left = file_store.data_bytes(), numbers(file_store)
    assert before > 20_000_000
    assert 0.5 * size < after <= size
    assert left == list(range(60_000 - len(left), 60_000))
    assert removed.calls == 60_000 - len(left)
    assert pruned(file_store, size=size) == Removed()


def test_readers_do_not_wait(file_store: DuckDBStore) -> None:
    """A query that runs all the while neither fails nor keeps the work from its end."""
    fill(file_store, 30_000)
    counts: list[int] = []

    def read(_: float) -> None:
        counts.append(file_store.query("overview_totals")["calls"].to_pylist()[0])

    started = time.monotonic()
    removed = prune(file_store, days=10, size=None, now_ns=NOW_NS, pause=read)

    assert removed.calls == 27_000
    assert counts[0] < 30_000
    assert counts[-1] == 3_000
    assert time.monotonic() - started < 60
