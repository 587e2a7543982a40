"""What a judge's scores of many pairs and people's scores of a few prove together, by use case and candidate.

The judge scores every pair, people the few that were drawn for review with a known probability. People correct the
judge, pair by pair, so a lenient judge certifies nothing that they would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.evidence.judged import certify_judged
from tierwise.evidence.judges import agreement, bias, position_bias, ppi
from tierwise.evidence.multiple import adjusted_e_values
from tierwise.evidence.retention import Certificate, first_scores
from tierwise.recommend.recommendation import JudgedEvidence, Scope
from tierwise.recommend.slices import of_current_versions
from tierwise.review.draw import SETTLED_NS, ReviewPlans, drawn
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.traffic import Flags, Floats, Indices, row_groups
from tierwise.store.reviews import SCORES, Verdict

if TYPE_CHECKING:
    from tierwise.recommend.slices import Tried
    from tierwise.store import Store

ALPHA_SHARE = 0.2
"""Part of the error that may be made which goes to use cases certified by a judge and people, where there are any."""
_REVIEW_COLUMNS = ("draw", "disagrees", "rule_id", "review_verdict", "review_propensity", "reviewed_at")
_OUTCOMES = {"win": 1.0, "tie": 0.5, "loss": 0.0}

Key = tuple[str | None, str | None, str | None, str | None]
"""Provider, use case id, requested model, candidate."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """Pairs that a judge scored, in order of arrival; every array has shape (n,)."""

    pairs: Pairs
    """The judge's scores."""
    strong_human: Floats
    """NaN where nobody reviewed the pair, as in the two below; 0 on both sides where a person could not decide: a pair
    that says nothing, whatever share of the quality is to be kept."""
    weak_human: Floats
    review_propensity: Floats
    least_propensity: Floats
    """The smallest that the plan in force at the pair gives any pair."""
    random: Flags
    """Drawn for review whatever the scores."""
    waiting: Flags
    """Drawn, and not decided yet."""
    skipped: Flags

    def take(self, rows: Indices) -> _Judged:
        columns = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "pairs"}
        return _Judged(pairs=self.pairs.take(rows), **columns)


def read_judged(
    store: Store,
    scored: pa.Table,
    *,
    now: datetime,
    rho: float,
    alpha: float,
    largest: Mapping[int, float] | None = None,
) -> dict[Key, JudgedEvidence]:
    """The evidence of each use case and candidate whose pairs a judge has scored; nothing for those without a judge.

    Args:
        scored: rows of the named query `pairs`.
        now: aware; pairs younger than a minute are not settled.
        largest: as in `read_pairs`.
    """
    if "judge" not in scored["evaluation_source"].unique().to_pylist():
        return {}
    plans = ReviewPlans.of_store(store)
    judged = _joined(store, scored, plans, now, largest)
    orders = _orders(store, now)
    found: dict[Key, JudgedEvidence] = {}
    pairs = judged.pairs
    columns = (pairs.provider, pairs.use_case_id, pairs.strong_model, pairs.weak_model)
    for rows in row_groups(np.stack([column.codes for column in columns], axis=1).astype(np.int64)):
        provider, use_case_id, strong, weak = (column[rows[0]] for column in columns)
        key = (provider, use_case_id, strong, weak)
        names, counts = np.unique(pairs.evaluation_name.codes[rows], return_counts=True)
        # The judge with the most pairs: chosen by number, never by what it says.
        code = names[counts.argmax()]
        own = judged.take(np.sort(rows[pairs.evaluation_name.codes[rows] == code]))
        name = pairs.evaluation_name.values[code] or ""
        found[key] = _evidence(own, name, orders.get((*key, name), ()), rho=rho, alpha=alpha)
    return found


def _joined(
    store: Store, scored: pa.Table, plans: ReviewPlans, now: datetime, largest: Mapping[int, float] | None
) -> _Judged:
    settled_ns = int(now.timestamp() * 1e9) - SETTLED_NS
    reviews = store.query("review_pairs", until=now, settled_ns=settled_ns)
    # A judge's scores are of every pair: how likely a pair was to be reviewed weighs people's scores alone.
    scored = scored.drop_columns([name for name in ("review_propensity",) if name in scored.column_names])
    keys = ["shadow_trace_id", "shadow_span_id"]
    table = (
        scored.filter(pc.field("evaluation_source") == "judge")
        .join(reviews.select([*keys, *_REVIEW_COLUMNS]), keys=keys, join_type="inner")
        .sort_by([("start_time", "ascending"), ("trace_id", "ascending"), ("shadow_span_id", "ascending")])
    )
    rows = table.select(["policy_version", *_REVIEW_COLUMNS]).to_pylist()
    table = table.drop_columns(["review_propensity"])
    draws = [drawn(row, plans) for row in rows]
    verdicts = [row["review_verdict"] for row in rows]
    scores = [_human(verdict) for verdict in verdicts]
    pairs = read_pairs(table, largest)
    judged = _Judged(
        pairs=pairs,
        strong_human=np.array([strong for strong, _ in scores], dtype=np.float64),
        weak_human=np.array([weak for _, weak in scores], dtype=np.float64),
        review_propensity=np.array([row["review_propensity"] or np.nan for row in rows], dtype=np.float64),
        least_propensity=np.array(
            [plans.plan(row["policy_version"], row["rule_id"]).sample for row in rows], dtype=np.float64
        ),
        random=np.array([draw is not None and draw.reason == "random" for draw in draws], dtype=bool),
        waiting=np.array([draw is not None for draw in draws], dtype=bool)
        & np.array([verdict is None for verdict in verdicts], dtype=bool),
        skipped=np.array([verdict == "skip" for verdict in verdicts], dtype=bool),
    )
    # Evidence starts over when a model's version changes.
    current = of_current_versions(replace(pairs, shadow=np.arange(len(pairs), dtype=np.int64))).shadow
    return judged.take(current.astype(np.intp))


