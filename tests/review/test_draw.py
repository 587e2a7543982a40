from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.review.draw import DEFAULT_PLAN, ReviewPlans, drawn, first_side
from tierwise.routing.policy import parse

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs

POLICY = """\
version = {version}
mode = "shadow"

[[rule]]
id = "r"
when = {{ use_case = ["replies"] }}
to = "claude-haiku-5-5"

[rule.review]
sample = {sample}
"""


def pair(**fields: Any) -> dict[str, Any]:
    return {"policy_version": None, "rule_id": None, "draw": 0.0, "disagrees": False, **fields}


@given(st.floats(0, 1, exclude_max=True), st.booleans())
def test_what_is_drawn_has_its_probability(draw: float, disagrees: bool) -> None:
    """A pair is drawn exactly when its number lies below the probability that is recorded with it."""
    found = drawn(pair(draw=draw, disagrees=disagrees), ReviewPlans())

    probability = DEFAULT_PLAN.disagreements if disagrees else DEFAULT_PLAN.sample
    assert (found is not None) == (draw < probability)
    if found is not None:
        assert found.propensity == probability
        assert (found.reason == "random") == (draw < DEFAULT_PLAN.sample)


def test_the_plan_is_that_of_the_version_in_force() -> None:
    """A later version's sample does not change what was drawn under an earlier one."""
    plans = ReviewPlans.of([parse(POLICY.format(version=1, sample=0.1)), parse(POLICY.format(version=2, sample=0.9))])

    assert drawn(pair(policy_version=1, rule_id="r", draw=0.5), plans) is None
    found = drawn(pair(policy_version=2, rule_id="r", draw=0.5), plans)
    assert found is not None
    assert found.propensity == 0.9
    assert drawn(pair(policy_version=2, rule_id="other", draw=0.5), plans) is None
    assert plans.largest == 0.9


def test_draws_are_spread_evenly_and_stay(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """The numbers pairs are drawn by are even over [0, 1) and the same at every look."""
    add_pairs(2000)

    first = store.query("review_pairs")["draw"].to_pylist()
    again = store.query("review_pairs")["draw"].to_pylist()

    assert first == again
    for below in (0.03, 0.3, 0.7):
        share = sum(draw < below for draw in first) / len(first)
        assert share == pytest.approx(below, abs=4 * (below * (1 - below) / len(first)) ** 0.5)


def test_sides_are_fair_and_stay() -> None:
    """About half of the pairs show the strong answer first, and a pair always shows the same one."""
    sides = [first_side(f"{number:032x}", f"{number:016x}") for number in range(2000)]

    assert sides == [first_side(f"{number:032x}", f"{number:016x}") for number in range(2000)]
    assert abs(sides.count("strong") - 1000) < 4 * 500**0.5
