"""What a recommendation says, as a value that goes into the store and comes back the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from tierwise.errors import StoreError
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend.stored_values import UNRECORDED, content_hash, decode, encode_fields, register
from tierwise.routing.escalation import DEFAULT_CHECKS
from tierwise.routing.policy import Rule, When
from tierwise.savings.latency import LatencyChange
from tierwise.savings.predict import Prediction

State = Literal["unproven", "candidate", "certified", "enforced", "rolled_back", "dismissed", "snoozed"]
RETENTION = 0.95
"""Share of quality that a rule without a certificate of its own is held to."""
MAX_FAILURE_RATE = 0.05
"""Share of its calls that a rule's target may fail before the rule goes."""
DECIDED = frozenset({"enforced", "rolled_back", "dismissed", "snoozed"})
"""States that a person set; evidence does not change them."""
DECISIONS = frozenset({"state", "snoozed_until", "decided_why"})
"""Entries that people write, not evidence: no part of the content hash."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls a recommendation is about."""

    use_case_id: str
    use_case_name: str | None
    task_type: str
    """As predicted when the calls were made, which is how evidence is grouped too."""
    provider: str
    request_model: str
    """What the callers ask for."""
    members: tuple[str, ...] = ()
    """The use cases that the calls themselves name, where people merged or split; empty: `use_case_id` alone."""
    tenant: str | None = None
    """Whose calls alone, of a use case that is split by tenant."""

    @property
    def label(self) -> str:
        """The name a person knows the use case by."""
        return self.use_case_name or self.use_case_id

    @property
    def key(self) -> tuple[str, str, str]:
        """What stays the same when names and task types change."""
        return self.provider, self.request_model, self.use_case_id


