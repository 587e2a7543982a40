"""Calls that look like another made just before: same use case, same input and output tokens, within a minute.

Prompts are not stored, so two calls of one size may differ. How often that happens by chance is measured on the same
traffic, ten minutes apart, and taken off: what is left beyond coincidence is repetition.
"""

from __future__ import annotations

from tierwise.evidence.estimate import Estimate
from tierwise.recommend.levers.lever import Lever, View, total_of
from tierwise.recommend.levers.units import UNITS, amounts, by_use_case, spend_of


def find(view: View) -> list[Lever]:
    """One a use case and model with more repetition than coincidence explains."""
    table = view.rows_of("lever_waste", units=UNITS)
    scopes = spend_of(view)
    found: list[Lever] = []
    for key, rows in by_use_case(table).items():
        scope = scopes.get(key)
        if scope is None:
            continue
        repeated, by_chance = (sum(row[name] for row in rows) for name in ("repeated_calls", "chance_calls"))
        repeats, chances = (
            amounts(rows, name, conversations=scope["conversations"]) for name in ("repeated_usd", "chance_usd")
        )
        saving = total_of(repeats - chances, n=repeated, seed=view.seed)
        if not isinstance(saving, Estimate) or saving.low <= 0.0:
            continue
        provider, model, use_case_id = key
        found.append(
            Lever(
                kind="duplicate_calls",
                provider=provider,
                request_model=model,
                use_case_id=use_case_id,
                use_case_name=scope["use_case_name"],
                target=None,
                calls=repeated,
                spend_usd=scope["spend_usd"],
                window_days=view.window_days,
                window_saving=saving,
                at_most=True,
                action="keep the answers to requests that repeat, or find out why they are sent twice",
                findings=(
                    f"{repeated:,} calls have the same input and output tokens as one within the minute before",
                    f"by coincidence, at ten minutes' distance, {by_chance:,} do; their cost is taken off",
                ),
                assumptions=(
                    "what repeats beyond coincidence is the same request; prompts are not stored and not compared",
                    "an answer may be used twice",
                ),
                as_of=view.until,
            )
        )
    return found
