"""From stored calls and pairs to recommendations: one a use case, each with all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tierwise import prices
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.evidence.portfolio import Selection
from tierwise.evidence.retention import Certificate
from tierwise.recommend.judged_evidence import (
    ALPHA_SHARE,
    certified_by_people,
    in_words,
    read_judged,
    with_judged,
)
from tierwise.recommend.ladder import compatibility, ladder, models_to_try, proposed, tokens_of
from tierwise.recommend.proposal import Proposal, View, alternatives
from tierwise.recommend.recommendation import DECIDED, Recommendation, State, TokenUse
from tierwise.recommend.shortfall import missing, needed_for
from tierwise.recommend.slices import (
    CASCADE,
    STANDARD_CHECKS,
    PairIndex,
    Slice,
    Tried,
    certified_together,
    of_current_versions,
    slices,
    tried,
)
from tierwise.recommend.timing import expires_at, why_now
from tierwise.recommend.use_cases import read_use_cases
from tierwise.routing.policy import Policy, parse
from tierwise.savings.assumptions import assumptions_of
from tierwise.savings.cells import read_cells
from tierwise.savings.evaluation_cost import ScoringPrices, evaluation_cost
from tierwise.savings.follow_up import StrongShare, followed, strong_share, with_verdicts
from tierwise.savings.latency import latency_change
from tierwise.savings.moves import Pricing
from tierwise.savings.outcome import Outcome
from tierwise.savings.pairs import largest_weights, read_pairs
from tierwise.savings.predict import Prediction, prediction
from tierwise.savings.ratios import TokenRatios
from tierwise.savings.relocation import relocate
from tierwise.savings.simulate import shifted
from tierwise.savings.traffic import Traffic

if TYPE_CHECKING:
    from tierwise.store import Store

MOST_USE_CASES = 5_000
_MONTH_DAYS = 30.0
_LEVEL = 0.95
_DRAWS = 1000


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
    most: int = MOST_USE_CASES,
) -> list[Recommendation]:
    """What could run on a cheaper model and what is known about it: certified first, then by net saving.

    At most one recommendation a use case and requested model, for the dearest of them. Those that a
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
        most: use cases that are looked at, the dearest.
    """
    since = now - timedelta(days=horizon_days)
    cells = read_cells(store, since=since, until=now)
    traffic = cells.traffic
    history = [(record.version, parse(record.text)) for record in store.policy_history()]
    policy = history[0][1] if history else Policy()
    rows, largest = store.query("pairs", until=now), largest_weights(history)
    scored = of_current_versions(read_pairs(rows, largest))
    judged = read_judged(store, rows, now=now, rho=rho, alpha=alpha, largest=largest)
    shadows = of_current_versions(read_pairs(store.query("shadows", until=now))).distinct()
    now_s = now.timestamp()
    oldest_s = now_s if cells.oldest_ns is None else cells.oldest_ns / 1e9
    known = PairIndex(scored)
    view = View(
        now=now,
        since=since,
        window_days=max((now_s - oldest_s) / 86_400, 1 / 24),
        policy=policy,
        shadows=PairIndex(shadows),
        scored=known,
        judged=judged,
        judge_costs=_judge_costs(store, since=since, until=now),
        scoring=scoring or ScoringPrices(),
        rho=rho,
        alpha=alpha,
        seed=seed,
    )
    proposals: list[Proposal] = []
    for item in read_use_cases(store).recommendable(slices(traffic, most=most)):
        proposal = _propose(item, view)
        if proposal is not None:
            proposals.append(proposal)
    by_people = certified_by_people(
        {item.id: best.judged for item in proposals if (best := item.evidence) and best.judged},
        alpha=ALPHA_SHARE * alpha,
    )
    selection = certified_together(
        [(item.id_of(best.target), best) for item in proposals if (best := item.leading)],
        scored,
        rho=rho,
        # What is certified in two ways may err in two ways.
        alpha=(1 - ALPHA_SHARE) * alpha if judged else alpha,
        floor=floor,
        seed=seed,
    )
    proposals = [item.following(selection) for item in proposals]
    groups = [(item.slice.rows, item.target) for item in proposals]
    beside = _paid_beside(proposals, view)
    outcome = relocate(traffic, groups, shadows, now=now, seed=seed, draws=_DRAWS, level=_LEVEL, beside=beside)
    fresh = [
        _recommendation(item, place, outcome, traffic, selection, view, by_people, beside.get(place))
        for place, item in enumerate(proposals)
    ]
    return _with_decisions(fresh, store.recommendations(), now=now)


def _paid_beside(proposals: Sequence[Proposal], view: View) -> dict[int, StrongShare]:
    """How much of the requested model's cost each cascade pays, by its place among the `proposals`."""
    found: dict[int, StrongShare] = {}
    for place, item in enumerate(proposals):
        if item.way == CASCADE:
            own = view.shadows.between(item.slice.scope, item.target)
            share = strong_share(own, STANDARD_CHECKS, draws=_DRAWS, rng=np.random.default_rng((view.seed, place)))
            if isinstance(share, StrongShare):
                found[place] = share
    return found