@dataclass(frozen=True, slots=True)
class Needed:
    """What it takes to certify."""

    pairs: int | None
    """Further pairs at the rates seen so far, at equal quality before any were seen; None: those rates never get
    there."""
    cost_usd: Decimal | None
    """What the shadow calls of those pairs would cost; None when pairs or price are unknown."""
    days: float | None
    """At the present traffic and sampling rate; None while nothing is sampled."""
    sample: float
    """Share of the calls that are shadowed by the target."""
    pairs_low: int | None = None
    """Four fifths of the forecasts lie between these; None when not forecast."""
    pairs_high: int | None = None
    """None when more than a tenth of the forecasts never end."""
    chance: float | None = None
    """Share of the forecasts that certify at all."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another model for the same calls, and why it is not the one proposed."""

    target: str
    price_ratio: float | None
    """Its price for these calls over the present one, at equal token counts and today's prices; None: no price."""
    pairs: int
    certificate: Certificate | NotEnoughData
    why_not: str


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The token counts that the saving was worked out with."""

    input: float
    """Input tokens on the target over those now."""
    output_slope: float
    output_per_call: float
    """Output tokens on the target are `output_per_call` a call and `output_slope` for each one now."""
    pairs: int
    """Of this use case."""
    pairs_in_all: int
    """Of the two models."""


@dataclass(frozen=True, slots=True)
class JudgedEvidence:
    """What a judge's scores, corrected by people, say about a candidate."""

    judge: str
    """Name of the evaluation."""
    pairs: int
    """Scored by the judge."""
    counted: int
    """Of these, those that came before the first pair that still waits for review: the certificate's."""
    reviewed: int
    """Decided by people, among those counted."""
    skipped: int
    """Looked at and not decided; they count neither way."""
    waiting: int
    """Drawn for review, and not decided."""
    certificate: Certificate
    strong_quality: Estimate | NotEnoughData
    """Mean score by people, with the judge's help where the two agree (PPI++); at one look."""
    weak_quality: Estimate | NotEnoughData
    agreement: Estimate | NotEnoughData
    """Between judge and people on the pairs drawn at random, as are `kappa` and `leniency`."""
    kappa: Estimate | NotEnoughData
    leniency: Estimate | NotEnoughData
    """How much more the judge prefers the candidate than people do."""
    position_advantage: Estimate | NotEnoughData
    """How much better the judge likes an answer for being shown first."""
    consistency: Estimate | NotEnoughData
    """Share of pairs on which the judge says the same in both orders; the others are ties."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Send these calls to that model, with what is known about it. No number stands without its interval and n."""

    id: str
    scope: Scope
    target: str
    state: State
    evidence_state: State
    """unproven | candidate | certified: what evidence alone says, whatever a person decided."""
    calls: int
    """In the window."""
    spend_usd: Decimal
    """In the window, as billed."""
    window_days: float
    window_saving: Estimate | NotEnoughData
    """USD if `share` of the calls in the window had moved, before the cost of evaluation."""
    monthly_calls: float | None
    """Projected to 30 days, as are the two below; None below a day of traffic, which says nothing about a month."""
    monthly_spend_usd: Decimal | None
    monthly_saving: Estimate | NotEnoughData
    saving_share: Estimate | NotEnoughData
    """Of the spend in scope."""
    evaluation_cost_usd: Decimal
    """What the evidence cost in the window: shadow calls, and scoring them where its price is given."""
    certificate: Certificate | NotEnoughData
    """Quality kept, on all pairs in scope."""
    policy_certificate: Certificate | None
    """Of all certified recommendations together, on pairs not used to choose them; None when not among them."""
    needed: Needed
    latency: LatencyChange | NotEnoughData
    compatibility: tuple[str, ...]
    """What to know about the target's abilities, in words."""
    assumptions: tuple[str, ...]
    missing: tuple[str, ...]
    """What keeps it from being certified, in words; empty when nothing does."""
    alternatives: tuple[Alternative, ...]
    pair_count: int
    """Scored pairs."""
    evaluation: str | None
    """Name of the evaluation whose scores count."""
    evaluation_source: str | None
    """check | judge | human | structural."""
    prediction: Prediction | NotEnoughData
    """Saving per call, to be held against what is measured."""
    as_of: datetime
    price_version: str
    snoozed_until: datetime | None = None
    decided_why: str | None = None
    """The reason given by who dismissed or snoozed it."""
    seed: int | None = None
    """Of every draw behind it."""
    rule_kind: Literal["route", "cascade"] = "route"
    """cascade: the requested model answers after the target where a structural check fails. Quality, time to answer and
    saving are then those of both together."""
    strong_share: float | None = None
    """Of a cascade: how much of the requested model's cost is paid beside the target's."""
    share: float = 1.0
    """Of the calls in scope that move, in (0, 1]; below 1 where only a part is certified."""
    since: datetime | None = None
    """From when on calls count; they count until `as_of`."""
    net_saving: Estimate | NotEnoughData = UNRECORDED
    """USD in the window, after the cost of evaluation."""
    priced_share: float | None = None
    """Of the calls in scope; the others are in no amount."""
    candidates: int | None = None
    """Models of the same provider and API that were looked at."""
    tokens: TokenUse | None = None
    """None where the target has no price."""
    why_now: tuple[str, ...] = ()
    """What has changed that makes this worth doing, in words."""
    judged: JudgedEvidence | None = None
    """Where a judge scored the pairs and people reviewed some: what the certificate rests on."""
    expires_at: datetime | None = None
    """From then on prices, traffic and evidence may have moved on: it is to be worked out again first."""

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of what it says: the same until it is worked out again, whatever people decide about it."""
        return content_hash(self.to_dict(), without=DECISIONS)

    def is_stale(self, now: datetime) -> bool:
        """Whether it is to be worked out again before anybody acts on it; never once it is in force."""
        return self.state != "enforced" and self.expires_at is not None and now >= self.expires_at

    @property
    def rule_id(self) -> str:
        """Id of the rule that enforces it."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.scope.label.lower()).strip("-") or "use-case"
        return f"{slug[:60]}-{self.id.removeprefix('rec_')[:6]}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; `from_dict` reads it back."""
        return encode_fields(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recommendation:
        """The recommendation that `to_dict` wrote, in this version or another.

        Entries it does not know are left out. What an earlier version did not write is not known: NotEnoughData, None
        or nothing, and never a number.

        Raises:
            StoreError: something that every version has written is missing: it is no recommendation.
        """
        if missing := [name for name in _ALWAYS_WRITTEN if content.get(name) is None]:
            raise StoreError(
                f"stored recommendation {content.get('id')!r} has no {missing[0]!r}; `tierwise recommend` works it out "
                "again"
            )
        values = {item.name: decode(content[item.name]) for item in fields(cls) if item.name in content}
        for item in fields(cls):
            if item.name not in values and item.default is MISSING:
                values[item.name] = _UNKNOWN.get(item.name, UNRECORDED)
        for name in ("spend_usd", "monthly_spend_usd", "evaluation_cost_usd"):
            values[name] = None if values[name] is None else Decimal(values[name])
        for name in ("as_of", "snoozed_until", "since", "expires_at"):
            values[name] = None if values.get(name) is None else datetime.fromisoformat(values[name])
        return cls(**values)


def recommendation_id(scope: Scope, target: str) -> str:
    """The same for the same scope and target, on every machine and day."""
    key = f"{scope.provider}\0{scope.request_model}\0{scope.use_case_id}\0{target}"
    return f"rec_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def to_rule(recommendation: Recommendation, *, share: float | None, holdout: float) -> Rule:
    """The rule that carries out `recommendation`, with what it rests on in its evidence table.

    Args:
        share: None: the one it proposes.
    """
    scope = recommendation.scope
    rho = recommendation.certificate.rho if isinstance(recommendation.certificate, Certificate) else RETENTION
    evidence: dict[str, Any] = {
        "recommendation": recommendation.id,
        "content_hash": recommendation.content_hash,
        "state": recommendation.evidence_state,
        "pairs": recommendation.pair_count,
        "evaluation": recommendation.evaluation,
        "evaluation_source": recommendation.evaluation_source,
        "as_of": recommendation.as_of.isoformat(),
        "price_version": recommendation.price_version,
    }
    if isinstance(recommendation.certificate, Certificate):
        proof = recommendation.certificate.to_dict()
        evidence |= {f"retention_{name}": proof[name] for name in ("low", "value", "high", "e_value", "rho", "alpha")}
        evidence |= {"n": proof["n"], "method": proof["method"]}
    if recommendation.policy_certificate is not None:
        evidence["policy_retention_low"] = recommendation.policy_certificate.low
        evidence["policy_e_value"] = recommendation.policy_certificate.e_value
    if isinstance(recommendation.prediction, Prediction):
        evidence |= recommendation.prediction.to_evidence()
    return Rule(
        id=recommendation.rule_id,
        kind=recommendation.rule_kind,
        when=When(
            use_case=scope.members or (scope.use_case_id,),
            request_model=(scope.request_model,),
            provider=(scope.provider,),
            tenant=() if scope.tenant is None else (scope.tenant,),
        ),
        to=recommendation.target,
        share=recommendation.share if share is None else share,
        holdout=holdout,
        options={
            "guard": {"min_retention": rho, "max_failure_rate": MAX_FAILURE_RATE},
            **({"escalate": {"on": DEFAULT_CHECKS}} if recommendation.rule_kind == "cascade" else {}),
        },
        # TOML has no null: what is not known is not written.
        evidence={name: value for name, value in evidence.items() if value is not None},
    )


_ALWAYS_WRITTEN = ("id", "scope", "target", "as_of", "calls", "spend_usd", "window_days", "evaluation_cost_usd")
_UNKNOWN: dict[str, Any] = {
    "state": "unproven",
    "evidence_state": "unproven",
    "monthly_calls": None,
    "monthly_spend_usd": None,
    "policy_certificate": None,
    "compatibility": (),
    "assumptions": (),
    "missing": (),
    "alternatives": (),
    "pair_count": 0,
    "evaluation": None,
    "evaluation_source": None,
    "price_version": "not recorded",
}
"""What stands for an entry that was not written; estimates that were not are NotEnoughData."""

for _name, _kind in {
    "scope": Scope,
    "needed": Needed,
    "alternative": Alternative,
    "token_use": TokenUse,
    "judged_evidence": JudgedEvidence,
}.items():
    register(_name, _kind)
