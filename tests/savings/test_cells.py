from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings import cells
from tierwise.savings.assignment import match, scope_of
from tierwise.savings.cells import price_changed, read_cells
from tierwise.savings.reprice import reprice
from tierwise.savings.simulate import simulate
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds
    from tierwise.store.duckdb import DuckDBStore


@pytest.fixture
def store(worlds: Worlds) -> Generator[DuckDBStore]:
    """Conversations with caches, failures, calls without a price and contradicting counts."""
    from tierwise.store.duckdb import DuckDBStore

    opened = DuckDBStore.open(None)
    worlds.fill(opened, worlds.make(1, conversations=300, use_cases=3))
    with opened.cursor() as cursor:
        cursor.execute(
            "UPDATE llm_calls SET input_tokens = input_tokens + 900, cache_read_tokens = 600, cache_write_tokens = 200 "
            "WHERE hash(span_id) % 3 = 0"
        )
        cursor.execute("UPDATE llm_calls SET cost_usd = NULL, priced = false WHERE hash(span_id) % 11 = 0")
        cursor.execute("UPDATE llm_calls SET cache_read_tokens = 10_000_000 WHERE hash(span_id) % 13 = 0")
        cursor.execute("UPDATE llm_calls SET input_tokens = 300_000 WHERE hash(span_id) % 17 = 0")
    yield opened
    opened.close()


def window(worlds: Worlds) -> dict[str, Any]:
    return {"since": worlds.AS_OF - timedelta(days=30), "until": worlds.AS_OF}


def test_cells_add_up_to_the_calls(worlds: Worlds, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls, spend and what they cost on another model are the same added up as one by one, and rows are fewer."""
    monkeypatch.setattr(cells, "MOST_SINGLE", 0)
    monkeypatch.setattr(cells, "UNITS", 20)
    single = read_traffic(store.query("savings_calls", **window(worlds)))

    added_up = read_cells(store, **window(worlds)).traffic

    assert added_up.count() == len(single)
    assert len(added_up) < len(single)
    assert added_up.total_usd() == single.total_usd()
    assert added_up.count(added_up.priced) == single.count(single.priced)
    at_ns = int(worlds.AS_OF.timestamp() * 1e9)
    costs = [
        sum(float(getattr(repriced, name).sum()) for name in ("per_input", "per_output", "fixed", "per_call"))
        for repriced in (reprice(traffic, worlds.WEAK, at_ns=at_ns) for traffic in (single, added_up))
    ]
    assert costs[1] == pytest.approx(costs[0], rel=0.02)
    assert added_up.largest_input_tokens.max() == single.input_tokens[np.isfinite(single.input_tokens)].max()


def test_contradicting_counts_are_not_priced(worlds: Worlds, store: DuckDBStore) -> None:
    """A call that read more from the cache than it had input is priced neither alone nor in a cell."""
    single = read_traffic(store.query("savings_calls", **window(worlds)))
    added_up = read_cells(store, **window(worlds)).traffic

    unknown = [
        traffic.count(~reprice(traffic, worlds.WEAK, at_ns=int(worlds.AS_OF.timestamp() * 1e9)).known)
        for traffic in (single, added_up)
    ]

    assert unknown[0] == unknown[1] > 0


def test_a_policy_is_simulated_alike_on_both(worlds: Worlds, store: DuckDBStore) -> None:
    """With detail, cells give a policy's simulation the numbers of single calls."""
    rule = Rule("r", "route", When(use_case=("uc_1",)), to=worlds.WEAK, share=0.5, holdout=0.1)
    policy = Policy(mode="enforce", rules=(rule,))
    pairs = store.query("pairs", until=worlds.AS_OF)
    at: dict[str, Any] = {"as_of": worlds.AS_OF, "seed": 1, "draws": 200}

    on_calls = simulate(policy, store.query("savings_calls", **window(worlds)), pairs, **at)
    on_cells = simulate(policy, read_cells(store, policy=policy, **window(worlds)).traffic, pairs, **at)

    assert on_cells.baseline_usd == on_calls.baseline_usd
    assert on_cells.rules[0].calls == on_calls.rules[0].calls
    assert on_cells.rules[0].moved_calls == pytest.approx(on_calls.rules[0].moved_calls)
    assert on_cells.simulated_usd is not None
    assert on_calls.simulated_usd is not None
    assert float(on_cells.simulated_usd) == pytest.approx(float(on_calls.simulated_usd), rel=1e-3)


def test_simulating_nothing_on_cells_gives_the_logged_cost(worlds: Worlds, store: DuckDBStore) -> None:
    """The policy that logged the traffic gives back its cost to the last digit, added up too."""
    traffic = read_cells(store, policy=Policy(), **window(worlds)).traffic

    found = simulate(Policy(), traffic, store.query("pairs"), as_of=worlds.AS_OF, seed=1, draws=10)

    assert found.simulated_usd == found.baseline_usd == traffic.total_usd()


def test_calls_of_different_prices_stand_apart(worlds: Worlds, store: DuckDBStore) -> None:
    """A price change between two calls keeps them in different cells."""
    first = worlds.AS_OF - timedelta(days=10)
    plain = store.query("savings_cells", units=1, **window(worlds))

    split = store.query("savings_cells", units=1, price_changes=str(int(first.timestamp()) * 10**9), **window(worlds))

    assert len(plain) < len(split) <= 2 * len(plain)
    assert sum(split["calls"].to_pylist()) == sum(plain["calls"].to_pylist())


def test_price_changes_are_found() -> None:
    """A model whose price changed gives the moment, one whose price did not gives none."""
    since, until = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC)

    (change,) = price_changed("openai", "gpt-5.6-luna", None, since=since, until=until)

    assert since < change < until
    assert price_changed("openai", "gpt-4o", None, since=since, until=until) == []


