"""What a simulation takes for granted, in words for the person who signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tierwise.routing.policy import Rule
from tierwise.savings.moves import Move, Pricing

_MOST_LINES = 3


def _ratio_assumptions(plan: Sequence[Move]) -> tuple[str, ...]:
    """How the token counts on the other model were arrived at."""
    lines = tuple(dict.fromkeys(move.ratios.assumption for move in plan))
    if len(lines) <= _MOST_LINES:
        return lines
    measured = [move.ratios for move in plan if move.ratios.measured]
    summary: list[str] = []
    if measured:
        outputs = [ratios.output for ratios in measured]
        summary.append(
            f"output tokens on the other model are {min(outputs):.2f} to {max(outputs):.2f} times the present ones, "
            f"measured on {sum(ratios.pairs for ratios in measured):,} pairs in {len(measured)} groups"
        )
    summary += list(dict.fromkeys(move.ratios.assumption for move in plan if not move.ratios.measured))[:_MOST_LINES]
    return tuple(summary)


def assumptions_of(rules: Sequence[Rule], plan: Sequence[Move], pricing: Pricing) -> tuple[str, ...]:
    """Everything taken for granted; empty when no call moves, because nothing is."""
    if not plan:
        return ()
    beside = dict.fromkeys(move.beside.assumption for move in plan if move.beside is not None)
    lines = [*_ratio_assumptions(plan), *list(beside)[:_MOST_LINES], _price_assumption(pricing)]
    if pricing.cache_kept < 1.0:
        kept = "none" if pricing.cache_kept == 0.0 else f"{pricing.cache_kept:.0%}"
        lines.append(
            "input now read from a prompt cache is read from the other model's cache where the conversation's call "
            f"before had sent it, and {kept} of the rest; what is left is written there or billed as fresh input"
        )
    if any(rule.share < 1.0 or rule.holdout > 0.0 for rule in rules):
        lines.append(
            "share and holdout count in expectation, arms already drawn under the same rule as they were drawn"
        )
    if any(rule.when.min_input_tokens is not None or rule.when.max_input_tokens is not None for rule in rules):
        lines.append("size limits look at billed input tokens; in the app they look at an estimate from the text")
    lines.append(
        "requests that the target cannot serve stay where they are; they are known only where the rule has already run"
    )
    lines.append("the target fails no more often than the present model does")
    return tuple(lines)


def _price_assumption(pricing: Pricing) -> str:
    own = " with the prices given" if pricing.overrides else ""
    if pricing.at_ns is None:
        return f"every call at the prices of its own time{own}"
    day = datetime.fromtimestamp(pricing.at_ns / 1e9, tz=UTC)
    return f"every call at the prices of {day:%Y-%m-%d}{own}"
