from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tierwise import prices
from tierwise.audit import Audit, audit
from tierwise.audit.report import NOT_MEASURED
from tierwise.call import Call, Usage
from tierwise.evidence.estimate import Estimate
from tierwise.recommend import recommend
from tierwise.recommend.levers import find_levers
from tierwise.routing.policy import parse
from tierwise.savings.cells import read_cells
from tierwise.savings.moves import Pricing
from tierwise.savings.pairs import read_pairs
from tierwise.savings.relocation import relocate
from tierwise.savings.simulate import WhatIf, simulate
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

if TYPE_CHECKING:
    from conftest import Worlds

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def measured(worlds: Worlds) -> Iterator[DuckDBStore]:
    """A store with traffic and scored pairs."""
    store = DuckDBStore.open(None)
    world = worlds.make(3, conversations=150, pair_share=0.4, as_of=NOW)
    worlds.fill(store, world)
    yield store
    store.close()


@pytest.fixture(scope="module")
def found(measured: DuckDBStore) -> Audit:
    return audit(measured, now=NOW)


@pytest.fixture
def plain() -> Iterator[DuckDBStore]:
    """A store with calls that nobody has compared with anything, a minute apart, the newest 59 minutes before NOW."""
    prices.load()
    store = DuckDBStore.open(None)
    start_ns = int((NOW - timedelta(days=3)).timestamp()) * 1_000_000_000
    records: list[CallRecord] = []
    for number in range(60):
        model = "house-model" if number % 10 == 9 else "gpt-4o"
        usage = Usage(1000 + number, 100, estimated=number % 5 == 0)
        at_ns = start_ns + number * 60_000_000_000
        cost, reason = prices.price("openai", model, usage, at_ns=at_ns)
        call = Call(
            operation="chat",
            provider="openai",
            request_model=model,
            usage=usage,
            cost=cost,
            unpriced_reason=reason,
            task_type="extraction" if number % 2 else "unknown",
            use_case_id=f"uc_{number % 3}",
        )
        records.append(CallRecord(f"{number + 1:032x}", f"{number + 1:016x}", at_ns, at_ns + 1000, call))
    store.add_calls(records)
    yield store
    store.close()


def rows(store: DuckDBStore, statement: str) -> list[dict[str, Any]]:
    return store.sql(statement).to_pylist()


def test_the_sums_are_the_stores(measured: DuckDBStore, found: Audit) -> None:
    """Totals and each group's calls and spend are what SQL on the store gives, to the last digit."""
    said = found.to_dict()

    where = f"FROM llm_calls WHERE shadow_of_span_id IS NULL AND start_time < '{NOW:%Y-%m-%d}'"
    (whole,) = rows(measured, f"SELECT count(*) AS calls, sum(cost_usd) AS spend {where}")
    assert (said["totals"]["calls"], said["totals"]["spend_usd"]) == (whole["calls"], str(whole["spend"]))
    for section, column in (
        ("tasks", "task_type"),
        ("spend_by_model", "requested_model"),
        ("use_cases", "use_case_id"),
    ):
        by_sql = {
            row["name"]: (row["calls"], str(row["spend"]))
            for row in rows(
                measured, f"SELECT {column} AS name, count(*) AS calls, sum(cost_usd) AS spend {where} GROUP BY 1"
            )
        }
        name = "model" if column == "requested_model" else column
        assert {row[name]: (row["calls"], row["spend_usd"]) for row in said[section]} == by_sql


def test_recommendations_and_levers_are_those_of_recommend(measured: DuckDBStore, found: Audit) -> None:
    """The audit says of each use case what `tierwise recommend` says, and of levers the same."""
    horizon_days = (NOW - found.since) / timedelta(days=1)

    assert [item.to_dict() for item in found.recommendations] == [
        item.to_dict() for item in recommend(measured, now=NOW, horizon_days=horizon_days)
    ]
    levers = [lever.to_dict() for lever in find_levers(measured, now=NOW, horizon_days=horizon_days)]
    assert found.levers
    assert all(lever.to_dict() in levers for lever in found.levers)


