"""Which scores of a slice's pairs count, and what they prove about the quality kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.evidence.estimate import ENOUGH, NotEnoughData
from tierwise.evidence.retention import Certificate, certify
from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Flags, Floats, Indices

TRUST = ("human", "judge", "check", "structural")
"""Sources of scores that count as evidence, most trusted first; feedback is anybody's and is left out."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Pairs scored by one evaluation."""

    pairs: Pairs
    """One row a pair, both scores known."""
    rows: Indices
    """Which rows of the pairs that were looked through these are."""
    evaluation: str
    source: str
    """One of TRUST."""


def scored_pairs(pairs: Pairs) -> Scored | None:
    """The rows of the evaluation that counts: of the most trusted source with enough pairs, the largest.

    While no source has enough, the evaluation with the most pairs. What is chosen depends on trust and number, never on
    the scores. None without any scored pair.
    """
    usable = _is_score(pairs.strong_score) & _is_score(pairs.weak_score)
    found: list[tuple[bool, int, int, str, str]] = []
    for place, source in enumerate(reversed(TRUST)):
        of_source = usable & pairs.evaluation_source.equal(source)
        for code in np.unique(pairs.evaluation_name.codes[of_source]):
            name = pairs.evaluation_name.values[code]
            n = int((of_source & (pairs.evaluation_name.codes == code)).sum())
            found.append((n >= ENOUGH, place if n >= ENOUGH else 0, n, name or "", source))
    if not found:
        return None
    *_, name, source = max(found, key=lambda item: (item[:3], item[3]))
    rows = (usable & pairs.evaluation_source.equal(source) & pairs.evaluation_name.equal(name)).nonzero()[0]
    _, first = np.unique(pairs.shadow[rows], return_index=True)
    rows = rows[np.sort(first)]
    return Scored(pairs.take(rows), rows, name, source)


def _is_score(values: Floats) -> Flags:
    """Which are in [0, 1]: NaN is none, and what lies outside was sent by somebody who meant another scale."""
    return (values >= 0.0) & (values <= 1.0)


def certificate(scored: Scored | None, *, rho: float = 0.95, alpha: float = 0.05) -> Certificate | NotEnoughData:
    """What the scores prove about retention; NotEnoughData without any."""
    if scored is None or not len(scored.pairs):
        return NotEnoughData(0, 1, "pairs scored on both sides by the same evaluation")
    pairs = scored.pairs
    return certify(
        pairs.weak_score,
        pairs.strong_score,
        rho=rho,
        alpha=alpha,
        weight=pairs.weight,
        max_weight=pairs.max_weight,
        cluster=pairs.block,
    )
