from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.price_overrides import Rates
from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.moves import Pricing
from tierwise.savings.simulate import Simulation, WhatIf, simulate

if TYPE_CHECKING:
    from conftest import World, Worlds


def run(worlds: Worlds, world: World, policy: Policy, calls: pa.Table | None = None, **options: Any) -> Simulation:
    return simulate(
        policy,
        world.calls if calls is None else calls,
        world.pairs,
        as_of=worlds.AS_OF,
        **dict[str, Any](seed=1, draws=200) | options,
    )


def whole(worlds: Worlds, **fields: Any) -> Policy:
    return Policy(mode="enforce", rules=(Rule("r", "route", **dict[str, Any](to=worlds.WEAK) | fields),))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    mode=st.sampled_from(["off", "shadow", "enforce"]),
    rules=st.integers(0, 2),
    conversations=st.integers(1, 60),
)
def test_a_policy_that_does_nothing_gives_back_the_logged_cost(
    worlds: Worlds, seed: int, mode: Any, rules: int, conversations: int
) -> None:
    """Without rules, with rules that match nothing, or off, the simulated cost is the billed one to the last digit."""
    world = worlds.make(seed, conversations=conversations)
    elsewhere = [Rule(f"r{n}", "route", When(use_case=("uc_other",)), to=worlds.WEAK) for n in range(rules)]
    everything = Rule("all", "route", to=worlds.WEAK)

    result = run(worlds, world, Policy(mode=mode, rules=(*elsewhere, *([everything] if mode == "off" else []))))

    billed = sum(world.calls["cost_usd"].to_pylist(), Decimal(0))
    assert result.baseline_usd == result.simulated_usd == billed
    assert isinstance(result.saving, Estimate)
    assert (result.saving.value, result.saving.low, result.saving.high) == (0, 0, 0)
    assert result.assumptions == ()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.01, 1.0),
    holdout=st.floats(0.0, 0.5),
    conversations=st.integers(1, 60),
)
def test_the_logging_policy_gives_back_the_logged_cost(
    worlds: Worlds, seed: int, share: float, holdout: float, conversations: int
) -> None:
    """Simulating the policy under which calls were routed gives what they were billed, to the last digit."""
    world = worlds.make(seed, conversations=conversations)
    calls = worlds.route(world, rule_id="r", share=share, holdout=holdout, seed=seed)

    result = run(worlds, world, whole(worlds, share=share, holdout=holdout), calls)

    assert result.baseline_usd == result.simulated_usd == sum(calls["cost_usd"].to_pylist(), Decimal(0))


def test_intervals_hold_the_truth_as_often_as_they_say(worlds: Worlds) -> None:
    """Over many worlds, the 95% interval of the saving holds the expected saving about 95 times in 100."""
    truth = worlds.make(1, conversations=40_000, pair_share=0.00001, weak_model=worlds.MIDDLE)
    per_conversation = truth.saved_per_call * len(truth.strong_pico) / 40_000
    runs, conversations = 100, 120

    held = 0
    for seed in range(runs):
        world = worlds.make(1000 + seed, conversations=conversations, pair_share=0.3, weak_model=worlds.MIDDLE)
        saving = run(worlds, world, whole(worlds, to=worlds.MIDDLE, share=0.5, holdout=0.1), seed=seed).saving
        assert isinstance(saving, Estimate)
        held += saving.low <= 0.45 * conversations * per_conversation <= saving.high

    # Three standard errors below 95%.
    assert held / runs > 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5


def test_the_same_seed_gives_the_same_answer(worlds: Worlds) -> None:
    """Nothing but the seed is random."""
    world = worlds.make(2, conversations=60)

    first, again, other = (run(worlds, world, whole(worlds), seed=seed) for seed in (7, 7, 8))

    assert first == again
    assert first.saving != other.saving


