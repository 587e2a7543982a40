"""The traffic cut into use cases, each with the pairs that compare its model with cheaper ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tierwise.evidence.estimate import ENOUGH
from tierwise.evidence.portfolio import IN_TENTHS, Selection, select
from tierwise.evidence.retention import Certificate, certify
from tierwise.judges import JUDGE_OF
from tierwise.recommend.recommendation import JudgedEvidence, Scope
from tierwise.savings.follow_up import FollowUp, followed
from tierwise.savings.pairs import Pairs
from tierwise.savings.quality import Scored, scored_pairs
from tierwise.savings.traffic import Indices, Traffic, row_groups

CERTIFYING = frozenset({"check", "human"})
"""Sources of scores that certify. Structural checks see only a part of the errors, and a judge is not trusted alone."""

ALONE, CASCADE = "alone", "cascade"
"""Ways to use a cheaper model: its answer as it is, or the requested model's after it where a check fails."""
STANDARD_CHECKS = FollowUp()

_CHOOSING_SHARE = 0.35
_CHECKED_SHARE = 0.9
"""Of a slice's pairs: from there on they say what a cascade would do; the others count as not sent on."""
TEXT_OPERATIONS = frozenset({None, "", "chat", "text_completion", "generate_content"})


@dataclass(frozen=True, slots=True)
class Slice:
    """Calls of one use case for one model."""

    scope: Scope
    rows: Indices
    """Which rows of the traffic."""
    traffic: Traffic
    spend_usd: Decimal

    @property
    def calls(self) -> int:
        return self.traffic.count()


def slices(traffic: Traffic, *, most: int) -> list[Slice]:
    """The use cases of `traffic` by the model asked for, dearest first, at most `most`; those that cost nothing and
    calls without a use case are left out."""
    keys = np.stack([traffic.provider.codes, traffic.use_case_id.codes, traffic.requested_model.codes], axis=1)
    found: list[tuple[Scope, Indices, Decimal]] = []
    for rows in row_groups(keys.astype(np.int64)):
        newest = rows[np.argmax(traffic.start_ns[rows])]
        use_case_id, spend = traffic.use_case_id[newest], traffic.total_usd(rows)
        # A judge stays the model it was chosen to be: what it says is held against people as it is.
        is_judge = (traffic.use_case_name[newest] or "").startswith(JUDGE_OF)
        if is_judge or not use_case_id or spend <= 0 or traffic.operation[newest] not in TEXT_OPERATIONS:
            continue
        scope = Scope(
            use_case_id=use_case_id,
            use_case_name=traffic.use_case_name[newest],
            task_type=traffic.task_type[newest] or "unknown",
            provider=traffic.provider[newest] or "",
            request_model=traffic.requested_model[newest] or "",
        )
        found.append((scope, np.sort(rows), spend))
    found.sort(key=lambda item: (-item[2], item[0].use_case_id))
    return [Slice(scope, rows, traffic.take(rows), spend) for scope, rows, spend in found[:most]]


def of_current_versions(pairs: Pairs) -> Pairs:
    """The pairs answered by the model versions that answer now: evidence starts over when a version changes.

    Two models are compared per use case; the newest pair says which versions are current. A provider that does not name
    versions changes nothing.
    """
    keys = np.stack([pairs.use_case_id.codes, pairs.strong_model.codes, pairs.weak_model.codes], axis=1)
    kept = np.zeros(len(pairs), dtype=bool)
    for rows in row_groups(keys.astype(np.int64)):
        current = np.ones(len(rows), dtype=bool)
        newest_first = rows[np.argsort(-pairs.start_ns[rows], kind="stable")]
        for version in (pairs.strong_version, pairs.weak_version):
            named = [code for code in version.codes[newest_first] if version.values[code] is not None]
            if named:
                said = version.codes[rows]
                current &= (said == named[0]) | np.array([version.values[code] is None for code in said])
        kept[rows] = current
    return pairs.take(kept)


@dataclass(frozen=True, slots=True)
class Tried:
    """A cheaper model that has answered some of a slice's calls."""

    target: str
    scored: Scored
    rows: Indices
    """Which of all pairs may certify it: those that were not used to choose it."""
    certificate: Certificate
    """On these pairs."""
    judged: JudgedEvidence | None = None
    """Where a judge scored the pairs and people reviewed some: the certificate is theirs then."""

    @property
    def n(self) -> int:
        """Scored pairs, those used to choose it included."""
        return len(self.scored.pairs)

    @property
    def too_weak(self) -> bool:
        """Whether it certainly keeps less than rho of the quality."""
        return len(self.rows) >= ENOUGH and self.certificate.high < self.certificate.rho

    @property
    def cheaper(self) -> bool:
        return float(np.nansum(self.scored.pairs.strong_cost - self.scored.pairs.weak_cost)) > 0.0