def _human(verdict: str | None) -> tuple[float, float]:
    if verdict is None:
        return np.nan, np.nan
    strong, weak = SCORES[cast("Verdict", verdict)]
    return (strong or 0.0, weak or 0.0)


def _orders(store: Store, now: datetime) -> dict[tuple[str | None, ...], list[tuple[float, float]]]:
    found: dict[tuple[str | None, ...], list[tuple[float, float]]] = {}
    for row in store.query("judge_orders", until=now).to_pylist():
        first, second = _OUTCOMES.get(row["shown_first"]), _OUTCOMES.get(row["shown_second"])
        if first is not None and second is not None:
            key = (row["provider"], row["use_case_id"], row["strong_model"], row["weak_model"], row["evaluation_name"])
            found.setdefault(key, []).append((first, second))
    return found


def _evidence(
    judged: _Judged,
    judge: str,
    orders: Sequence[tuple[float, float]],
    *,
    rho: float,
    alpha: float,
) -> JudgedEvidence:
    n = len(judged.pairs)
    # A pair is judged once; a judge that was asked again does not change a bet that was placed.
    judged = judged.take(np.sort(first_scores(judged.pairs.shadow, judged.pairs.scored_ns)))
    waiting = int(judged.waiting.sum())
    # Reviews go by arrival. Beyond the first drawn pair that waits, which pairs have been reviewed is up to the
    # reviewer and no longer up to the draw.
    until = int(judged.waiting.argmax()) if waiting else len(judged.pairs)
    settled = judged.take(np.arange(until, dtype=np.intp))
    pairs, reviewed = settled.pairs, np.isfinite(settled.weak_human)
    chance = np.where(reviewed, settled.review_propensity, 1.0)
    certificate = certify_judged(
        pairs.weak_score,
        pairs.strong_score,
        settled.weak_human,
        settled.strong_human,
        chance,
        least_review_probability=float(np.minimum(settled.least_propensity, chance).min(initial=1.0)),
        rho=rho,
        alpha=alpha,
        weight=pairs.weight,
        max_weight=pairs.max_weight,
        cluster=pairs.block,
    )
    decided = reviewed & ~settled.skipped
    sample = decided & settled.random
    people = (settled.weak_human[sample] - settled.strong_human[sample] + 1.0) / 2.0
    said = (pairs.weak_score[sample] - pairs.strong_score[sample] + 1.0) / 2.0
    alike = agreement(people, said)
    position = position_bias([first for first, _ in orders], [second for _, second in orders])
    return JudgedEvidence(
        judge=judge,
        pairs=n,
        counted=until,
        reviewed=int(decided.sum()),
        skipped=int((settled.skipped & reviewed).sum()),
        waiting=waiting,
        certificate=certificate,
        strong_quality=ppi(settled.strong_human[sample], pairs.strong_score[sample], pairs.strong_score[~reviewed]),
        weak_quality=ppi(settled.weak_human[sample], pairs.weak_score[sample], pairs.weak_score[~reviewed]),
        agreement=alike.observed,
        kappa=alike.kappa,
        leniency=bias(people, said),
        position_advantage=position.advantage,
        consistency=position.consistency,
    )


def with_judged(models: Iterable[Tried], scope: Scope, known: Mapping[Key, JudgedEvidence]) -> list[Tried]:
    """The models tried in `scope`, those that only a judge or people scored with what both prove together."""
    found: list[Tried] = []
    for model in models:
        evidence = known.get((scope.provider, scope.use_case_id, scope.request_model, model.target))
        if evidence is not None and evidence.reviewed and model.scored.source in ("judge", "human"):
            model = replace(model, judged=evidence, certificate=evidence.certificate)
        found.append(model)
    return found


def certified_by_people(proposed: Mapping[str, JudgedEvidence], *, alpha: float) -> frozenset[str]:
    """Which of the proposals (by id) a judge and people certify, all of them together with an error of `alpha`.

    Each keeps rho of the quality by itself, so they keep it together with whatever else does.
    """
    ids = list(proposed)
    certificates: list[Certificate] = [proposed[name].certificate for name in ids]
    adjusted = adjusted_e_values([min(proof.e_value, 1e300) for proof in certificates])
    return frozenset(
        name
        for name, e_value, proof in zip(ids, adjusted, certificates, strict=True)
        if e_value >= 1.0 / alpha and proof.certified
    )


def in_words(evidence: JudgedEvidence) -> tuple[str, ...]:
    """What is to be known about scores that come from a judge and people."""
    lines = [
        (
            f"the judge {evidence.judge} scored the pairs and people corrected it on {evidence.reviewed:,} of them; "
            f"in the pairs drawn at random they agree on {evidence.agreement.describe()}"
        )
    ]
    if evidence.skipped:
        lines.append(f"{evidence.skipped:,} pairs that a person could not decide count neither way")
    return tuple(lines)


def still_missing(evidence: JudgedEvidence) -> str:
    """What would move it on."""
    if evidence.waiting:
        return (
            f"{evidence.waiting:,} pairs wait for review, and only the {evidence.counted:,} of {evidence.pairs:,} that "
            "came before the first of them count: `tierwise review` goes on"
        )
    return f"people have reviewed {evidence.reviewed:,} of {evidence.pairs:,} judged pairs: more pairs, or more reviews"
