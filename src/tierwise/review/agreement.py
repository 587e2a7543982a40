"""What people said about the pairs they reviewed, and how far checks and judges agree with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tierwise.evidence.estimate import Estimate, NotEnoughData, wilson
from tierwise.evidence.judges import Agreement, agreement, bias

if TYPE_CHECKING:
    from tierwise.store import Store


@dataclass(frozen=True, slots=True)
class WithPeople:
    """One evaluation held against people, on the pairs that both scored on both sides.

    Of each pair the preference is compared: 1 where the cheaper answer is better, 0 where it is worse, 0.5 for a tie.
    """

    evaluation: str
    source: str
    """check | judge | structural | feedback."""
    pairs: int
    """Scored by both."""
    at_random: int
    """Of these, drawn whatever their scores. What follows is worked out on them: disagreements are drawn more often."""
    agreement: Agreement
    leniency: Estimate | NotEnoughData
    """How much more it prefers the cheaper answer than people do; 0 is not at all."""

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "evaluation": self.evaluation,
            "source": self.source,
            "pairs": self.pairs,
            "at_random": self.at_random,
            **self.agreement.to_dict(),
            "leniency": self.leniency.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """What the reviews that stand say."""

    verdicts: Mapping[str, int]
    """How many pairs by verdict: strong, weak, both_good, both_bad, skip."""
    prefers_first: Estimate | NotEnoughData
    """Share of the pairs with a better answer in which that was the one shown as A; 0.5 is no habit."""
    evaluations: tuple[WithPeople, ...]

    @property
    def reviewed(self) -> int:
        """Pairs with a verdict, skipped ones included."""
        return sum(self.verdicts.values())

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "reviewed": self.reviewed,
            "verdicts": dict(self.verdicts),
            "prefers_first": self.prefers_first.to_dict(),
            "evaluations": [item.to_dict() for item in self.evaluations],
        }


def read_summary(store: Store, filters: Mapping[str, Any] | None = None, *, level: float = 0.95) -> ReviewSummary:
    """What people said about the calls that `filters` (parameters of the named queries) leave.

    Where several people reviewed a pair, the first verdict counts.
    """
    decided = store.query("reviewed_scores", **(filters or {})).to_pylist()
    skipped = {
        (row["shadow_trace_id"], row["shadow_span_id"])
        for row in store.query("reviews", **(filters or {})).to_pylist()
        if row["undone_at"] is None and row["verdict"] == "skip"
    }
    by_pair = {(row["shadow_trace_id"], row["shadow_span_id"]): row for row in decided}
    verdicts = dict.fromkeys(("strong", "weak", "both_good", "both_bad"), 0)
    for row in by_pair.values():
        verdicts[row["verdict"]] += 1
    preferred = [row for row in by_pair.values() if row["verdict"] in ("strong", "weak")]
    names = sorted(
        {(row["evaluation_source"], row["evaluation_name"]) for row in decided if row["strong_score"] is not None}
    )
    return ReviewSummary(
        {**verdicts, "skip": len(skipped - by_pair.keys())},
        wilson(sum(row["verdict"] == row["first"] for row in preferred), len(preferred), level),
        tuple(
            _with_people(
                [
                    row
                    for row in decided
                    if (row["evaluation_source"], row["evaluation_name"]) == key and row["strong_score"] is not None
                ],
                level,
            )
            for key in names
        ),
    )


def _with_people(rows: list[dict[str, Any]], level: float) -> WithPeople:
    random = [row for row in rows if row["reason"] == "random"]
    people = np.array([_preference(row["strong_human"], row["weak_human"]) for row in random])
    other = np.array([_preference(row["strong_score"], row["weak_score"]) for row in random])
    return WithPeople(
        evaluation=rows[0]["evaluation_name"],
        source=rows[0]["evaluation_source"],
        pairs=len(rows),
        at_random=len(random),
        agreement=agreement(people, other, level=level),
        leniency=bias(people, other, level=level),
    )


def _preference(strong: float, weak: float) -> float:
    return min(max((weak - strong + 1.0) / 2.0, 0.0), 1.0)
