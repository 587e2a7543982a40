"""What a policy would have cost, saved and risked on stored traffic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from tierwise import prices
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.routing.policy import Policy
from tierwise.savings.assignment import Assignment, Match, assign, match, scope_of
from tierwise.savings.assumptions import assumptions_of
from tierwise.savings.evaluation_cost import ScoringPrices, evaluation_cost
from tierwise.savings.follow_up import (
    FollowUp,
    StrongShare,
    follow_up_of,
    followed,
    strong_share,
    with_verdicts,
)
from tierwise.savings.latency import LatencyChange, latency_change
from tierwise.savings.moves import Move, Pricing, moves
from tierwise.savings.outcome import Outcome, unpriceable
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.quality import Scored, certificate, scored_pairs
from tierwise.savings.traffic import Flags, Traffic, read_traffic

_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Knobs of a simulation; the defaults change nothing."""

    share_multiplier: float = 1.0
    """Every rule's share times this, at most 1."""
    quality_floor: float | None = None
    """Leave out rules whose certified lower bound on retention is below this; rules without pairs too."""
    pricing: Pricing = field(default_factory=Pricing)
    scoring: ScoringPrices = field(default_factory=ScoringPrices)
    """What judging and reviewing a pair costs."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the traffic the figures speak of; shares in [0, 1], None without calls or spend."""

    calls: int
    priced_share: float | None
    """Of calls."""
    classified_share: float | None
    """Of spend, with a known task type."""
    in_scope_share: float | None
    """Of spend, matched by a rule."""
    unpriceable_share: float | None
    """Of spend in scope: the target has no price for the call, so it is left where it is."""


@dataclass(frozen=True, slots=True)
class RuleSimulation:
    """One rule's part."""

    rule_id: str
    target: str | None
    calls: int
    """Calls that the rule decides about."""
    moved_calls: float
    """Expected number of them that go elsewhere than they went."""
    baseline_usd: Decimal
    """What those calls were billed."""
    saving: Estimate | NotEnoughData
    """USD over the window, before the cost of evaluation."""
    saving_share: Estimate | NotEnoughData
    """The same as a share of what the rule's calls cost."""
    evaluation_cost_usd: Decimal
    """What this rule's evidence in the window cost."""
    certificate: Certificate | NotEnoughData
    latency: LatencyChange | NotEnoughData
    pairs: int
    """Shadow calls to the target, scored or not."""
    evaluation: str | None
    """Name of the evaluation whose scores count."""
    evaluation_source: str | None
    strong_share: float | None
    """Of a cascade or speculative rule: how much of the requested model's cost is paid beside its first model's."""
    left_out: str | None
    """Why the rule takes no part; None when it does."""
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """A policy on the traffic of a window, against what was billed."""

    baseline_usd: Decimal
    """As billed, exact; priced calls only."""
    simulated_usd: Decimal | None
    """The baseline without the saving: the baseline to the last digit when no call moves, None without an estimate."""
    saving: Estimate | NotEnoughData
    """USD over the window, before the cost of evaluation."""
    saving_share: Estimate | NotEnoughData
    """The same as a share of the baseline."""
    net_saving: Estimate | NotEnoughData
    """USD over the window, after `evaluation_cost_usd`."""
    evaluation_cost_usd: Decimal
    """Shadow calls in the window, and scoring them where its price is given."""
    payback_days: float | None
    """Days of saving that pay for all evidence so far; None when nothing is saved."""
    window_days: float
    rules: tuple[RuleSimulation, ...]
    coverage: Coverage
    assumptions: tuple[str, ...]
    as_of: datetime
    price_version: str
    seed: int
    draws: int


