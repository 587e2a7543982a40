"""From stored calls and pairs to recommendations: one a use case, each with all that is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tierwise import prices
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.portfolio import Selection
from tierwise.evidence.power import Plan, plan
from tierwise.evidence.retention import Certificate
from tierwise.recommend.ladder import Rung, compatibility, ladder, models_to_try, proposed, tokens_of
from tierwise.recommend.recommendation import (
    DECIDED,
    Alternative,
    Needed,
    Recommendation,
    State,
    TokenUse,
    recommendation_id,
)
from tierwise.recommend.slices import (
    CERTIFYING,
    PairIndex,
    Slice,
    Tried,
    certified_together,
    of_current_versions,
    slices,
    tried,
)
from tierwise.recommend.timing import expires_at, why_now
from tierwise.routing.policy import Policy, parse
from tierwise.savings.assumptions import assumptions_of
from tierwise.savings.cells import read_cells
from tierwise.savings.evaluation_cost import ScoringPrices, evaluation_cost
from tierwise.savings.latency import latency_change
from tierwise.savings.moves import Pricing
from tierwise.savings.outcome import Outcome
from tierwise.savings.pairs import read_pairs
from tierwise.savings.predict import Prediction, prediction
from tierwise.savings.ratios import TokenRatios
from tierwise.savings.relocation import relocate
from tierwise.savings.simulate import shifted
from tierwise.savings.traffic import Traffic

if TYPE_CHECKING:
    from tierwise.store import Store

MOST_USE_CASES = 5_000
_MONTH_DAYS = 30.0
_MOST_ALTERNATIVES = 5
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class _View:
    """What every recommendation is worked out from."""

    now: datetime
    since: datetime
    window_days: float
    policy: Policy
    shadows: PairIndex
    scored: PairIndex
    scoring: ScoringPrices
    rho: float
    alpha: float
    seed: int


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
    scoring: ScoringPrices | None = None,
) -> list[Recommendation]:
    """What could run on a cheaper model and what is known about it: certified first, then by net saving.

    At most one recommendation a use case and requested model, for the dearest `MOST_USE_CASES` of them. Those that a
    person decided about keep their state, and enforced ones the content that was approved. Nothing is written: see
    `actions.refresh()`.

    Args:
        rho: share of the quality to keep.
        alpha: chance that the certified recommendations together keep less.
        floor: what each of them keeps at least.
        horizon_days: how far back calls count; pairs count from the beginning.
        now: aware; prices are those of this moment.
        seed: of every draw and split.
        scoring: what judging and reviewing a pair costs.
    """
    since = now - timedelta(days=horizon_days)
    cells = read_cells(store, since=since, until=now)
    traffic = cells.traffic
    scored = of_current_versions(read_pairs(store.query("pairs", until=now)))
    shadows = of_current_versions(read_pairs(store.query("shadows", until=now))).distinct()
    current = store.current_policy()
    policy = Policy() if current is None else parse(current.text)
    now_s = now.timestamp()
    oldest_s = now_s if cells.oldest_ns is None else cells.oldest_ns / 1e9
    known = PairIndex(scored)
    view = _View(
        now=now,
        since=since,
        window_days=max((now_s - oldest_s) / 86_400, 1 / 24),
        policy=policy,
        shadows=PairIndex(shadows),
        scored=known,
        scoring=scoring or ScoringPrices(),
        rho=rho,
        alpha=alpha,
        seed=seed,
    )
    proposals: list[_Proposal] = []
    for item in slices(traffic, most=MOST_USE_CASES):
        proposal = _propose(item, view)
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
    groups = [(item.slice.rows, item.target) for item in proposals]
    outcome = relocate(traffic, groups, shadows, now=now, seed=seed, level=_LEVEL)
    fresh = [_recommendation(item, place, outcome, traffic, selection, view) for place, item in enumerate(proposals)]
    return _with_decisions(fresh, store.recommendations(), now=now)


def _propose(item: Slice, view: _View) -> _Proposal | None:
    """The model to propose: the best that was tried, unless it is too weak, else the most promising that was not."""
    scope = item.scope
    wanted = view.policy.shadow.candidates.get(scope.request_model, ())
    rungs = ladder(tokens_of(item.traffic), scope.provider, scope.request_model, now=view.now, wanted=wanted)
    models = tried(scope, view.scored, rho=view.rho, alpha=view.alpha, seed=view.seed)
    best = next((model for model in models if not model.too_weak and model.cheaper), None)
    if best is not None:
        return _Proposal(item, best.target, rungs, models)
    untried = [rung for rung in rungs if all(rung.model != model.target for model in models)]
    being_tried = [rung for rung in untried if rung.model in wanted]
    rung = proposed(being_tried or untried, scope.provider, scope.request_model, now=view.now)
    return None if rung is None else _Proposal(item, rung.model, rungs, models)


def _recommendation(
    proposal: _Proposal,
    place: int,
    outcome: Outcome,
    traffic: Traffic,
    selection: Selection | None,
    view: _View,
) -> Recommendation:
    item, scope, evidence, now = proposal.slice, proposal.slice.scope, proposal.evidence, view.now
    certified = selection is not None and proposal.id in selection.members
    months = _MONTH_DAYS / view.window_days if view.window_days >= 1.0 else None
    shadowed = view.shadows.between(scope, proposal.target)
    spent = evaluation_cost(
        shadowed,
        view.scored.between(scope, proposal.target),
        view.scoring,
        since_ns=int(view.since.timestamp() * 1e9),
    )
    saving = outcome.saving(place, item.rows)
    state = _evidence_state(evidence, saving, certified=certified)
    needed = _needed(proposal, view, certified=certified)
    certificate: Certificate | NotEnoughData = NotEnoughData(0, 1, "pairs scored on both sides by the same evaluation")
    if evidence is not None:
        certificate = evidence.certificate
    predicted: Prediction | NotEnoughData = NotEnoughData(0, ENOUGH, "scored pairs")
    if evidence is not None and evidence.n >= ENOUGH:
        predicted = prediction(outcome, traffic, shadowed, as_of=now, rule=place, from_model=scope.request_model)
    moved = [outcome.plan[number] for number in outcome.of_rule(place)]
    direct = next((move for move in moved if move.from_model == scope.request_model), None)
    pricing = Pricing(at_ns=int(now.timestamp() * 1e9))
    return Recommendation(
        id=proposal.id,
        scope=scope,
        target=proposal.target,
        state=state,
        evidence_state=state,
        calls=item.calls,
        spend_usd=item.spend_usd,
        window_days=view.window_days,
        window_saving=saving,
        monthly_calls=None if months is None else item.calls * months,
        monthly_spend_usd=None if months is None else item.spend_usd * Decimal(str(round(months, 6))),
        monthly_saving=_monthly(saving, months, view.window_days),
        saving_share=outcome.saving_share(place, item.rows),
        evaluation_cost_usd=spent.usd,
        certificate=certificate,
        policy_certificate=selection.retention if selection is not None and certified else None,
        needed=needed,
        latency=latency_change(shadowed, seed=view.seed, level=_LEVEL),
        compatibility=compatibility(item.traffic, scope.provider, scope.request_model, proposal.target, now=now),
        assumptions=(
            *(() if months is None else (f"a month is 30 days like the last {view.window_days:.3g}",)),
            *assumptions_of((), moved, pricing),
            "scores and token counts come from calls that can be shadowed, which leaves out calls with tools",
            *spent.uncounted,
        ),
        missing=(
            *_missing(proposal, needed, selection, len(shadowed), state),
            *((f"the saving is not known: {saving.describe()}",) if isinstance(saving, NotEnoughData) else ()),
        ),
        alternatives=_alternatives(proposal),
        pair_count=0 if evidence is None else evidence.n,
        evaluation=None if evidence is None else evidence.scored.evaluation,
        evaluation_source=None if evidence is None else evidence.scored.source,
        prediction=predicted,
        as_of=now,
        price_version=prices.price_version(),
        since=view.since,
        net_saving=shifted(saving, -float(spent.usd)),
        priced_share=item.traffic.count(item.traffic.priced) / item.calls,
        candidates=len(models_to_try(scope.provider, scope.request_model, now=now)),
        tokens=None if direct is None else _token_use(direct.ratios),
        why_now=why_now(scope, proposal.target, state, since=view.since, now=now),
        expires_at=expires_at(scope, proposal.target, now=now),
    )


def _token_use(ratios: TokenRatios) -> TokenUse:
    return TokenUse(ratios.input, ratios.output_slope, ratios.output_per_call, ratios.pairs, ratios.pairs_in_all)


def _monthly(saving: Estimate | NotEnoughData, months: float | None, window_days: float) -> Estimate | NotEnoughData:
    if months is None:
        return NotEnoughData(int(window_days * 24), 24, "hours of traffic, to speak of a month")
    return saving.scaled(months) if isinstance(saving, Estimate) else saving


def _evidence_state(evidence: Tried | None, saving: Estimate | NotEnoughData, *, certified: bool) -> State:
    """A candidate has enough pairs to have an opinion, keeps rho of the quality on the pairs seen so far, and saves."""
    if certified:
        return "certified"
    if isinstance(saving, NotEnoughData):
        return "unproven"
    if evidence is None or evidence.n < ENOUGH or evidence.certificate.value is None:
        return "unproven"
    return "candidate" if evidence.certificate.value >= evidence.certificate.rho else "unproven"


def _needed(proposal: _Proposal, view: _View, *, certified: bool) -> Needed:
    """The plan that certifies it, at the present traffic and sampling rate."""
    item, evidence = proposal.slice, proposal.evidence
    candidates = view.policy.shadow.candidates.get(item.scope.request_model, ())
    sample = view.policy.shadow.sample / len(candidates) if proposal.target in candidates else 0.0
    if certified:
        return Needed(0, Decimal(0), 0.0, sample)
    if evidence is None or not len(evidence.rows):
        forecast = _at_equal_quality(view.rho, view.alpha)
    else:
        pairs, rows = view.scored.pairs, evidence.rows
        forecast = plan(
            pairs.weak_score[rows],
            pairs.strong_score[rows],
            rho=view.rho,
            alpha=view.alpha,
            weight=pairs.weight[rows],
            cluster=pairs.block[rows],
            calls_per_day=0.0,
            sample=0.0,
            usd_per_pair=None,
            seed=view.seed,
        )
    more = forecast.pairs
    if isinstance(more, NotEnoughData):
        return Needed(None, None, None, sample, chance=forecast.chance)
    price_ratio = next((rung.price_ratio for rung in proposal.rungs if rung.model == proposal.target), None)
    cost_usd = None
    if price_ratio is not None:
        per_call = item.spend_usd / max(item.traffic.count(item.traffic.priced), 1)
        cost_usd = (per_call * int(more.value) * Decimal(str(price_ratio))).quantize(Decimal("1e-6"))
    a_day = item.calls / view.window_days * sample
    return Needed(
        pairs=int(more.value),
        cost_usd=cost_usd,
        days=more.value / a_day if a_day > 0.0 else None,
        sample=sample,
        pairs_low=int(more.low),
        pairs_high=int(more.high) if math.isfinite(more.high) else None,
        chance=forecast.chance,
    )


@lru_cache(maxsize=16)
def _at_equal_quality(rho: float, alpha: float) -> Plan:
    """What certification takes before any pair has been scored."""
    return plan([], [], rho=rho, alpha=alpha, calls_per_day=0.0, sample=0.0, usd_per_pair=None, seed=0)


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
        most = "no end" if needed.pairs_high is None else f"{needed.pairs_high:,}"
        span = "" if needed.pairs_low is None else f" ({needed.pairs_low:,} to {most})"
        lines.append(f"about {needed.pairs:,} more scored pairs{span}, {rate}")
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
    return sorted(merged, key=_rank)


def _rank(item: Recommendation) -> tuple[bool, float, Decimal, str]:
    """Certified ones first, by what they surely save net of evaluation; then the others by the same."""
    surely = item.net_saving.low if isinstance(item.net_saving, Estimate) else 0.0
    return item.evidence_state != "certified", -surely, -item.spend_usd, item.id


def _awake(item: Recommendation, now: datetime) -> bool:
    """Whether a snooze is over."""
    return item.state == "snoozed" and item.snoozed_until is not None and item.snoozed_until <= now
