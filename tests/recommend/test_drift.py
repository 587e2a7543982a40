from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tierwise.evidence.estimate import NotEnoughData
from tierwise.recommend.drift import Drift, from_arms, min_retention
from tierwise.routing.policy import Rule

RULE = Rule("r", "route", to="small", options={"guard": {"min_retention": 0.9}})
START = datetime(2026, 11, 1, tzinfo=UTC)


def scores(n: int, *, treated: float, kept: float, seed: int, source: str = "check") -> pa.Table:
    """A score a conversation, half of them treated, each 1 with the probability of its arm."""
    rng = np.random.default_rng(seed)
    on_target = rng.random(n) < 0.5
    score = rng.random(n) < np.where(on_target, treated, kept)
    return pa.table(
        {
            "start_time": pa.array([START + timedelta(minutes=i) for i in range(n)], pa.timestamp("us")),
            "rule_id": ["r"] * n,
            "arm": np.where(on_target, "canary", "holdout"),
            "conversation_id": [f"{seed}/{i}" for i in range(n)],
            "evaluation_name": ["exact"] * n,
            "evaluation_source": [source] * n,
            "score": score.astype(float),
        }
    )


def test_lost_quality_is_found_on_the_arms() -> None:
    """A target that is right half as often is found within a few hundred conversations, and the words say from what."""
    found = from_arms(RULE, scores(400, treated=0.45, kept=0.9, seed=1))

    assert isinstance(found, Drift)
    assert (found.alarm, found.source, found.min_retention, found.conversations) == (True, "arms", 0.9, 400)
    assert "less than 90% of the quality kept" in found.describe()


def test_false_alarms_on_the_arms_are_rare() -> None:
    """Just at the retention allowed, at most the promised share of rules is ever accused."""
    worlds = [from_arms(RULE, scores(300, treated=0.81, kept=0.9, seed=seed)) for seed in range(200)]

    alarms = sum(isinstance(found, Drift) and found.alarm for found in worlds)

    assert alarms <= 200 * 0.025 + 3 * (200 * 0.025 * 0.975) ** 0.5


def test_the_most_trusted_scores_with_enough_of_them_count() -> None:
    """A person's few hundred scores go before a check's; a handful do not."""
    check = scores(400, treated=0.9, kept=0.9, seed=1)
    people, few = (scores(n, treated=0.2, kept=0.9, seed=2, source="human") for n in (400, 10))

    many_found = from_arms(RULE, pa.concat_tables([check, people]))
    few_found = from_arms(RULE, pa.concat_tables([check, few]))

    assert isinstance(many_found, Drift)
    assert isinstance(few_found, Drift)
    assert (many_found.alarm, few_found.alarm) == (True, False)


@pytest.mark.parametrize("arm", ["canary", "holdout"])
def test_one_arm_alone_says_nothing(arm: str) -> None:
    """Scores of one side only are no evidence either way, and neither are none."""
    table = scores(100, treated=0.5, kept=0.5, seed=1)
    one_sided = table.filter(pa.compute.equal(table["arm"], arm))  # pyright: ignore[reportAttributeAccessIssue]

    assert isinstance(from_arms(RULE, one_sided), NotEnoughData)
    assert isinstance(from_arms(RULE, table.slice(0, 0)), NotEnoughData)


def test_a_rule_without_a_guard_is_held_to_95_percent() -> None:
    """The promise is the floor of a rule that names none."""
    assert (min_retention(RULE), min_retention(Rule("r", "route", to="x"))) == (0.9, 0.95)