def simulate(
    policy: Policy,
    calls: pa.Table | Traffic,
    pairs: pa.Table | Pairs,
    *,
    as_of: datetime,
    seed: int,
    shadows: pa.Table | Pairs | None = None,
    draws: int = 1000,
    level: float = 0.95,
    what_if: WhatIf | None = None,
    window_days: float | None = None,
) -> Simulation:
    """`policy` on stored traffic.

    A policy without rules, or off, gives back the logged cost of unrouted traffic to the last digit, and so does the
    policy under which routed traffic was logged (size limits excepted: they look at billed tokens here, at an estimate
    in the app). Intervals are a block bootstrap: conversations are drawn again for the cost of calls and, at the same
    time, pairs for the token ratios.

    Args:
        calls: rows of the named query `calls`.
        pairs: rows of the named query `pairs`.
        as_of: aware; calls and pairs that begin later are left out.
        seed: of every draw.
        shadows: rows of the named query `shadows`, for token ratios and latency; the pairs when None.
        window_days: the span of the traffic; from its first call to `as_of` when None.
    """
    what_if = what_if or WhatIf()
    as_of_ns = int(as_of.timestamp() * 1e9)
    traffic = calls if isinstance(calls, Traffic) else read_traffic(calls)
    traffic = traffic.take(traffic.start_ns <= as_of_ns)
    first_ns = int(traffic.start_ns.min(initial=as_of_ns))
    if window_days is None:
        window_days = max((as_of_ns - first_ns) / _DAY_NS, 1 / 24)
    scored = _until(as_of_ns, pairs)
    measured = (scored if shadows is None else _until(as_of_ns, shadows)).distinct()
    rng = np.random.default_rng(seed)
    evidence = _evidence(policy, scored, measured, first_ns, what_if.scoring, draws=draws, rng=rng)
    left_out = [_left_out(rule, what_if.quality_floor) for rule in evidence]
    changed = replace(
        policy,
        rules=tuple(
            replace(rule, enabled=rule.enabled and why is None, share=min(1.0, rule.share * what_if.share_multiplier))
            for rule, why in zip(policy.rules, left_out, strict=True)
        ),
    )

    assignment = assign(changed, traffic)
    beside = {place: it.beside for place, it in enumerate(evidence) if isinstance(it.beside, StrongShare)}
    plan = moves(traffic, assignment, measured, pricing=what_if.pricing, draws=draws, rng=rng, beside=beside)
    outcome = Outcome(traffic, plan, what_if.pricing, draws=draws, level=level, rng=rng)
    saving = outcome.saving()
    spent = evaluation_cost(measured, scored, what_if.scoring, since_ns=first_ns)
    decided = [(assignment.rule == place).nonzero()[0] for place in range(len(policy.rules))]
    return Simulation(
        baseline_usd=outcome.baseline_usd,
        simulated_usd=None if isinstance(saving, NotEnoughData) else outcome.baseline_usd - outcome.exact_saving(),
        saving=saving,
        saving_share=outcome.saving_share(),
        net_saving=shifted(saving, -float(spent.usd)),
        evaluation_cost_usd=spent.usd,
        payback_days=_payback_days(saving, evaluation_cost(measured, scored, what_if.scoring).usd, window_days),
        window_days=window_days,
        rules=tuple(
            RuleSimulation(
                rule_id=rule.id,
                target=rule.to,
                calls=traffic.count(decided[place]),
                moved_calls=sum((move.expected_calls(traffic) for move in plan if move.rule == place), 0.0),
                baseline_usd=traffic.total_usd(decided[place]),
                saving=outcome.saving(place, decided[place]),
                saving_share=outcome.saving_share(place, decided[place]),
                evaluation_cost_usd=evidence[place].cost_usd,
                certificate=evidence[place].certificate,
                latency=latency_change(evidence[place].answers, seed=seed, level=level),
                pairs=len(evidence[place].shadows),
                evaluation=None if (proof := evidence[place].scored) is None else proof.evaluation,
                evaluation_source=None if proof is None else proof.source,
                strong_share=None if (share := beside.get(place)) is None else share.value,
                left_out=left_out[place] or ("it is disabled" if not rule.enabled else None),
                assumptions=assumptions_of([rule], [move for move in plan if move.rule == place], what_if.pricing),
            )
            for place, rule in enumerate(policy.rules)
        ),
        coverage=_coverage(traffic, assignment, plan),
        assumptions=(*assumptions_of(changed.rules, plan, what_if.pricing), *spent.uncounted),
        as_of=as_of,
        price_version=prices.price_version(),
        seed=seed,
        draws=draws,
    )


