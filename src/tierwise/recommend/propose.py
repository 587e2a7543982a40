"""From stored calls and pairs to recommendations: one a use case, dearest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.portfolio import Selection
from tierwise.evidence.retention import Certificate, expected_pairs
from tierwise.recommend.ladder import Rung, compatibility, ladder, proposed
from tierwise.recommend.recommendation import (
    DECIDED,
    Alternative,
    Needed,
    Recommendation,
    State,
    recommendation_id,
)
from tierwise.recommend.slices import (
    CERTIFYING,
    Slice,
    Tried,
    certified_together,
    of_current_versions,
    slices,
    tried,
)
from tierwise.routing.policy import Policy, Rule, When, parse
from tierwise.savings.moves import Pricing
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.predict import predict
from tierwise.savings.simulate import RuleSimulation, Simulation, WhatIf, simulate
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from tierwise.store import Store

MOST_USE_CASES = 100
_MONTH_DAYS = 30.0
_MOST_PAIRS = 100_000
"""A forecast of more pairs than this is not a plan."""
_MOST_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A slice and the model to propose for it."""

    slice: Slice
    target: str
    rungs: list[Rung]
    tried: list[Tried]
    """Every model that has been tried, the target among them or not."""

    @property
    def id(self) -> str:
        return recommendation_id(self.slice.scope, self.target)

    @property
    def leading(self) -> Tried | None:
        """The model whose pairs take part in certifying the policy, proposed or not: were they taken out when they show
        that their model is too weak, the order of testing would depend on the test."""
        return self.evidence or (self.tried[0] if self.tried else None)

    @property
    def evidence(self) -> Tried | None:
        return next((item for item in self.tried if item.target == self.target), None)


def recommend(
    store: Store,
    *,
    rho: float = 0.95,
    alpha: float = 0.05,
    floor: float = 0.85,
    horizon_days: float = 30.0,
    now: datetime,
    seed: int = 0,
) -> list[Recommendation]:
    """What could run on a cheaper model, the dearest use case first, and what is known about it.

    At most one recommendation a use case and requested model. Those that a person decided about keep their state, and
    enforced ones the content that was approved. Nothing is written: see `actions.refresh()`.

    Args:
        rho: share of the quality to keep.
        alpha: chance that the certified recommendations together keep less.
        floor: what each of them keeps at least.
        horizon_days: how far back calls count; pairs count from the beginning.
        now: aware; prices are those of this moment.
        seed: of every draw and split.
    """
    since = now - timedelta(days=horizon_days)
    traffic = read_traffic(store.query("savings_calls", since=since, until=now))
    scored = of_current_versions(read_pairs(store.query("pairs", until=now)))
    shadows = of_current_versions(read_pairs(store.query("shadows", until=now)))
    current = store.current_policy()
    policy = Policy() if current is None else parse(current.text)
    oldest_ns = int(traffic.start_ns.min(initial=int(now.timestamp() * 1e9)))
    window_days = max((now.timestamp() - oldest_ns / 1e9) / 86_400, 1 / 24)

    proposals: list[_Proposal] = []
    for item in slices(traffic, most=MOST_USE_CASES):
        proposal = _propose(item, scored, policy, rho=rho, alpha=alpha, seed=seed, now=now)
        if proposal is not None:
            proposals.append(proposal)
    selection = certified_together(
        [(recommendation_id(item.slice.scope, best.target), best) for item in proposals if (best := item.leading)],
        scored,
        rho=rho,
        alpha=alpha,
        floor=floor,
        seed=seed,
    )
    rules = tuple(_whole_rule(item) for item in proposals)
    simulation = simulate(
        Policy(mode="enforce", rules=rules),
        traffic,
        scored,
        as_of=now,
        seed=seed,
        shadows=shadows,
        what_if=WhatIf(pricing=Pricing(at_ns=int(now.timestamp() * 1e9))),
        window_days=window_days,
    )
    fresh = [
        _recommendation(
            item, rule, part, simulation, selection, shadows, policy, rho=rho, alpha=alpha, now=now, seed=seed
        )
        for item, rule, part in zip(proposals, rules, simulation.rules, strict=True)
    ]
    return _with_decisions(fresh, store.recommendations(), now=now)


