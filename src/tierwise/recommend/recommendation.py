"""What a recommendation says, as a value that goes into the store and comes back the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from tierwise.errors import StoreError
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.routing.policy import Rule, When
from tierwise.savings.latency import LatencyChange
from tierwise.savings.predict import Prediction

State = Literal["unproven", "candidate", "certified", "enforced", "rolled_back", "dismissed", "snoozed"]
DECIDED = frozenset({"enforced", "rolled_back", "dismissed", "snoozed"})
"""States that a person set; evidence does not change them."""


_UNRECORDED = NotEnoughData(0, 1, "recommendations worked out since this is recorded")


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
    """USD if every call in the window had moved, before the cost of evaluation."""
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
    since: datetime | None = None
    """From when on calls count; they count until `as_of`."""
    net_saving: Estimate | NotEnoughData = _UNRECORDED
    """USD in the window, after the cost of evaluation."""
    priced_share: float | None = None
    """Of the calls in scope; the others are in no amount."""
    candidates: int | None = None
    """Models of the same provider and API that were looked at."""
    tokens: TokenUse | None = None
    """None where the target has no price."""
    why_now: tuple[str, ...] = ()
    """What has changed that makes this worth doing, in words."""
    expires_at: datetime | None = None
    """From then on prices, traffic and evidence may have moved on: it is to be worked out again first."""

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of what it says: the same until it is worked out again, whatever people decide about it."""
        content = {name: value for name, value in self.to_dict().items() if name not in _DECISIONS}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

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
        return cast("dict[str, Any]", _encode(self))

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
        values = {item.name: _decode(content[item.name]) for item in fields(cls) if item.name in content}
        for item in fields(cls):
            if item.name not in values and item.default is MISSING:
                values[item.name] = _UNKNOWN.get(item.name, _UNRECORDED)
        for name in ("spend_usd", "monthly_spend_usd", "evaluation_cost_usd"):
            values[name] = None if values[name] is None else Decimal(values[name])
        for name in ("as_of", "snoozed_until", "since", "expires_at"):
            values[name] = None if values.get(name) is None else datetime.fromisoformat(values[name])
        return cls(**values)


def recommendation_id(scope: Scope, target: str) -> str:
    """The same for the same scope and target, on every machine and day."""
    key = f"{scope.provider}\0{scope.request_model}\0{scope.use_case_id}\0{target}"
    return f"rec_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def to_rule(recommendation: Recommendation, *, share: float, holdout: float) -> Rule:
    """The rule that carries out `recommendation`, with what it rests on in its evidence table."""
    scope = recommendation.scope
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
        kind="route",
        when=When(use_case=(scope.use_case_id,), request_model=(scope.request_model,), provider=(scope.provider,)),
        to=recommendation.target,
        share=share,
        holdout=holdout,
        # TOML has no null: what is not known is not written.
        evidence={name: value for name, value in evidence.items() if value is not None},
    )


_ALWAYS_WRITTEN = ("id", "scope", "target", "as_of", "calls", "spend_usd", "window_days", "evaluation_cost_usd")
_DECISIONS = frozenset({"state", "snoozed_until", "decided_why"})
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

_KINDS: dict[str, type[Any]] = {
    "estimate": Estimate,
    "not_enough_data": NotEnoughData,
    "certificate": Certificate,
    "latency_change": LatencyChange,
    "prediction": Prediction,
    "scope": Scope,
    "needed": Needed,
    "alternative": Alternative,
    "token_use": TokenUse,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _encode(value: Any) -> Any:
    if type(value) in _NAMES or isinstance(value, Recommendation):
        encoded = {item.name: _encode(getattr(value, item.name)) for item in fields(value)}
        return encoded if isinstance(value, Recommendation) else {"kind": _NAMES[type(value)], **encoded}
    if isinstance(value, tuple):
        return [_encode(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


_UNBOUNDED = frozenset({("certificate", "high"), ("estimate", "high")})
_MONEY = frozenset({("needed", "cost_usd")})
_TIMES = frozenset({("prediction", "as_of")})


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping):
        content = dict(cast("Mapping[str, Any]", value))
        kind = content.pop("kind")
        for name, item in content.items():
            decoded: Any = _decode(item)
            if (kind, name) in _UNBOUNDED and decoded is None:
                decoded = float("inf")
            elif (kind, name) in _MONEY and decoded is not None:
                decoded = Decimal(decoded)
            elif (kind, name) in _TIMES:
                decoded = datetime.fromisoformat(str(decoded))
            content[name] = decoded
        shape = fields(_KINDS[kind])
        if any(item.name not in content and item.default is MISSING for item in shape):
            return _UNRECORDED
        return _KINDS[kind](**{item.name: content[item.name] for item in shape if item.name in content})
    if isinstance(value, list):
        return tuple(_decode(item) for item in cast("list[Any]", value))
    return value