def test_rules_add_up_to_the_whole(worlds: Worlds) -> None:
    """Each rule's part is its own calls, and the parts add up."""
    world = worlds.make(3, use_cases=2)
    rules = tuple(Rule(f"r{n}", "route", When(use_case=(f"uc_{n}",)), to=worlds.WEAK) for n in range(2))

    result = run(worlds, world, Policy(mode="enforce", rules=rules))

    parts = [rule.saving.value for rule in result.rules if isinstance(rule.saving, Estimate)]
    assert isinstance(result.saving, Estimate)
    assert result.saving.value == pytest.approx(sum(parts))
    assert sum(rule.calls for rule in result.rules) == result.coverage.calls
    assert sum(rule.baseline_usd for rule in result.rules) == result.baseline_usd
    assert result.simulated_usd is not None
    assert float(result.baseline_usd - result.simulated_usd) == pytest.approx(result.saving.value, abs=1e-11)


def test_net_of_what_the_evidence_cost(worlds: Worlds) -> None:
    """The net saving is the gross one less the shadow calls in the window; how long they take to pay back is told."""
    world = worlds.make(4)

    result = run(worlds, world, whole(worlds), window_days=20.0)

    shadow_usd = sum(world.pairs["weak_cost_usd"].to_pylist(), Decimal(0))
    assert isinstance(result.saving, Estimate)
    assert isinstance(result.net_saving, Estimate)
    assert result.evaluation_cost_usd == shadow_usd
    assert result.net_saving.low == pytest.approx(result.saving.low - float(shadow_usd))
    assert result.payback_days == pytest.approx(float(shadow_usd) / (result.saving.value / 20))


def test_few_conversations_are_not_enough(worlds: Worlds) -> None:
    """Below 30 conversations there is no interval, so there is no number either."""
    result = run(worlds, worlds.make(5, conversations=20), whole(worlds))

    assert isinstance(result.saving, NotEnoughData)
    assert result.saving.n == 20
    assert result.simulated_usd is None
    assert result.payback_days is None


def test_without_pairs_the_interval_is_wide_and_says_why(worlds: Worlds) -> None:
    """Assumed token counts make a wider interval than measured ones, and stand among the assumptions."""
    world = worlds.make(6, weak_model=worlds.MIDDLE)
    policy = whole(worlds, to=worlds.MIDDLE)

    measured = run(worlds, world, policy)
    assumed = run(worlds, replace(world, pairs=world.pairs.slice(0, 5)), policy)

    assert isinstance(measured.saving, Estimate)
    assert isinstance(assumed.saving, Estimate)
    assert assumed.saving.high - assumed.saving.low > 2 * (measured.saving.high - measured.saving.low)
    assert any("assumed, not measured" in line for line in assumed.assumptions)
    assert not any("assumed, not measured" in line for line in measured.assumptions)


def test_a_larger_share_saves_more(worlds: Worlds) -> None:
    """The share multiplier multiplies shares, up to everything."""
    world, policy = worlds.make(7), whole(worlds, share=0.4)

    halved, tripled = (run(worlds, world, policy, what_if=WhatIf(share_multiplier=times)) for times in (0.5, 3.0))

    assert halved.rules[0].moved_calls == pytest.approx(0.2 * halved.coverage.calls)
    assert tripled.rules[0].moved_calls == pytest.approx(tripled.coverage.calls)


def test_the_quality_floor_leaves_rules_out(worlds: Worlds) -> None:
    """Rules whose certified retention is below the floor, and rules without pairs, take no part and say why."""
    world = worlds.make(8, use_cases=2, pair_share=0.6, conversations=400)
    only_first = world.pairs.filter(np.array(world.pairs["use_case_id"]) == "uc_0")
    rules = tuple(Rule(f"r{n}", "route", When(use_case=(f"uc_{n}",)), to=worlds.WEAK) for n in range(2))
    world, policy = replace(world, pairs=only_first), Policy(mode="enforce", rules=rules)

    low, high = (run(worlds, world, policy, what_if=WhatIf(quality_floor=floor)) for floor in (0.5, 0.999))

    assert low.rules[0].left_out is None
    assert "no scored pairs" in (low.rules[1].left_out or "")
    assert "below the quality floor" in (high.rules[0].left_out or "")
    assert high.simulated_usd == high.baseline_usd