class PairIndex:
    """Pairs by provider, use case, and the two models they compare."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self._nothing = pairs.take(np.zeros(0, dtype=np.intp))
        self._rows: dict[tuple[str | None, ...], dict[str, Indices]] = {}
        columns = (pairs.provider, pairs.use_case_id, pairs.strong_model, pairs.weak_model)
        for rows in row_groups(np.stack([column.codes for column in columns], axis=1).astype(np.int64)):
            provider, use_case, strong, weak = (column[rows[0]] for column in columns)
            self._rows.setdefault((provider, use_case, strong), {})[weak or ""] = np.sort(rows)

    def of(self, scope: Scope) -> dict[str, Indices]:
        """The rows in `scope`, by the cheaper model."""
        return self._rows.get((scope.provider, scope.use_case_id, scope.request_model), {})

    def between(self, scope: Scope, target: str) -> Pairs:
        """The pairs in `scope` with `target`."""
        rows = self.of(scope).get(target)
        # Most use cases have been compared with nothing, and there may be thousands of them.
        return self._nothing if rows is None else self.pairs.take(rows)


def tried(scope: Scope, known: PairIndex, *, rho: float, alpha: float, seed: int) -> list[Tried]:
    """The cheaper models with scored pairs in `scope`, the one to propose first.

    With several, the choice is made on a random third of the conversations and only the others certify: whatever is
    chosen because it looked good may have been lucky.
    """
    pairs = known.pairs
    found: list[tuple[str, Scored, Indices]] = []
    for target, rows in sorted(known.of(scope).items()):
        scored = scored_pairs(pairs.take(rows))
        if scored is not None:
            found.append((target, scored, rows[scored.rows]))
    choosing = np.zeros(pairs.blocks, dtype=bool)
    if len(found) > 1:
        choosing[np.random.default_rng(seed).random(pairs.blocks) < _CHOOSING_SHARE] = True
    ranked: list[tuple[bool, float, Tried]] = []
    for target, scored, rows in found:
        to_choose = choosing[pairs.block[rows]]
        first, rest = rows[to_choose], rows[~to_choose]
        trial = _certificate(pairs, first, rho=rho, alpha=alpha)
        saved = float(np.nansum(pairs.strong_cost[first] - pairs.weak_cost[first])) / max(len(first), 1)
        item = Tried(target, scored, rest, _certificate(pairs, rest, rho=rho, alpha=alpha))
        ranked.append((item.too_weak or trial.high < rho or not item.cheaper, -saved, item))
    ranked.sort(key=lambda entry: (entry[0], entry[1], entry[2].target))
    return [item for *_, item in ranked]


def _certificate(pairs: Pairs, rows: Indices, *, rho: float, alpha: float) -> Certificate:
    return certify(
        pairs.weak_score[rows],
        pairs.strong_score[rows],
        rho=rho,
        alpha=alpha,
        weight=pairs.weight[rows],
        max_weight=pairs.max_weight[rows],
        cluster=pairs.block[rows],
    )


def certified_together(
    chosen: Sequence[tuple[str, Tried]], pairs: Pairs, *, rho: float, alpha: float, floor: float, seed: int
) -> Selection | None:
    """The largest policy over the `chosen` (id, model) that is certified as a whole; None without usable pairs.

    A rule's `share` is a random part of its calls, so a use case may move in tenths. Pairs scored by a source that
    certifies, with a cost on both sides, take part in order of arrival. Those of use cases with few pairs do too: left
    out until there are enough, they would come in before pairs that arrived later.

    Where the structural checks looked at the cheap answers, the model takes part in both ways: the selection's
    `candidates` say which.
    """
    names: list[str] = []
    ways: list[str] = []
    rows: list[int] = []
    checked = ~pairs.weak_failed_checks.equal(None)
    for name, item in chosen:
        if item.scored.source not in CERTIFYING:
            continue
        priced = item.rows[(pairs.strong_cost[item.rows] > 0.0) & np.isfinite(pairs.weak_cost[item.rows])]
        for way in (ALONE, CASCADE) if len(priced) and checked[priced].mean() >= _CHECKED_SHARE else (ALONE,):
            names += [name] * len(priced)
            ways += [way] * len(priced)
            rows += priced.tolist()
    if not rows:
        return None
    arrival = np.argsort(pairs.scored_ns[rows], kind="stable")
    at, way = np.array(rows)[arrival], np.array(ways)[arrival]
    in_cascade = followed(pairs, STANDARD_CHECKS)
    return select(
        np.array(names)[arrival],
        np.where(way == CASCADE, in_cascade.weak_score[at], pairs.weak_score[at]),
        pairs.strong_score[at],
        np.where(way == CASCADE, in_cascade.weak_cost[at], pairs.weak_cost[at]),
        pairs.strong_cost[at],
        rho=rho,
        alpha=alpha,
        floor=floor,
        shares=IN_TENTHS,
        seed=seed,
        weight=pairs.weight[at],
        max_weight=pairs.max_weight[at],
        cluster=pairs.block[at],
        candidate=way,
    )
