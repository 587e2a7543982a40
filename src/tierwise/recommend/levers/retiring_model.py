"""Models that are no longer served, or soon will not be: their calls have to move, and what the successor costs."""

from __future__ import annotations

import numpy as np

from tierwise.recommend.ladder import is_successor, tokens_of
from tierwise.recommend.levers.lever import Lever, View, sql_scope
from tierwise.recommend.timing import SOON, retirement
from tierwise.routing.capabilities import candidates
from tierwise.savings.relocation import relocate
from tierwise.savings.traffic import row_groups


def find(view: View) -> list[Lever]:
    """One a model that is called and has a date of retirement within reach."""
    traffic = view.traffic
    found: list[Lever] = []
    for rows in row_groups(np.stack([traffic.provider.codes, traffic.request_model.codes], axis=1).astype(np.int64)):
        provider, model = traffic.provider[rows[0]], traffic.request_model[rows[0]]
        retires = retirement(provider or "", model or "")
        if not provider or not model or retires is None or retires - view.until > SOON:
            continue
        target = _successor(provider, model, view)
        rows = np.sort(rows)
        calls = traffic.take(rows)
        if not tokens_of(calls).calls:
            continue
        when = (
            f"is retired on {retires:%Y-%m-%d}" if retires > view.until else f"is not served since {retires:%Y-%m-%d}"
        )
        if target is None:
            continue
        outcome = relocate(calls, [(np.arange(len(calls)), target)], view.shadows, now=view.until, seed=view.seed)
        plan = [outcome.plan[place] for place in outcome.of_rule(0)]
        found.append(
            Lever(
                kind="retiring_model",
                provider=provider,
                request_model=model,
                use_case_id=None,
                use_case_name=None,
                target=target,
                calls=calls.count(),
                spend_usd=calls.total_usd(),
                window_days=view.window_days,
                window_saving=outcome.saving(),
                at_most=False,
                action=f"move these calls to {target} before {model} is switched off; compare them with shadow calls",
                findings=(f"{model} {when}",),
                assumptions=(
                    *dict.fromkeys(move.ratios.assumption for move in plan),
                    f"prices of {view.until:%Y-%m-%d}; a saving below 0 is what the move will cost",
                ),
                as_of=view.until,
                sql={
                    "calls": f"SELECT count(*) FROM traffic() WHERE {sql_scope(view, provider, model, None)}",
                    "spend_usd": f"SELECT sum(cost_usd) FROM traffic() WHERE {sql_scope(view, provider, model, None)}",
                },
            )
        )
    return found


def _successor(provider: str, model: str, view: View) -> str | None:
    """The newest model of the same name; without one, the newest that shares an API with it."""
    known = candidates(provider, model, now_s=view.until.timestamp())
    # Candidates come newest first.
    return next((name for name in known if is_successor(model, name)), known[0] if known else None)