def _judge_costs(store: Store, *, since: datetime, until: datetime) -> dict[str, Decimal]:
    rows = store.query("judge_costs", since=since, until=until).to_pylist()
    return {row["use_case"]: row["cost_usd"] for row in rows if row["cost_usd"] is not None}


def _propose(item: Slice, view: View) -> Proposal | None:
    """The model to propose: the best that was tried, unless it is too weak, else the most promising that was not."""
    scope = item.scope
    wanted = view.policy.shadow.candidates.get(scope.request_model, ())
    rungs = ladder(tokens_of(item.traffic), scope.provider, scope.request_model, now=view.now, wanted=wanted)
    models = tried(scope, view.scored, rho=view.rho, alpha=view.alpha, seed=view.seed)
    models = with_judged(models, scope, view.judged)
    best = next((model for model in models if not model.too_weak and model.cheaper), None)
    if best is not None:
        return Proposal(item, best.target, rungs, models)
    untried = [rung for rung in rungs if all(rung.model != model.target for model in models)]
    being_tried = [rung for rung in untried if rung.model in wanted]
    rung = proposed(being_tried or untried, scope.provider, scope.request_model, now=view.now)
    return None if rung is None else Proposal(item, rung.model, rungs, models)


def _recommendation(
    proposal: Proposal,
    place: int,
    outcome: Outcome,
    traffic: Traffic,
    selection: Selection | None,
    view: View,
    by_people: frozenset[str],
    beside: StrongShare | None,
) -> Recommendation:
    item, scope, evidence, now = proposal.slice, proposal.slice.scope, proposal.evidence, view.now
    selected = selection is not None and proposal.id in selection.members
    certified = selected or proposal.id in by_people
    # What people certify, they certify for all the calls.
    in_part = selected and proposal.id not in by_people
    share = selection.shares[proposal.id] if selection is not None and in_part else 1.0
    months = _MONTH_DAYS / view.window_days if view.window_days >= 1.0 else None
    shadowed = view.shadows.between(scope, proposal.target)
    spent = evaluation_cost(
        shadowed,
        view.scored.between(scope, proposal.target),
        view.scoring,
        since_ns=int(view.since.timestamp() * 1e9),
        judge_calls_usd=view.judge_costs.get(scope.label),
    )
    in_cascade = proposal.way == CASCADE
    saving = _part(outcome.saving(place, item.rows), share)
    if in_cascade and beside is None:
        saving = NotEnoughData(len(shadowed), ENOUGH, "conversations with shadow calls whose answers were checked")
    state = _evidence_state(evidence, saving, certified=certified)
    needed = needed_for(proposal, view, certified=certified)
    certificate: Certificate | NotEnoughData = NotEnoughData(0, 1, "pairs scored on both sides by the same evaluation")
    if evidence is not None:
        certificate = evidence.certificate
    if in_cascade and selection is not None:
        certificate = selection.certificates[proposal.id]
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
        seed=view.seed,
        rule_kind="cascade" if in_cascade else "route",
        strong_share=None if beside is None else beside.value,
        share=share,
        state=state,
        evidence_state=state,
        calls=item.calls,
        spend_usd=item.spend_usd,
        window_days=view.window_days,
        window_saving=saving,
        monthly_calls=None if months is None else item.calls * months,
        monthly_spend_usd=None if months is None else item.spend_usd * Decimal(str(round(months, 6))),
        monthly_saving=_monthly(saving, months, view.window_days),
        saving_share=_part(outcome.saving_share(place, item.rows), share),
        evaluation_cost_usd=spent.usd,
        certificate=certificate,
        policy_certificate=selection.retention if selection is not None and selected else None,
        needed=needed,
        latency=latency_change(
            followed(with_verdicts(shadowed, STANDARD_CHECKS), STANDARD_CHECKS) if in_cascade else shadowed,
            seed=view.seed,
            level=_LEVEL,
        ),
        compatibility=compatibility(item.traffic, scope.provider, scope.request_model, proposal.target, now=now),
        assumptions=(
            *(() if months is None else (f"a month is 30 days like the last {view.window_days:.3g}",)),
            *assumptions_of((), moved, pricing),
            "scores and token counts come from calls that can be shadowed, which leaves out calls with tools",
            *((f"which {share:.0%} of the calls move is drawn at random, by conversation",) if share < 1.0 else ()),
            *(in_words(evidence.judged) if evidence is not None and evidence.judged is not None else ()),
            *spent.uncounted,
        ),
        missing=(
            *missing(proposal, needed, selection, len(shadowed), state),
            *((f"the saving is not known: {saving.describe()}",) if isinstance(saving, NotEnoughData) else ()),
        ),
        alternatives=alternatives(proposal),
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
        judged=None if evidence is None else evidence.judged,
        why_now=why_now(scope, proposal.target, state, since=view.since, now=now),
        expires_at=expires_at(scope, proposal.target, now=now),
    )


def _part(saving: Estimate | NotEnoughData, share: float) -> Estimate | NotEnoughData:
    """What moving a random share of the calls saves, in expectation."""
    return saving.scaled(share) if isinstance(saving, Estimate) and share < 1.0 else saving


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
