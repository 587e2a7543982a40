from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import analysis
import pytest
from filters import Filters

from tierwise.evidence.estimate import Estimate
from tierwise.routing.policy import Policy, parse

if TYPE_CHECKING:
    from tierwise.store import Store

EVERYTHING = Filters("all time", None, MappingProxyType({}))


def test_policy_in_force_costs_what_was_billed(store: Store) -> None:
    """Simulating no change of a rule that has already run moves only what came before it."""
    record = store.current_policy()
    assert record is not None

    simulation = analysis.simulation(EVERYTHING, parse(record.text))

    cost = analysis.simulated_cost(simulation)
    assert isinstance(cost, Estimate)
    assert isinstance(simulation.saving, Estimate)
    assert cost.value == pytest.approx(float(simulation.baseline_usd) - simulation.saving.value)
    assert cost.low < cost.value < cost.high
    assert cost.high == pytest.approx(float(simulation.baseline_usd) - simulation.saving.low)


def test_same_question_gets_the_same_answer(store: Store) -> None:
    """Two readers of one page see the same figures, to the digit."""
    record = store.current_policy()
    assert record is not None
    first = analysis.simulation(EVERYTHING, parse(record.text))
    analysis._simulation.clear()

    second = analysis.simulation(EVERYTHING, parse(record.text))

    assert first is not second
    assert first.saving == second.saving


def test_without_rules_routed_traffic_goes_back(store: Store) -> None:
    """Taking every rule out makes the traffic dearer, and the cost says so."""
    simulation = analysis.simulation(EVERYTHING, Policy(mode="enforce"))

    cost = analysis.simulated_cost(simulation)

    assert isinstance(cost, Estimate)
    assert cost.value > float(simulation.baseline_usd)


def test_verification_looks_at_the_rules_that_ran(store: Store) -> None:
    """Each rule of the policy is measured from when it was put in force."""
    (verified,) = analysis.verifications(EVERYTHING)

    assert verified.rule_id.startswith("ticket-triage-")
    assert verified.share == 0.9
