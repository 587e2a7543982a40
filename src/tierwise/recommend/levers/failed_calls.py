"""What calls that ended in an error were billed."""

from __future__ import annotations

from tierwise.recommend.levers.lever import Lever, View, sql_scope, total_of
from tierwise.recommend.levers.units import UNITS, amounts, by_use_case, spend_of


def find(view: View) -> list[Lever]:
    """One a use case and model with billed failures."""
    table = view.rows_of("lever_waste", units=UNITS)
    scopes = spend_of(view)
    found: list[Lever] = []
    for key, rows in by_use_case(table).items():
        scope, billed = scopes.get(key), sum(row["failed_usd"] for row in rows)
        if scope is None or billed <= 0.0:
            continue
        provider, model, use_case_id = key
        retried = sum(row["retried_calls"] for row in rows)
        conditions = sql_scope(view, provider, model, use_case_id)
        found.append(
            Lever(
                kind="failed_calls",
                provider=provider,
                request_model=model,
                use_case_id=use_case_id,
                use_case_name=scope["use_case_name"],
                target=None,
                calls=scope["failed_calls"],
                spend_usd=scope["failed_usd"],
                window_days=view.window_days,
                window_saving=total_of(
                    amounts(rows, "failed_usd", conversations=scope["conversations"]),
                    n=scope["failed_calls"],
                    seed=view.seed,
                ),
                at_most=True,
                action="look at why these calls fail: what they were billed bought nothing",
                findings=(
                    f"{scope['failed_calls']:,} of {scope['calls']:,} calls ended in an error and were billed",
                    f"{retried:,} calls repeat, within two minutes, one of the same size that had failed",
                ),
                assumptions=("every failure could be avoided, and none of them was of use",),
                as_of=view.until,
                sql={
                    "calls": f"SELECT count(error_type) FROM traffic() WHERE {conditions}",
                    "spend_usd": (f"SELECT sum(cost_usd) FROM traffic() WHERE error_type IS NOT NULL AND {conditions}"),
                    "window_saving": (
                        f"SELECT sum(cost_usd) FROM traffic() WHERE error_type IS NOT NULL AND {conditions}"
                    ),
                },
            )
        )
    return found