def _propose(
    item: Slice, scored: Pairs, policy: Policy, *, rho: float, alpha: float, seed: int, now: datetime
) -> _Proposal | None:
    """The model to propose: the best that was tried, unless it is too weak, else the most promising that was not."""
    scope = item.scope
    wanted = policy.shadow.candidates.get(scope.request_model, ())
    rungs = ladder(item.traffic, scope.provider, scope.request_model, now=now, wanted=wanted)
    known = tried(scope, scored, rho=rho, alpha=alpha, seed=seed)
    best = next((model for model in known if not model.too_weak and model.cheaper), None)
    if best is not None:
        return _Proposal(item, best.target, rungs, known)
    untried = [rung for rung in rungs if all(rung.model != model.target for model in known)]
    being_tried = [rung for rung in untried if rung.model in wanted]
    rung = proposed(being_tried or untried, scope.provider, scope.request_model, now=now)
    return None if rung is None else _Proposal(item, rung.model, rungs, known)


def _whole_rule(proposal: _Proposal) -> Rule:
    """The rule that moves all of a proposal's calls."""
    scope = proposal.slice.scope
    when = When(use_case=(scope.use_case_id,), request_model=(scope.request_model,), provider=(scope.provider,))
    return Rule(proposal.id, "route", when, to=proposal.target)


def _recommendation(
    proposal: _Proposal,
    rule: Rule,
    part: RuleSimulation,
    simulation: Simulation,
    selection: Selection | None,
    shadows: Pairs,
    policy: Policy,
    *,
    rho: float,
    alpha: float,
    now: datetime,
    seed: int,
) -> Recommendation:
    item, scope, evidence = proposal.slice, proposal.slice.scope, proposal.evidence
    certified = selection is not None and proposal.id in selection.members
    state = _evidence_state(evidence, certified)
    months = _MONTH_DAYS / simulation.window_days if simulation.window_days >= 1.0 else None
    needed = _needed(proposal, policy, simulation.window_days, certified=certified, rho=rho, alpha=alpha)
    certificate: Certificate | NotEnoughData = NotEnoughData(0, 1, "pairs scored on both sides by the same evaluation")
    if evidence is not None:
        certificate = evidence.certificate
    prediction = NotEnoughData(0, ENOUGH, "scored pairs")
    if evidence is not None and evidence.n >= ENOUGH:
        prediction = predict(rule, item.traffic, shadows, as_of=now, seed=seed)
    return Recommendation(
        id=proposal.id,
        scope=scope,
        target=proposal.target,
        state=state,
        evidence_state=state,
        calls=len(item.traffic),
        spend_usd=item.spend_usd,
        window_days=simulation.window_days,
        window_saving=part.saving,
        monthly_calls=None if months is None else len(item.traffic) * months,
        monthly_spend_usd=None if months is None else item.spend_usd * Decimal(str(round(months, 6))),
        monthly_saving=_monthly(part.saving, months, simulation.window_days),
        saving_share=part.saving_share,
        evaluation_cost_usd=part.evaluation_cost_usd,
        certificate=certificate,
        policy_certificate=selection.retention if selection is not None and certified else None,
        needed=needed,
        latency=part.latency,
        compatibility=compatibility(item.traffic, scope.provider, scope.request_model, proposal.target, now=now),
        assumptions=(
            *(() if months is None else (f"a month is 30 days like the last {simulation.window_days:.3g}",)),
            *part.assumptions,
            "scores and token counts come from calls that can be shadowed, which leaves out calls with tools",
        ),
        missing=_missing(proposal, needed, selection, part.pairs, state),
        alternatives=_alternatives(proposal),
        pair_count=0 if evidence is None else evidence.n,
        evaluation=None if evidence is None else evidence.scored.evaluation,
        evaluation_source=None if evidence is None else evidence.scored.source,
        prediction=prediction,
        as_of=now,
        price_version=simulation.price_version,
    )


def _monthly(saving: Estimate | NotEnoughData, months: float | None, window_days: float) -> Estimate | NotEnoughData:
    if months is None:
        return NotEnoughData(int(window_days * 24), 24, "hours of traffic, to speak of a month")
    return saving.scaled(months) if isinstance(saving, Estimate) else saving


def _evidence_state(evidence: Tried | None, certified: bool) -> State:
    """A candidate has enough pairs to have an opinion, and keeps rho of the quality on the pairs seen so far."""
    if certified:
        return "certified"
    if evidence is None or evidence.n < ENOUGH or evidence.certificate.value is None:
        return "unproven"
    return "candidate" if evidence.certificate.value >= evidence.certificate.rho else "unproven"