def _until(as_of_ns: int, pairs: pa.Table | Pairs) -> Pairs:
    read = pairs if isinstance(pairs, Pairs) else read_pairs(pairs)
    return read.take(read.start_ns <= as_of_ns)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What pairs say about one rule."""

    shadows: Pairs
    answers: Pairs
    """The same with what the caller would have got in place of the first model's answer."""
    scored: Scored | None
    certificate: Certificate | NotEnoughData
    cost_usd: Decimal
    beside: StrongShare | NotEnoughData | str | None
    """None where only one model is asked; in words, why pairs cannot say."""


def _evidence(
    policy: Policy,
    scored: Pairs,
    shadows: Pairs,
    first_ns: int,
    scoring: ScoringPrices,
    *,
    draws: int,
    rng: np.random.Generator,
) -> list[_Evidence]:
    of_scored, of_shadows = match(policy, scope_of(scored)), match(policy, scope_of(shadows))
    found: list[_Evidence] = []
    for place, rule in enumerate(policy.rules):
        to_target = scored.take(_to_target(of_scored, scored, place))
        own_shadows = shadows.take(_to_target(of_shadows, shadows, place))
        spent = evaluation_cost(own_shadows, to_target, scoring, since_ns=first_ns)
        beside = follow_up_of(rule)
        answers = own_shadows
        if isinstance(beside, FollowUp):
            to_target, answers = (followed(with_verdicts(each, beside), beside) for each in (to_target, own_shadows))
            beside = strong_share(own_shadows, beside, draws=draws, rng=rng)
        proof = scored_pairs(to_target)
        found.append(_Evidence(own_shadows, answers, proof, certificate(proof), spent.usd, beside))
    return found


def _to_target(matched: Match, pairs: Pairs, place: int) -> Flags:
    return (matched.rule == place) & matched.target.same_as(pairs.weak_model)


def _left_out(evidence: _Evidence, quality_floor: float | None) -> str | None:
    if isinstance(evidence.beside, str):
        return evidence.beside
    if isinstance(evidence.beside, NotEnoughData):
        return evidence.beside.describe()
    if quality_floor is None:
        return None
    proof = evidence.certificate
    if isinstance(proof, NotEnoughData):
        return f"no scored pairs, and the quality floor is {quality_floor:.0%}"
    if proof.low < quality_floor:
        return f"retention is certified to {proof.low:.1%}, below the quality floor of {quality_floor:.0%}"
    return None


def shifted(estimate: Estimate | NotEnoughData, by: float) -> Estimate | NotEnoughData:
    """The estimate plus a known amount."""
    if isinstance(estimate, NotEnoughData):
        return estimate
    return replace(estimate, value=estimate.value + by, low=estimate.low + by, high=estimate.high + by)


def _payback_days(saving: Estimate | NotEnoughData, spent: Decimal, window_days: float) -> float | None:
    if isinstance(saving, NotEnoughData) or saving.value <= 0.0:
        return None
    return float(spent) / (saving.value / window_days)


def _coverage(traffic: Traffic, assignment: Assignment, plan: list[Move]) -> Coverage:
    cost = np.nan_to_num(traffic.cost)
    spend, in_scope = float(cost.sum()), assignment.rule >= 0
    scope_spend = float(cost[in_scope].sum())
    classified = ~(traffic.task_type.equal("unknown") | traffic.task_type.equal(None))

    def share(part: float, whole: float) -> float | None:
        return part / whole if whole > 0.0 else None

    return Coverage(
        calls=traffic.count(),
        priced_share=share(float(traffic.count(traffic.priced)), float(traffic.count())),
        classified_share=share(float(cost[classified].sum()), spend),
        in_scope_share=share(scope_spend, spend),
        unpriceable_share=share(float(cost[unpriceable(plan, len(traffic))].sum()), scope_spend),
    )