def test_a_cold_cache_costs_savings(worlds: Worlds) -> None:
    """The less of the prompt cache the target has, the less is saved, and it is said."""
    world = worlds.make(9)
    cached = world.calls.append_column("cache_read_tokens", pa.array(world.columns["input_tokens"] // 2))

    cold, warm = (
        run(worlds, world, whole(worlds), cached, what_if=WhatIf(pricing=Pricing(cache_kept=kept))) for kept in (0, 1)
    )

    assert isinstance(cold.saving, Estimate)
    assert isinstance(warm.saving, Estimate)
    assert cold.saving.value < warm.saving.value
    assert any("prompt cache" in line for line in cold.assumptions)


def test_what_if_prices(worlds: Worlds) -> None:
    """A target that costs nothing saves all that its calls are billed; one that costs as much saves about nothing."""
    world = worlds.make(10, output_ratio=1.0)

    def saving(price: Rates) -> Simulation:
        pricing = Pricing(overrides={("anthropic", worlds.WEAK): price})
        return run(worlds, world, whole(worlds), what_if=WhatIf(pricing=pricing))

    free = saving(Rates(input=Decimal(0), output=Decimal(0)))
    same = saving(Rates(input=Decimal("0.000004"), output=Decimal("0.00002")))

    assert free.simulated_usd == pytest.approx(Decimal(0), abs=Decimal("1e-9"))
    assert isinstance(same.saving_share, Estimate)
    assert same.saving_share.low < 0.02
    assert abs(same.saving_share.value) < 0.1


def test_coverage_says_what_the_figures_leave_out(worlds: Worlds) -> None:
    """Unpriced calls, unclassified spend, spend under no rule and calls the target has no price for are told."""
    world = worlds.make(11, conversations=100, use_cases=2)
    n = len(world.calls)
    columns = {
        **world.columns,
        "task_type": ["unknown" if row % 2 else "extraction" for row in range(n)],
        "cost_usd": pa.array([None, *world.calls["cost_usd"].to_pylist()[1:]], pa.decimal128(18, 12)),
    }
    policy = whole(worlds, to="no-such-model", when=When(use_case=("uc_0",)))

    result = run(worlds, world, policy, pa.table(columns))

    assert result.coverage.priced_share == pytest.approx(1 - 1 / n)
    assert result.coverage.classified_share is not None
    assert 0.3 < result.coverage.classified_share < 0.7
    assert result.coverage.in_scope_share is not None
    assert 0.2 < result.coverage.in_scope_share < 0.8
    assert result.coverage.unpriceable_share == pytest.approx(1.0)
    assert isinstance(result.saving, NotEnoughData)


def test_an_empty_store_has_nothing_to_say(worlds: Worlds) -> None:
    """Without calls there are no shares and no numbers, and no error."""
    world = worlds.make(12, conversations=40)

    result = run(worlds, replace(world, pairs=world.pairs.slice(0, 0)), whole(worlds), world.calls.slice(0, 0))

    assert result.baseline_usd == 0
    assert result.coverage.priced_share is None
    assert isinstance(result.saving, NotEnoughData)
    assert isinstance(result.saving_share, NotEnoughData)
    assert isinstance(result.rules[0].saving, NotEnoughData)


def test_later_calls_and_pairs_are_left_out(worlds: Worlds) -> None:
    """A simulation as of an earlier moment does not see what came after."""
    world = worlds.make(13)
    middle = worlds.AS_OF - timedelta(days=10)

    early = simulate(whole(worlds), world.calls, world.pairs, as_of=middle, seed=1, draws=50)

    times = np.array([moment.as_py().tz_localize("UTC") <= middle for moment in world.calls["start_time"]])
    assert early.coverage.calls == times.sum() < len(world.calls)
    assert early.rules[0].pairs < len(world.pairs)


def test_a_disabled_rule_says_so(worlds: Worlds) -> None:
    """A disabled rule moves nothing and gives that as the reason."""
    result = run(worlds, worlds.make(14, conversations=40), whole(worlds, enabled=False))

    assert result.rules[0].left_out == "it is disabled"
    assert result.simulated_usd == result.baseline_usd


def with_verdicts(world: World, failed: float) -> pa.Table:
    """The pairs of `world` with this share of the cheap answers failing the schema check."""
    rng = np.random.default_rng(5)
    names = np.where(rng.random(len(world.pairs)) < failed, "schema", "").tolist()
    return world.pairs.append_column("weak_failed_checks", pa.array(names))


def test_a_cascade_pays_both_models_where_it_escalates(worlds: Worlds) -> None:
    """It saves less than a route by what the second answers cost, and keeps the quality of the answers it sends on."""
    world = worlds.make(30, conversations=400, pair_share=0.5, retention=0.7)
    pairs = with_verdicts(world, 0.3)
    cascade = Policy(mode="enforce", rules=(Rule("r", "cascade", to=worlds.WEAK),))

    found = simulate(cascade, world.calls, pairs, as_of=worlds.AS_OF, seed=1, draws=200)
    routed = simulate(whole(worlds), world.calls, pairs, as_of=worlds.AS_OF, seed=1, draws=200)

    (rule,) = found.rules
    assert rule.strong_share is not None
    assert rule.strong_share == pytest.approx(0.3, abs=0.05)
    assert isinstance(found.saving_share, Estimate)
    assert isinstance(routed.saving_share, Estimate)
    assert found.saving_share.value == pytest.approx(routed.saving_share.value - rule.strong_share, abs=1e-6)
    assert found.saving_share.high - found.saving_share.low > routed.saving_share.high - routed.saving_share.low
    assert not isinstance(rule.certificate, NotEnoughData)
    assert not isinstance(routed.rules[0].certificate, NotEnoughData)
    assert rule.certificate.value is not None
    assert routed.rules[0].certificate.value is not None
    assert rule.certificate.value > routed.rules[0].certificate.value + 0.05
    assert any("paid beside the cheaper one's" in line for line in rule.assumptions)


def test_a_cascade_without_verdicts_is_left_out(worlds: Worlds) -> None:
    """How often it would escalate is not known when no answer was checked, so there is no figure for it."""
    world = worlds.make(31, conversations=200, pair_share=0.5)
    cascade = Policy(mode="enforce", rules=(Rule("r", "cascade", to=worlds.WEAK),))

    found = run(worlds, world, cascade)

    assert found.rules[0].left_out == (
        "not enough data: 0 of 30 (conversations with shadow calls whose answers were checked)"
    )
    assert found.simulated_usd == found.baseline_usd


def test_a_speculative_rule_pays_for_impatience(worlds: Worlds) -> None:
    """Less patience costs more, and is never slower."""
    world = worlds.make(32, conversations=400, pair_share=0.5)
    pairs = with_verdicts(world, 0.0)

    def at(patience_s: float) -> Simulation:
        options = {"speculate": {"patience_s": patience_s}}
        policy = Policy(mode="enforce", rules=(Rule("r", "speculative", to=worlds.WEAK, options=options),))
        return simulate(policy, world.calls, pairs, as_of=worlds.AS_OF, seed=1, draws=200)

    hasty, patient = at(0.5), at(60.0)

    assert isinstance(hasty.saving, Estimate)
    assert isinstance(patient.saving, Estimate)
    assert hasty.saving.value < patient.saving.value
    assert hasty.rules[0].strong_share is not None
    assert patient.rules[0].strong_share == 0.0
    assert hasty.rules[0].strong_share > 0.0
    assert not isinstance(hasty.rules[0].latency, NotEnoughData)
    assert not isinstance(patient.rules[0].latency, NotEnoughData)
    assert hasty.rules[0].latency.weak_p95_s <= patient.rules[0].latency.weak_p95_s


def test_an_escalated_call_stays_as_it_was_logged(worlds: Worlds) -> None:
    """Simulating the cascade under which traffic was logged gives back what it cost, escalated calls and all."""
    world = worlds.make(33, conversations=100, pair_share=0.5)
    n = len(world.calls)
    logged = world.calls.append_column("rule_id", pa.array(["r"] * n))
    logged = logged.append_column("arm", pa.array(["treated"] * n)).append_column("propensity", pa.array([1.0] * n))
    logged = logged.append_column("decision", pa.array(["escalated"] * n))
    cascade = Policy(mode="enforce", rules=(Rule("r", "cascade", to=worlds.WEAK),))

    found = simulate(cascade, logged, with_verdicts(world, 0.3), as_of=worlds.AS_OF, seed=1, draws=200)

    assert found.simulated_usd == found.baseline_usd == sum(world.calls["cost_usd"].to_pylist(), Decimal(0))
