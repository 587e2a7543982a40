"""Moving all calls of a model to a cheaper one, as a whole: often the better advice than a rule for each use case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.evidence.retention import certify
from tierwise.recommend.levers.lever import Lever, View, sql_scope
from tierwise.recommend.slices import CERTIFYING
from tierwise.savings.quality import certificate, scored_pairs
from tierwise.savings.relocation import relocate
from tierwise.savings.traffic import row_groups


def find(view: View) -> list[Lever]:
    """One a model asked for and cheaper model that have been compared on enough calls."""
    traffic, pairs = view.traffic, view.scored
    found: list[Lever] = []
    for rows in row_groups(np.stack([traffic.provider.codes, traffic.requested_model.codes], axis=1).astype(np.int64)):
        provider, model = traffic.provider[rows[0]], traffic.requested_model[rows[0]]
        if not provider or not model:
            continue
        of_model = pairs.provider.equal(provider) & pairs.strong_model.equal(model)
        for code in np.unique(pairs.weak_model.codes[of_model]):
            target = pairs.weak_model.values[code]
            scored = scored_pairs(pairs.take(of_model & (pairs.weak_model.codes == code)))
            if scored is None or target is None or len(scored.pairs) < ENOUGH:
                continue
            own = scored.pairs
            compared = {own.use_case_id.values[place] for place in np.unique(own.use_case_id.codes)}
            calls = traffic.take(np.sort(rows))
            covered = np.isin(
                calls.use_case_id.codes,
                [place for place, name in enumerate(calls.use_case_id.values) if name in compared],
            )
            weak = [
                name or "without a use case"
                for name in compared
                if (proof := certificate(replace(scored, pairs=own.take(own.use_case_id.equal(name)))))
                and not isinstance(proof, NotEnoughData)
                and proof.n >= ENOUGH
                and proof.high < view.rho
            ]
            proof = certify(
                own.weak_score,
                own.strong_score,
                rho=view.rho,
                alpha=view.alpha,
                weight=own.weight,
                max_weight=own.max_weight,
                cluster=own.block,
            )
            spend = calls.total_usd()
            share = float(calls.total_usd(covered) / spend) if spend else 0.0
            groups = [(np.arange(len(calls)), target)]
            outcome = relocate(calls, groups, view.shadows, now=view.until, seed=view.seed)
            trusted = scored.source in CERTIFYING
            found.append(
                Lever(
                    kind="change_outright",
                    provider=provider,
                    request_model=model,
                    use_case_id=None,
                    use_case_name=None,
                    target=target,
                    calls=calls.count(),
                    spend_usd=spend,
                    window_days=view.window_days,
                    window_saving=outcome.saving(),
                    at_most=False,
                    action=(
                        f"ask for {target} where the code asks for {model}"
                        if proof.certified and trusted and not weak
                        else f"do not change the model as a whole yet: move use cases to {target} one by one"
                    ),
                    findings=(
                        f"{proof.describe()}, over all use cases compared",
                        f"they make up {share:.0%} of the spend; nothing is known about the rest",
                        *((f"too weak on its own in {', '.join(sorted(weak)[:5])}",) if weak else ()),
                        *(() if trusted else (f"scored by {scored.source} alone, which certifies nothing",)),
                    ),
                    assumptions=(
                        *dict.fromkeys(outcome.plan[place].ratios.assumption for place in outcome.of_rule(0)[:3]),
                        "calls that were not compared keep as much of their quality as those that were",
                        "this certificate stands beside the others: each has its own chance of being wrong",
                    ),
                    as_of=view.until,
                    certificate=proof,
                    certified=proof.certified and trusted and not weak,
                    sql={
                        "calls": (
                            "SELECT count(*) FROM traffic() WHERE "
                            + sql_scope(view, provider, model, None).replace("request_model", "requested_model")
                        ),
                        "spend_usd": (
                            "SELECT sum(cost_usd) FROM traffic() WHERE "
                            + sql_scope(view, provider, model, None).replace("request_model", "requested_model")
                        ),
                    },
                )
            )
    return found
