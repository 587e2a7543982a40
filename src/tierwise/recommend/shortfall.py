"""What keeps a recommendation from being certified: further pairs, their price and days, and the rest in words."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.evidence.portfolio import Selection
from tierwise.evidence.power import Plan, plan
from tierwise.recommend.judged_evidence import still_missing
from tierwise.recommend.proposal import Proposal, View
from tierwise.recommend.recommendation import Needed, State
from tierwise.recommend.slices import CERTIFYING


def needed_for(proposal: Proposal, view: View, *, certified: bool) -> Needed:
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
            max_weight=pairs.max_weight[rows],
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


def missing(
    proposal: Proposal, needed: Needed, selection: Selection | None, shadow_calls: int, state: State
) -> tuple[str, ...]:
    """What keeps a recommendation from being certified, in words.

    Args:
        needed: what `needed_for()` gave.
        shadow_calls: calls that the target answered too, scored or not.
    """
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
    elif evidence is not None and evidence.judged is not None:
        lines.append(still_missing(evidence.judged))
    elif evidence is not None and evidence.scored.source not in CERTIFYING:
        lines.append("a judge is not trusted alone: people must score some of the pairs too")
    if selection is not None and proposal.id in selection.rejected and not lines:
        lines.append(selection.rejected[proposal.id])
    return tuple(lines)
