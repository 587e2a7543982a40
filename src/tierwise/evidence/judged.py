"""A retention certificate from a judge's scores of many pairs and people's scores of a few, valid at any time.

For a pair that a person reviewed with probability q, the gain is

    c J + (reviewed / q) (H - c J),        H = weak / rho - strong by people, J the same by the judge,

whose mean is that of H whatever the judge says and whatever c is: the judge is corrected, never trusted (the AIPW form
of Robins, Rotnitzky and Zhao, JASA 89, 1994; as a bet: Csillag, Struchiner and Goedert, "Prediction-powered e-values",
arXiv 2502.04294). A judge that agrees with people lowers the variance by as much as it agrees; with c = 0 the
unreviewed pairs say nothing and only people count. How good the judge is nobody knows beforehand, so the capital is
split over several c as it is over stakes: the certificate takes little more than the better of both would.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import (
    Floats,
    cluster_codes,
    grouped_sums,
    numbers,
    probability,
    same_length,
    scores,
    weights,
)
from tierwise.evidence.e_process import STAKES, log_capital, log_mixture
from tierwise.evidence.estimate import ENOUGH
from tierwise.evidence.retention import Certificate, share_of_largest

_TRUST = (0.0, 0.5, 1.0)
_TRUST_SHARES = (0.4, 0.2, 0.4)
_BOUNDS = np.round(np.arange(0.5, 1.2001, 0.01), 4)
"""Retentions that `low` and `high` are looked for among."""


def certify_judged(
    judge_weak: npt.ArrayLike,
    judge_strong: npt.ArrayLike,
    human_weak: npt.ArrayLike,
    human_strong: npt.ArrayLike,
    review_probability: npt.ArrayLike,
    *,
    least_review_probability: float,
    rho: float = 0.95,
    alpha: float = 0.05,
    weight: npt.ArrayLike | None = None,
    max_weight: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
) -> Certificate:
    """The certificate of `certify` for human scores, with a judge's scores for the pairs that nobody reviewed.

    Args:
        judge_weak, judge_strong: shape (n,), in [0, 1], of all pairs.
        human_weak, human_strong: shape (n,), in [0, 1]; NaN in both where nobody reviewed the pair.
        review_probability: shape (n,), the probability with which the pair was to be reviewed, known before it was
            drawn; it may depend on the judge's scores, such as more reviews where the judge finds a loss.
        least_review_probability: the smallest that the design allows. A change of design needs a new certificate.
        weight, max_weight, cluster: as in `certify`, for how the pairs themselves were sampled.

    Returns: a Certificate; `n` counts pairs, `effective_n` reviewed ones, `value` is None while it cannot be estimated,
        and `low` and `high` are looked for between 50% and 120%. `pairs_needed` is None: it depends on who reviews.
    Raises: ValueError for scores outside [0, 1], half-reviewed pairs, or a probability below the least.
    """
    judged = scores("judge_weak", judge_weak), scores("judge_strong", judge_strong)
    n = len(judged[0])
    given = np.asarray(human_weak, dtype=np.float64), np.asarray(human_strong, dtype=np.float64)
    chance = numbers("review_probability", review_probability)
    same_length(n, judge_strong=judged[1], human_weak=given[0], human_strong=given[1], review_probability=chance)
    probability("alpha", alpha)
    drawn_for = weights(weight, n)
    unit_share = share_of_largest(drawn_for, max_weight)
    reviewed = np.isfinite(given[0])
    if (reviewed != np.isfinite(given[1])).any():
        raise ValueError("a pair has one human score; a reviewed pair has both, any other NaN in both")
    if not 0.0 < least_review_probability <= 1.0:
        raise ValueError(f"least_review_probability is {least_review_probability}; it lies above 0 and is at most 1")
    outside = (chance < least_review_probability) | (chance > 1.0)
    if outside.any():
        at = int(outside.argmax())
        raise ValueError(
            f"review_probability is {chance[at]} at position {at}, outside [{least_review_probability}, 1]"
        )
    people = (
        scores("human_weak", np.where(reviewed, given[0], 0.0)),
        scores("human_strong", np.where(reviewed, given[1], 0.0)),
    )
    code, units = cluster_codes(cluster, n)
    size = np.bincount(code, minlength=units)
    review = reviewed / chance
    columns = np.stack([*judged, *people, review, unit_share], axis=1)
    # Right-or-wrong scores come in a few kinds of pairs, each worked out once.
    kinds, kind, count = np.unique(columns, axis=0, return_inverse=True, return_counts=True)

    def log_e(retention: float, sign: float) -> float:
        judge_gain = sign * (kinds[:, 0] / retention - kinds[:, 1])
        human_gain = sign * (kinds[:, 2] / retention - kinds[:, 3])
        by_trust: list[float] = []
        for trust in _TRUST:
            loss = _largest_loss(trust, retention, sign, least_review_probability)
            gain = kinds[:, 5] * (trust * judge_gain + kinds[:, 4] * (human_gain - trust * judge_gain)) / loss
            if cluster is None:
                capital = count.astype(np.float64) @ np.log1p(gain[:, None] * STAKES)
            else:
                capital = log_capital(grouped_sums(code, gain[kind.ravel()], units) / size)
            by_trust.append(float(log_mixture(capital)))
        return float(np.logaddexp.reduce(np.array(by_trust) + np.log(_TRUST_SHARES)))

    threshold = -math.log(alpha)
    evidence = log_e(rho, 1.0)
    certified = evidence >= threshold
    low = _furthest(_BOUNDS, lambda retention: log_e(retention, 1.0) >= threshold)
    high = _furthest(_BOUNDS[::-1], lambda retention: log_e(retention, -1.0) >= threshold)
    low = max(low or 0.0, rho) if certified else min(low or 0.0, math.nextafter(rho, 0.0))
    weak_total = float(drawn_for @ (judged[0] + review * (people[0] - judged[0])))
    strong_total = float(drawn_for @ (judged[1] + review * (people[1] - judged[1])))
    known = int(reviewed.sum()) >= ENOUGH and strong_total > 0.0
    return Certificate(
        certified=certified,
        e_value=math.exp(min(evidence, 700.0)),
        low=low,
        value=max(weak_total, 0.0) / strong_total if known else None,
        high=math.inf if high is None else high,
        n=n,
        effective_n=float(reviewed.sum()),
        pairs_needed=0 if certified else None,
        method=f"prediction-powered betting over {'pairs' if cluster is None else 'clusters'}",
        rho=rho,
        alpha=alpha,
    )


def _largest_loss(trust: float, retention: float, sign: float, least: float) -> float:
    """The most that a gain can be below 0: the worst human score of a rarely reviewed pair on which the judge was
    wholly wrong, or the judge's own worst when nobody reviewed it."""
    best, worst = (1.0 / retention, 1.0) if sign > 0.0 else (1.0, 1.0 / retention)
    return max(worst / least + trust * (1.0 / least - 1.0) * best, trust * worst)


def _furthest(retentions: Floats, rejected: Callable[[float], bool]) -> float | None:
    """The last of `retentions` up to which all are rejected; None when the first is not."""
    last = None
    for retention in retentions:
        if not rejected(float(retention)):
            break
        last = float(retention)
    return last
