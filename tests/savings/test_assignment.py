from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.routing import decide
from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.assignment import assign, match, scope_of
from tierwise.savings.pairs import read_pairs
from tierwise.savings.traffic import Traffic, read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def policy(*rules: Rule) -> Policy:
    return Policy(mode="enforce", rules=rules)


def calls(**columns: list[object]) -> Traffic:
    rows = len(next(iter(columns.values())))
    defaults = {"provider": ["openai"] * rows, "requested_model": ["big"] * rows, "request_model": ["big"] * rows}
    return read_traffic(
        pa.table(
            {
                "start_time": pa.array(range(rows), pa.timestamp("ns")),
                "cost_usd": pa.nulls(rows, pa.decimal128(18, 12)),
                **defaults,
                **columns,
            }
        )
    )


def test_the_first_matching_rule_decides() -> None:
    """Rules are tried in order; calls that none matches have place -1 and no target."""
    traffic = calls(task_type=["extraction", "math", "judge"], use_case_id=["uc_1", "uc_1", "uc_2"])
    first = Rule("first", "route", When(task_type=("extraction",)), to="small")
    second = Rule("second", "route", When(use_case=("uc_1",)), to="tiny")

    found = match(policy(first, second), scope_of(traffic))

    assert found.rule.tolist() == [0, 1, -1]
    assert [found.target[row] for row in range(3)] == ["small", "tiny", None]


def test_pins_disabled_rules_and_mode_off_move_nothing() -> None:
    """A pin takes the calls it matches from the rules below, a disabled rule and a policy that is off match nothing."""
    traffic = calls(use_case_id=["uc_1", "uc_2"])
    pin = Rule("pin", "pin", When(use_case=("uc_1",)))
    route = Rule("route", "route", to="small")

    pinned = assign(policy(pin, route), traffic)
    disabled = match(policy(Rule("route", "route", to="small", enabled=False)), scope_of(traffic))
    off = match(Policy(mode="off", rules=(route,)), scope_of(traffic))

    assert pinned.rule.tolist() == [0, 1]
    assert pinned.probability.tolist() == [0.0, 1.0]
    assert disabled.rule.tolist() == off.rule.tolist() == [-1, -1]


def test_size_limits_are_compared_with_billed_tokens() -> None:
    """A rule with size limits takes the calls within them, ends included."""
    traffic = calls(input_tokens=[99, 100, 200, 201, None])

    found = match(
        policy(Rule("r", "route", When(min_input_tokens=100, max_input_tokens=200), to="small")), scope_of(traffic)
    )

    assert found.rule.tolist() == [-1, 0, 0, -1, -1]


def test_hours_go_by_the_time_of_the_call() -> None:
    """A rule for a time of day takes the calls that were made in it, by the clock of its time zone."""
    hour_ns = 3_600 * 10**9
    traffic = calls(start_time=pa.array([8 * hour_ns - 1, 8 * hour_ns, 9 * hour_ns, 32 * hour_ns], pa.timestamp("ns")))

    utc, berlin = (
        match(policy(Rule("r", "route", When(hours="08:00-09:00", timezone=zone), to="small")), scope_of(traffic))
        for zone in ("UTC", "Europe/Berlin")
    )

    assert utc.rule.tolist() == [-1, 0, -1, 0]
    assert berlin.rule.tolist() == [0, -1, -1, -1]


def test_declared_attributes_are_those_of_the_span() -> None:
    """A rule for a plan takes the calls that were declared to be of it, out of the store as in the app."""
    traffic = calls(declared_attributes=["beta=true\x1fplan=free", "plan=a=b", "plan=paid", None])

    def matched(*values: str) -> list[int]:
        rule = Rule("r", "route", When(attributes={"plan": values}), to="small")
        return match(policy(rule), scope_of(traffic)).rule.tolist()

    assert matched("free") == [0, -1, -1, -1]
    assert matched("free", "a=b") == [0, 0, -1, -1]


