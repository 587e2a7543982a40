"""A use case and the model to propose for it, with everything that has been tried there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tierwise.evidence.estimate import NotEnoughData
from tierwise.evidence.portfolio import Selection
from tierwise.recommend.judged_evidence import Key
from tierwise.recommend.ladder import Rung
from tierwise.recommend.recommendation import Alternative, JudgedEvidence, recommendation_id
from tierwise.recommend.slices import ALONE, PairIndex, Slice, Tried
from tierwise.routing.policy import Policy
from tierwise.savings.evaluation_cost import ScoringPrices

_MOST_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class View:
    """What every recommendation is worked out from."""

    now: datetime
    since: datetime
    window_days: float
    policy: Policy
    shadows: PairIndex
    scored: PairIndex
    judged: Mapping[Key, JudgedEvidence]
    judge_costs: Mapping[str, Decimal]
    """What the calls of judges cost in the window, USD, by the use case whose pairs they judged."""
    scoring: ScoringPrices
    rho: float
    alpha: float
    seed: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A slice and the model to propose for it."""

    slice: Slice
    target: str
    rungs: list[Rung]
    tried: list[Tried]
    """Every model that has been tried, the target among them or not."""
    way: str = ALONE
    """ALONE, or CASCADE with the requested model behind the target."""

    @property
    def id(self) -> str:
        return self.id_of(self.target)

    def id_of(self, target: str) -> str:
        return recommendation_id(self.slice.scope, target)

    @property
    def leading(self) -> Tried | None:
        """The model whose pairs take part in certifying the policy, proposed or not: were they taken out when they show
        that their model is too weak, the order of testing would depend on the test."""
        return self.evidence or (self.tried[0] if self.tried else None)

    @property
    def evidence(self) -> Tried | None:
        return next((item for item in self.tried if item.target == self.target), None)

    def following(self, selection: Selection | None) -> Proposal:
        """The same, for the model whose calls the certified policy moves, if it moves any.

        The policy is certified with all that it moves, so a part of it on a model that is too weak for all the calls
        is proposed as it was certified, and no other model in its place.
        """
        leading = self.leading
        if selection is None or leading is None or self.id_of(leading.target) not in selection.members:
            return self
        own = self.id_of(leading.target)
        return replace(self, target=leading.target, way=selection.candidates.get(own, ALONE))


def alternatives(proposal: Proposal) -> tuple[Alternative, ...]:
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
