from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.power import Plan, plan
from tierwise.evidence.retention import certify


def scored(retention: float, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Right-or-wrong scores: strong right on 90%, weak alone on 2%."""
    both = 0.9 * retention - 0.02
    outcome = np.searchsorted(
        np.cumsum([both, 0.02, 0.9 - both]), np.random.default_rng(seed).random(pairs), side="right"
    )
    return np.isin(outcome, (0, 1)).astype(float), np.isin(outcome, (0, 2)).astype(float)


def planned(weak: object, strong: object, **changes: Any) -> Plan:
    arguments: dict[str, Any] = {
        "calls_per_day": 100.0,
        "sample": 0.1,
        "usd_per_pair": Decimal("0.002"),
        "seed": 0,
        **changes,
    }
    return plan(weak, strong, **arguments)  # pyright: ignore[reportArgumentType]


def test_before_any_pair_the_plan_is_that_at_equal_quality():
    """About 185 pairs, which at ten a day take about 19 days and at $0.002 each cost about 37 cents."""
    nothing = planned([], [])

    assert isinstance(nothing.pairs, Estimate)
    assert isinstance(nothing.days, Estimate)
    assert nothing.cost_usd is not None
    assert 120 < nothing.pairs.value < 230
    assert nothing.pairs.low < nothing.pairs.value < nothing.pairs.high
    assert nothing.days.value == pytest.approx(nothing.pairs.value / 10)
    assert nothing.cost_usd.value == Decimal("0.002") * int(nothing.pairs.value)
    assert nothing.basis.endswith("at equal quality")


def test_pairs_there_are_count_toward_the_plan():
    """Twenty pairs leave twenty fewer to come."""
    none, twenty = planned([], []), planned(np.ones(20), np.ones(20))

    assert isinstance(none.pairs, Estimate)
    assert isinstance(twenty.pairs, Estimate)
    assert none.pairs.value - twenty.pairs.value == 20


def test_the_interval_covers_what_it_takes():
    """In 60 worlds at equal quality with 50 pairs, the pairs that certification takes lie within at least 42 times."""
    covered = 0
    for seed in range(60):
        weak, strong = scored(1.0, 3_000, seed)
        if certify(weak[:50], strong[:50]).certified:
            covered += 1
            continue

        forecast = planned(weak[:50], strong[:50], seed=seed).pairs

        took = next((n for n in range(60, 3_000, 10) if certify(weak[:n], strong[:n]).certified), 3_000) - 50
        covered += isinstance(forecast, Estimate) and forecast.low - 10 <= took <= forecast.high
    assert covered >= 42


def test_a_model_that_is_too_weak_has_no_plan():
    """At 80% there is no number of pairs, days or dollars, and the reason says how few forecasts end."""
    hopeless = planned(*scored(0.8, 200, seed=1))

    assert isinstance(hopeless.pairs, NotEnoughData)
    assert isinstance(hopeless.days, NotEnoughData)
    assert hopeless.cost_usd is None
    assert hopeless.chance < 0.01
    assert hopeless.describe().startswith("at the quality seen so far, 0% of the forecasts certify")


def test_without_sampling_there_are_no_days():
    """What is never sampled never ends; an unknown price has no cost."""
    still = planned([], [], sample=0.0, usd_per_pair=None)

    assert isinstance(still.days, NotEnoughData)
    assert still.cost_usd is None
    assert still.describe().endswith("no call is sampled")


def test_a_conversation_of_copies_counts_once():
    """Four copies of each pair in a conversation take four times the pairs."""
    weak, strong = scored(1.0, 60, seed=2)

    alone = planned(weak, strong).pairs
    copies = planned(np.repeat(weak, 4), np.repeat(strong, 4), cluster=np.repeat(np.arange(60), 4)).pairs

    assert isinstance(alone, Estimate)
    assert isinstance(copies, Estimate)
    assert copies.value == pytest.approx(4 * alone.value)


def test_a_certified_model_needs_no_more():
    """Once certified the plan is zero pairs."""
    done = planned(np.ones(300), np.ones(300)).pairs

    assert isinstance(done, Estimate)
    assert (done.value, done.high) == (0.0, 0.0)


def test_a_plan_is_json():
    """The plan can be stored as it is, infinite bounds included."""
    stored = json.loads(json.dumps(planned(*scored(0.97, 40, seed=3)).to_dict(), allow_nan=False))

    assert set(stored) == {"pairs", "cost_usd", "days", "chance", "basis"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"calls_per_day": -1.0}, "calls_per_day is -1.0"), ({"sample": 1.5}, "sample is 1.5")],
)
def test_impossible_rates_are_refused(changes: dict[str, float], message: str):
    """Traffic and sampling that cannot be are refused with the value."""
    with pytest.raises(ValueError, match=message):
        planned([], [], **changes)