def test_the_conversations_own_reads_stay_warm(worlds: Worlds, store: DuckDBStore) -> None:
    """Reads of what the call before had sent cost a read on the other model, a conversation's first read a write."""
    with store.cursor() as cursor:
        cursor.execute("DELETE FROM llm_calls WHERE shadow_of_span_id IS NOT NULL")
        cursor.execute("UPDATE llm_calls SET input_tokens = 2000, cache_read_tokens = 1500, cache_write_tokens = 0")
        ((calls, conversations),) = cursor.execute(
            "SELECT count(*), count(DISTINCT conversation_id) FROM llm_calls"
        ).fetchall()
    traffic = read_traffic(store.query("savings_calls", **window(worlds)))

    cost = reprice(traffic, worlds.WEAK, at_ns=int(worlds.AS_OF.timestamp() * 1e9)).per_input.sum()
    all_cold = reprice(traffic, worlds.WEAK, at_ns=int(worlds.AS_OF.timestamp() * 1e9), cache_kept=1.0).per_input.sum()

    assert traffic.warm_read_tokens.sum() == 1500 * (calls - conversations)
    assert cost > all_cold
    cells_warm = read_cells(store, **window(worlds)).traffic.warm_read_tokens.sum()
    assert cells_warm == pytest.approx(traffic.warm_read_tokens.sum())


@pytest.mark.parametrize(
    "when",
    [
        When(min_input_tokens=900, max_input_tokens=1500),
        When(max_input_tokens=0),
        When(hours="22:30-06:00", days=("mon", "tue", "sat"), timezone="America/New_York"),
        When(attributes={"tier": ("gold",)}),
    ],
)
def test_calls_that_a_rule_tells_apart_stand_apart(
    worlds: Worlds, store: DuckDBStore, when: When, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of a policy that looks at size, time or declared attributes hold the calls that its rule decides about."""
    monkeypatch.setattr(cells, "MOST_SINGLE", 0)
    monkeypatch.setattr(cells, "UNITS", 20)
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET input_tokens = NULL WHERE hash(span_id) % 19 = 0")
        cursor.execute("""
            UPDATE llm_calls SET attributes = {'tierwise.use_case.attributes': [
                'order=' || span_id, 'tier=' || CASE WHEN hash(span_id) % 3 = 0 THEN 'gold' ELSE 'tin' END
            ]}::VARIANT
        """)
    policy = Policy(mode="enforce", rules=(Rule("r", "route", when, to=worlds.WEAK),))
    single = read_traffic(store.query("savings_calls", **window(worlds)))

    added_up = read_cells(store, policy=policy, **window(worlds)).traffic

    decided = [(match(policy, scope_of(traffic)).rule == 0).nonzero()[0] for traffic in (single, added_up)]
    assert 0 < single.count(decided[0]) < single.count()
    assert added_up.count(decided[1]) == single.count(decided[0])
    assert added_up.total_usd(decided[1]) == single.total_usd(decided[0])
    assert len(added_up) < 0.8 * len(single)