def test_costs_on_another_model_are_those_of_simulate(measured: DuckDBStore, found: Audit) -> None:
    """What a model's calls would have cost elsewhere is what a policy that sends them there is simulated to cost."""
    model = found.models[0]

    assert model.candidates
    for candidate in model.candidates:
        policy = parse(
            f'mode = "enforce"\n[[rule]]\nid = "all"\nwhen = {{ request_model = ["{model.model}"] }}\n'
            f'to = "{candidate.target}"\nshare = 1.0\nholdout = 0.0\n'
        )
        cells = read_cells(measured, since=found.since, until=NOW, policy=policy)
        simulated = simulate(
            policy,
            cells.traffic,
            measured.query("pairs", until=NOW),
            shadows=measured.query("shadows", until=NOW),
            as_of=NOW,
            seed=0,
            what_if=WhatIf(pricing=Pricing(at_ns=int(NOW.timestamp() * 1e9))),
        )
        assert isinstance(candidate.saving, Estimate)
        assert isinstance(candidate.cost, Estimate)
        assert isinstance(simulated.saving, Estimate)
        assert candidate.saving.value == pytest.approx(simulated.saving.value, rel=1e-9)
        assert candidate.cost.value == pytest.approx(float(model.today_usd) - candidate.saving.value)
        assert 0 < candidate.cost.low <= candidate.cost.value <= candidate.cost.high


def test_small_model_territory_is_measured_or_said_not_to_be(found: Audit, plain: DuckDBStore) -> None:
    """With scored pairs the share is that of certified use cases; without any it is "not yet measured"."""
    known, unknown = found, audit(plain, now=NOW)

    certified = sum(
        (item.spend_usd for item in known.recommendations if item.evidence_state == "certified"), Decimal(0)
    )
    assert known.territory.share == float(certified / (known.spend_usd or 1))
    assert known.territory.pairs > 0
    assert (unknown.territory.share, unknown.territory.words) == (None, NOT_MEASURED)
    for either in (known, unknown):
        assert sum(either.territory.calls.values()) == either.calls
        assert sum(either.territory.spend_usd.values()) == either.spend_usd


def test_the_proposed_model_comes_first(plain: DuckDBStore) -> None:
    """Each model is held against a few cheaper ones of its provider, the one to try first before the others."""
    (model,) = audit(plain, now=NOW).models

    assert (model.provider, model.model, model.calls) == ("openai", "gpt-4o", 54)
    assert [candidate.proposed for candidate in model.candidates] == [True, False, False]
    assert all(candidate.price_ratio < 1 for candidate in model.candidates)
    assert "assumed, not measured" in model.candidates[0].assumptions[0]


def test_use_cases_as_one_change_no_figure(plain: DuckDBStore) -> None:
    """Where nothing has been compared, the saving over all use cases is the sum of that of each."""
    found = audit(plain, now=NOW)
    target = found.models[0].candidates[0]
    traffic = read_cells(plain, since=found.since, until=NOW, model="gpt-4o").traffic
    shadows = read_pairs(plain.query("shadows", until=NOW))

    apart = relocate(traffic, [(np.arange(len(traffic)), target.target)], shadows, now=NOW, seed=0).saving()

    assert isinstance(apart, Estimate)
    assert isinstance(target.saving, Estimate)
    assert target.saving.value == pytest.approx(apart.value)
    assert target.saving.low == pytest.approx(apart.low, rel=0.05)
    assert target.saving.high == pytest.approx(apart.high, rel=0.05)


def test_only_the_newest_calls(plain: DuckDBStore) -> None:
    """`last` and `since` cut the window, and every part of the audit looks at the same calls."""
    newest = audit(plain, now=NOW, last=10)
    since = audit(plain, now=NOW, since=newest.since)

    assert newest.calls == since.calls == 10
    assert sum(row["calls"] for row in newest.tasks) == 10
    assert newest.to_dict() == since.to_dict()


def test_what_is_not_known_is_counted(plain: DuckDBStore) -> None:
    """Calls without a price are there with the reason, estimated and unclassified ones with their share."""
    found = audit(plain, now=NOW)

    (row,) = found.unpriced
    assert (row["model"], row["calls"], row["unpriced_reason"]) == ("house-model", 6, "no price for openai/house-model")
    assert found.totals["estimated_share"] == pytest.approx(0.2)
    assert found.months is None


def test_an_empty_store() -> None:
    """Without calls there is nothing to say, and no error."""
    store = DuckDBStore.open(None)

    found = audit(store, now=NOW)

    assert (found.calls, found.spend_usd, found.models, found.recommendations, found.levers) == (0, None, (), (), ())
    assert found.territory.words == NOT_MEASURED
    store.close()