def test_embeddings_are_never_moved() -> None:
    """Calls that do not write text fall under no rule."""
    traffic = calls(operation=["chat", "embeddings"])

    assert match(policy(Rule("r", "route", to="small")), scope_of(traffic)).rule.tolist() == [0, -1]


def test_share_and_holdout_count_in_expectation() -> None:
    """A call that never ran under the rule goes to the target with the share of what the holdout leaves."""
    found = assign(policy(Rule("r", "route", to="small", share=0.5, holdout=0.2)), calls(use_case_id=["uc_1"]))

    assert found.probability.tolist() == [pytest.approx(0.4)]


@given(
    old=st.floats(0.05, 1.0),
    new=st.floats(0.05, 1.0),
    holdout=st.sampled_from([0.0, 0.03, 0.2]),
    seed=st.integers(0, 1000),
)
def test_arms_already_drawn_are_kept(old: float, new: float, holdout: float, seed: int) -> None:
    """Given the arms drawn at one share, the expected share of treated calls at another is that of the app's own hash:
    a larger share keeps all who were treated, a smaller one adds nobody, and the holdout stays."""
    positions = np.random.default_rng(seed).random(400)
    drawn = [decide.assign(position, share=old, holdout=holdout) for position in positions]
    traffic = calls(
        rule_id=["r"] * 400, arm=[arm for arm, _ in drawn], propensity=[propensity for _, propensity in drawn]
    )

    found = assign(policy(Rule("r", "route", to="small", share=new, holdout=holdout)), traffic)

    at_new = np.array([decide.assign(p, share=new, holdout=holdout)[0] in ("treated", "canary") for p in positions])
    before = np.array([arm in ("treated", "canary") for arm, _ in drawn])
    certain = (found.probability == 0.0) | (found.probability == 1.0)
    assert (found.probability[certain] == at_new[certain]).all()
    assert found.probability[before].min(initial=1.0) == 1.0 or new < old
    assert found.probability[~before].max(initial=0.0) == 0.0 or new > old


@given(share=st.floats(0.01, 1.0), holdout=st.floats(0.0, 0.5), position=st.floats(0.0, 1.0, exclude_max=True))
def test_an_unchanged_rule_keeps_every_arm_exactly(share: float, holdout: float, position: float) -> None:
    """Under the rule that drew it, a treated call stays treated and a kept call kept, without rounding."""
    arm, propensity = decide.assign(position, share=share, holdout=holdout)
    traffic = calls(rule_id=["r"], arm=[arm], propensity=[propensity])

    found = assign(policy(Rule("r", "route", to="small", share=share, holdout=holdout)), traffic)

    assert found.probability.tolist() == [1.0 if arm in ("treated", "canary") else 0.0]


def test_an_arm_without_its_propensity_is_kept() -> None:
    """Where the propensity was not recorded a call stays in its arm."""
    traffic = calls(rule_id=["r", "r"], arm=["canary", "holdout"], propensity=[None, None])

    found = assign(policy(Rule("r", "route", to="small", share=0.2, holdout=0.1)), traffic)

    assert found.probability.tolist() == [1.0, 0.0]


def test_refused_and_failed_calls_are_settled() -> None:
    """Calls that the target could not serve, or failed, under this very rule go as they went."""
    traffic = calls(rule_id=["r", "r", "other", "r"], decision=["refused", "fell_back", "refused", "routed"])

    found = assign(policy(Rule("r", "route", to="small")), traffic)

    assert found.settled.tolist() == [True, True, False, False]


def test_pairs_fall_under_rules_by_their_strong_side(worlds: Worlds) -> None:
    """A pair is matched by the model its caller asked for."""
    pairs = read_pairs(worlds.make(1, conversations=30).pairs)

    found = match(policy(Rule("r", "route", When(request_model=(worlds.STRONG,)), to=worlds.WEAK)), scope_of(pairs))

    assert (found.rule == 0).all()
    assert found.target.same_as(pairs.weak_model).all()
