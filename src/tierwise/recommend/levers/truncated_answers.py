"""What answers that were cut off at the output limit cost, and limits that are never used."""

from __future__ import annotations

from tierwise.recommend.levers.lever import Lever, View, sql_scope, total_of
from tierwise.recommend.levers.units import UNITS, amounts, by_use_case, spend_of


def find(view: View) -> list[Lever]:
    """One a use case and model whose answers are cut off."""
    table = view.rows_of("lever_waste", units=UNITS)
    scopes = spend_of(view)
    found: list[Lever] = []
    for key, rows in by_use_case(table).items():
        scope = scopes.get(key)
        if scope is None or sum(row["truncated_usd"] for row in rows) <= 0.0:
            continue
        provider, model, use_case_id = key
        conditions = f"list_has_any(finish_reasons, ['length', 'max_tokens']) AND {sql_scope(view, *key)}"
        limit = scope["largest_limit"]
        found.append(
            Lever(
                kind="truncated_answers",
                provider=provider,
                request_model=model,
                use_case_id=use_case_id,
                use_case_name=scope["use_case_name"],
                target=None,
                calls=scope["truncated_calls"],
                spend_usd=scope["truncated_usd"],
                window_days=view.window_days,
                window_saving=total_of(
                    amounts(rows, "truncated_usd", conversations=scope["conversations"]),
                    n=scope["truncated_calls"],
                    seed=view.seed,
                ),
                at_most=True,
                action="raise the output limit of these requests, or ask for shorter answers: a half costs in full",
                findings=(
                    f"{scope['truncated_calls']:,} of {scope['calls']:,} answers were cut off at the output limit",
                    "the requests name no limit" if limit is None else f"the largest limit named is {limit:,} tokens",
                ),
                assumptions=(
                    "an answer that is cut off is of no use",
                    "a limit that is never reached costs nothing at these providers, so lowering it saves nothing",
                ),
                as_of=view.until,
                sql={
                    "calls": f"SELECT count(*) FROM traffic() WHERE {conditions}",
                    "spend_usd": f"SELECT sum(cost_usd) FROM traffic() WHERE {conditions}",
                    "window_saving": f"SELECT sum(cost_usd) FROM traffic() WHERE {conditions}",
                },
            )
        )
    return found
