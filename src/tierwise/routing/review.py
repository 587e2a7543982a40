"""Which share of the pairs people look at, as a rule's `[rule.review]` table says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tierwise.routing.document import TableReader


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Probabilities with which a pair is drawn for review."""

    sample: float = 0.03
    """Of any pair; in (0, 1]."""
    disagreements: float = 0.3
    """Of a pair whose two answers a check or judge scored differently; in (0, 1], and never below `sample`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "disagreements", max(self.sample, self.disagreements))


def read_review(table: TableReader) -> Mapping[str, Any]:
    """The `[rule.review]` table: the arguments of `ReviewPlan` that it gives."""
    table.only(tuple(item.name for item in fields(ReviewPlan)))
    return {name: table.number(name, 0.0, low=0.0, high=1.0, low_allowed=False) for name in table.values}
