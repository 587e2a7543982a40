"""Recommendations: which calls could run on a cheaper model, with what evidence, and what people did about it."""

from __future__ import annotations

from tierwise.recommend.propose import recommend
from tierwise.recommend.recommendation import (
    Alternative,
    Needed,
    Recommendation,
    Scope,
    recommendation_id,
    to_rule,
)

__all__ = ["Alternative", "Needed", "Recommendation", "Scope", "recommend", "recommendation_id", "to_rule"]
