"""What the demo found, in one value: for people as lines, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tierwise import prices
from tierwise.demo.story import STANDS_FOR
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend.recommendation import Recommendation
from tierwise.recommend.verify import Verification
from tierwise.savings.simulate import Simulation
from tierwise.savings.totals import Totals, totals
from tierwise.store import PolicyRecord, Store


@dataclass(frozen=True, slots=True)
class Summary:
    """The loop's outcome."""

    calls: int
    """The application's own; shadow calls are beside them."""
    failed_calls: int
    spend_usd: Decimal
    evaluation_cost_usd: Decimal
    """What the shadow calls cost."""
    priced_share: float | None
    """Of calls."""
    classified_share: float | None
    """Of spend."""
    recommendations: tuple[Recommendation, ...]
    simulation: Simulation
    """Of the rules applied, on the traffic before them."""
    verifications: tuple[Verification, ...]
    saving: Totals
    """Predicted when the rules were applied, and realised since."""
    certificate: Certificate | None
    """Of the applied policy as a whole."""
    policy: PolicyRecord
    price_version: str
    db_path: Path
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The fields that scripts rely on, as JSON values."""
        return {
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "spend_usd": float(self.spend_usd),
            "evaluation_cost_usd": float(self.evaluation_cost_usd),
            "classified_share": self.classified_share,
            "priced_share": self.priced_share,
            "recommendations": [_recommendation(item) for item in self.recommendations],
            "simulated_saving_share": self.simulation.saving_share.to_dict(),
            "predicted_saving": self.saving.predicted.to_dict(),
            "realised_saving": self.saving.realised.to_dict(),
            "realised_within_predicted": self.saving.covered,
            "retention": None if self.certificate is None else self.certificate.to_dict(),
            "policy_version": self.policy.version,
            "rules": [_verification(item) for item in self.verifications],
            "price_version": self.price_version,
            "answers": "replayed: recorded answers of the models named in stands_for",
            "stands_for": dict(STANDS_FOR),
            "db": str(self.db_path),
            "seconds": round(self.seconds, 1),
        }


def summarise(
    store: Store,
    *,
    recommendations: Sequence[Recommendation],
    simulation: Simulation,
    verifications: Sequence[Verification],
    policy: PolicyRecord,
    failed_calls: int,
    db_path: Path,
    seconds: float,
) -> Summary:
    """Put together what the store and the library say; nothing is worked out here."""
    overview = store.query("overview_totals").to_pylist()[0]
    return Summary(
        calls=overview["calls"],
        failed_calls=failed_calls,
        spend_usd=overview["spend_usd"],
        evaluation_cost_usd=overview["evaluation_cost_usd"],
        priced_share=overview["priced_share"],
        classified_share=overview["classified_spend_share"],
        recommendations=tuple(recommendations),
        simulation=simulation,
        verifications=tuple(verifications),
        saving=totals([item.comparison for item in verifications if item.comparison is not None]),
        certificate=next(
            (item.policy_certificate for item in recommendations if item.policy_certificate is not None), None
        ),
        policy=policy,
        price_version=prices.price_version(),
        db_path=db_path,
        seconds=seconds,
    )


def _recommendation(item: Recommendation) -> dict[str, Any]:
    return {
        "id": item.id,
        "state": item.state,
        "evidence_state": item.evidence_state,
        "use_case": item.scope.label,
        "task_type": item.scope.task_type,
        "from": item.scope.request_model,
        "to": item.target,
        "share": item.share,
        "calls": item.calls,
        "spend_usd": float(item.spend_usd),
        "saving_share": item.saving_share.to_dict(),
        "retention": item.certificate.to_dict(),
        "pairs": item.pair_count,
        "missing": list(item.missing),
    }


def _verification(item: Verification) -> dict[str, Any]:
    measured = item.realised
    quality: Estimate | NotEnoughData = measured.quality.change
    return {
        "rule": item.rule_id,
        "to": item.target,
        "treated": measured.n_treated,
        "kept": measured.n_kept,
        "realised_per_call": measured.per_call.to_dict(),
        "predicted_per_call": None if item.comparison is None else item.comparison.predicted.per_call.to_dict(),
        "verdict": None if item.comparison is None else item.comparison.verdict,
        "quality_change": quality.to_dict(),
        "fell_back": measured.fell_back,
        "concerns": list(item.concerns),
    }
