from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tierwise.evidence.estimate import NotEnoughData
from tierwise.evidence.retention import certify
from tierwise.recommend import recommend
from tierwise.recommend.explain import explain

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.recommend import Recommendation
    from tierwise.store.duckdb import DuckDBStore


def recommended(worlds: Worlds, store: DuckDBStore) -> Recommendation:
    (item,) = recommend(store, now=worlds.AS_OF)
    return item


def holds(store: DuckDBStore, item: Recommendation) -> set[str]:
    """The names of the figures, each of which its statement gives again."""
    for figure in explain(item).figures:
        (row,) = store.sql(figure.sql).to_pylist()
        assert float(next(iter(row.values()))) == pytest.approx(float(figure.value), rel=1e-9), figure.name
    return {figure.name for figure in explain(item).figures}


def test_every_number_can_be_worked_out_again(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Each figure's statement, run on the store, gives the figure."""
    names = holds(store, recommended(worlds, store))

    assert names >= {
        "calls",
        "spend_usd",
        "priced_share",
        "pair_count",
        "quality kept",
        "evaluation_cost_usd",
        "window_saving",
        "p95 of claude-haiku-5-5, s",
    }


def test_attempts_and_merged_use_cases_are_counted_as_the_recommendation_does(
    worlds: Worlds, store: DuckDBStore, proven: World
) -> None:
    """A rejected attempt is no call of its own but its cost is spend, and what people merged counts together."""
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET attempt_of_span_id = md5(span_id) WHERE hash(span_id) % 9 = 0")
        cursor.execute("""
            INSERT INTO llm_calls BY NAME
            SELECT * REPLACE (attempt_of_span_id AS span_id, 'refusal' AS rejected_by, request_model AS requested_model)
            FROM llm_calls WHERE attempt_of_span_id IS NOT NULL AND shadow_of_span_id IS NULL
        """)
        cursor.execute("UPDATE llm_calls SET use_case_id = 'uc_part' WHERE hash(conversation_id) % 2 = 0")
    store.edit_use_case("merge", "uc_part", "uc_0", who="ada", why="")

    names = holds(store, recommended(worlds, store))

    assert names >= {"calls", "spend_usd", "pair_count"}


def test_every_interval_says_how_it_came_about(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Bounds carry method, n and seed, a statement that gives their rows, and they come out the same again."""
    item = recommended(worlds, store)

    found = {interval.name: interval for interval in explain(item).intervals}

    assert found.keys() == {
        "window_saving",
        "net_saving",
        "saving_share",
        "quality kept",
        "p50 change, s",
        "p95 change, s",
    }
    quality, saving = found["quality kept"], found["window_saving"]
    rows = store.sql(quality.sql).to_pydict()
    again = certify(
        rows["weak"], rows["strong"], weight=rows["weight"], max_weight=rows["weight"], cluster=rows["conversation"]
    )
    assert (again.low, again.high, again.n) == pytest.approx((quality.low, quality.high, quality.n))
    assert quality.seed is None
    assert len(store.sql(saving.sql)) == item.calls
    assert saving.seed == 0
    assert saving.command == f"tierwise recommend {item.id} --as-of {item.as_of.isoformat()} --seed 0 --json"
    assert recommended(worlds, store) == item


def test_a_cascade_can_be_worked_out_again(
    worlds: Worlds, store: DuckDBStore, add_verdicts: Callable[[DuckDBStore], None]
) -> None:
    """Quality, time and saving of a cascade have statements that look at the checks' verdicts too."""
    worlds.fill(store, worlds.make(12, conversations=1500, pair_share=0.5, retention=0.8))
    add_verdicts(store)

    item = recommended(worlds, store)

    assert item.rule_kind == "cascade"
    assert holds(store, item) >= {"quality kept", "window_saving", "p95 of claude-haiku-5-5, s"}


def test_caches_and_reasoning_are_in_the_statement(worlds: Worlds, store: DuckDBStore) -> None:
    """With caches, reasoning and calls without a price, the saving is still what its statement gives."""
    worlds.fill(store, worlds.make(1, conversations=400, pair_share=0.3))
    with store.cursor() as cursor:
        cursor.execute(
            "UPDATE llm_calls SET input_tokens = input_tokens + 500, cache_read_tokens = 300, "
            "cache_write_tokens = 200, cache_write_1h_tokens = 50, reasoning_tokens = output_tokens // 3 "
            "WHERE hash(span_id) % 2 = 0"
        )
        cursor.execute(
            "UPDATE llm_calls SET cost_usd = NULL, priced = false "
            "WHERE hash(span_id) % 7 = 0 AND shadow_of_span_id IS NULL"
        )

    item = recommended(worlds, store)

    assert item.priced_share is not None
    assert 0.7 < item.priced_share < 1.0
    assert "window_saving" in holds(store, item)


def test_an_older_model_version_is_left_out(worlds: Worlds, store: DuckDBStore) -> None:
    """Pairs answered by a version that no longer answers are in neither the figure nor the statement."""
    worlds.fill(store, worlds.make(2, conversations=400, pair_share=0.4))
    with store.cursor() as cursor:
        cursor.execute(
            "UPDATE llm_calls SET response_model = "
            "CASE WHEN start_time < TIMESTAMP '2026-11-08' THEN 'old' ELSE 'new' END "
            "WHERE shadow_of_span_id IS NOT NULL"
        )
        ((shadows,),) = cursor.execute("SELECT count(shadow_of_span_id) FROM llm_calls").fetchall()

    item = recommended(worlds, store)

    assert 0 < item.pair_count < shadows
    assert "quality kept" in holds(store, item)


def test_what_has_no_statement_says_why(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Intervals, other prices and a saving that is not known are told instead of being left out silently."""
    item = recommended(worlds, store)
    repriced = replace(item, price_version="another list")
    unknown = replace(item, window_saving=NotEnoughData(1, 30, "conversations"))

    assert any("worked out with another list" in note for note in explain(repriced).notes)
    assert any("there is none" in note for note in explain(unknown).notes)


def test_a_quote_in_a_name_is_no_way_out(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """A use case that is called like a piece of SQL stays a text."""
    item = recommended(worlds, store)
    named = replace(item, scope=replace(item.scope, use_case_id="' OR 1=1 --"), calls=0)

    (figure,) = [figure for figure in explain(named).figures if figure.name == "calls"]

    assert store.sql(figure.sql).to_pylist() == [{"count_star()": 0}]