def _needed(
    proposal: _Proposal, policy: Policy, window_days: float, *, certified: bool, rho: float, alpha: float
) -> Needed:
    item, evidence = proposal.slice, proposal.evidence
    if certified:
        pairs: int | None = 0
    elif evidence is None or evidence.n < ENOUGH:
        at_equal_quality = expected_pairs(1.0, rho=rho, alpha=alpha)
        have = 0 if evidence is None else evidence.n
        pairs = None if at_equal_quality is None else max(at_equal_quality - have, ENOUGH - have)
    else:
        pairs = evidence.certificate.pairs_needed
        if pairs is not None and pairs > _MOST_PAIRS:
            pairs = None
    candidates = policy.shadow.candidates.get(item.scope.request_model, ())
    sample = policy.shadow.sample / len(candidates) if proposal.target in candidates else 0.0
    calls_a_day = len(item.traffic) / window_days
    price_ratio = next((rung.price_ratio for rung in proposal.rungs if rung.model == proposal.target), None)
    cost_usd = None
    if pairs is not None and price_ratio is not None:
        per_call = item.spend_usd / max(int(item.traffic.priced.sum()), 1)
        cost_usd = (per_call * pairs * Decimal(str(price_ratio))).quantize(Decimal("1e-6"))
    days = pairs / (calls_a_day * sample) if pairs is not None and sample > 0.0 else None
    return Needed(pairs, cost_usd, days, sample)


def _missing(
    proposal: _Proposal, needed: Needed, selection: Selection | None, shadow_calls: int, state: State
) -> tuple[str, ...]:
    """What keeps a recommendation from being certified, in words."""
    if state == "certified":
        return ()
    scope, evidence = proposal.slice.scope, proposal.evidence
    lines: list[str] = []
    scored = 0 if evidence is None else evidence.n
    if needed.pairs is None:
        value = None if evidence is None else evidence.certificate.value
        lines.append(
            "at the quality seen so far it will not be certified"
            if value is None
            else f"at the quality seen so far, {value:.1%} kept, it will not be certified"
        )
    elif needed.pairs:
        rate = "at equal quality" if scored < ENOUGH else "at the rates seen so far"
        lines.append(f"about {needed.pairs:,} more scored pairs, {rate}")
    if needed.sample == 0.0:
        lines.append(
            f"no call is shadowed by {proposal.target}: name it in the policy's [shadow.candidates] for "
            f"{scope.request_model}"
        )
    if shadow_calls > scored:
        lines.append(
            f"{shadow_calls - scored:,} of {shadow_calls:,} shadowed calls have no score for both answers: register a "
            f'check with @tierwise.check("{scope.label}")'
        )
    if evidence is not None and evidence.scored.source == "structural":
        lines.append("only structural checks so far, which see a part of the errors: a check or people must score")
    elif evidence is not None and evidence.scored.source not in CERTIFYING:
        lines.append("a judge is not trusted alone: people must score some of the pairs too")
    if selection is not None and proposal.id in selection.rejected and not lines:
        lines.append(selection.rejected[proposal.id])
    return tuple(lines)


def _alternatives(proposal: _Proposal) -> tuple[Alternative, ...]:
    ratios = {rung.model: rung.price_ratio for rung in proposal.rungs}
    found: list[Alternative] = []
    for model in proposal.tried:
        if model.target != proposal.target:
            why = (
                f"too weak: {model.certificate.describe()}"
                if model.too_weak
                else ("saves less" if model.cheaper else "costs no less")
            )
            found.append(Alternative(model.target, ratios.get(model.target), model.n, model.certificate, why))
    known = {proposal.target, *(item.target for item in found)}
    for rung in proposal.rungs:
        if rung.model not in known and len(found) < _MOST_ALTERNATIVES:
            unseen = NotEnoughData(0, 1, "pairs scored on both sides by the same evaluation")
            found.append(Alternative(rung.model, rung.price_ratio, 0, unseen, "not tried"))
    return tuple(found)


def _with_decisions(
    fresh: Sequence[Recommendation], stored: Sequence[Mapping[str, Any]], *, now: datetime
) -> list[Recommendation]:
    """What people decided, put over what evidence says now."""
    decided = {
        str(item["id"]): replace(Recommendation.from_dict(item), state=item["state"])
        for item in stored
        if item["state"] in DECIDED
    }
    enforced = {item.id: item for item in decided.values() if item.state == "enforced"}
    taken = {item.scope.key for item in enforced.values()}
    merged = list(enforced.values())
    for item in fresh:
        before = decided.get(item.id)
        if item.scope.key in taken:
            continue
        if before is not None and not _awake(before, now):
            item = replace(item, state=before.state, snoozed_until=before.snoozed_until, decided_why=before.decided_why)
        merged.append(item)
    return sorted(merged, key=lambda item: (-item.spend_usd, item.id))


def _awake(item: Recommendation, now: datetime) -> bool:
    """Whether a snooze is over."""
    return item.state == "snoozed" and item.snoozed_until is not None and item.snoozed_until <= now
