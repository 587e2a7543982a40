from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.assignment import assign
from tierwise.savings.assumptions import assumptions_of
from tierwise.savings.moves import Pricing, moves
from tierwise.savings.pairs import read_pairs
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def lines(worlds: Worlds, pricing: Pricing, *, use_cases: int = 1, **rule: object) -> tuple[str, ...]:
    world = worlds.make(1, use_cases=use_cases)
    traffic = read_traffic(world.calls)
    policy = Policy(mode="enforce", rules=(Rule("r", "route", to=worlds.WEAK, **rule),))  # pyright: ignore[reportArgumentType]
    plan = moves(
        traffic,
        assign(policy, traffic),
        read_pairs(world.pairs),
        pricing=pricing,
        draws=10,
        rng=np.random.default_rng(1),
    )
    return assumptions_of(policy.rules, plan, pricing)


def test_only_what_applies_is_assumed(worlds: Worlds) -> None:
    """Cache, share and size limits are mentioned when they matter, and not otherwise."""
    plain = " ".join(lines(worlds, Pricing(cache_kept=1.0)))
    full = " ".join(lines(worlds, Pricing(cache_kept=0.4), share=0.5, when=When(max_input_tokens=5000)))

    assert not any(word in plain for word in ("prompt cache", "expectation", "size limits"))
    assert all(word in full for word in ("40% of the rest", "expectation", "size limits"))


def test_the_date_of_the_prices_is_told(worlds: Worlds) -> None:
    """Prices of each call's own time, or those of a day."""
    at_ns = int(worlds.AS_OF.timestamp() * 1e9)

    assert "every call at the prices of its own time" in lines(worlds, Pricing())
    assert "every call at the prices of 2026-11-20" in lines(worlds, Pricing(at_ns=at_ns))


def test_many_measured_ratios_are_summed_up(worlds: Worlds) -> None:
    """A rule over many use cases says between what its ratios lie, in one line."""
    found = lines(worlds, Pricing(), use_cases=6)

    assert sum("output tokens" in line for line in found) == 1
    assert "in 6 groups" in found[0] or "in 5 groups" in found[0]


def test_nothing_moved_assumes_nothing() -> None:
    """Without moves there is nothing to assume."""
    assert assumptions_of((), (), Pricing()) == ()
