"""The retention certificate: does the cheaper model keep a share rho of the quality, whoever looks, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import (
    Codes,
    Floats,
    cluster_codes,
    effective_size,
    grouped_sums,
    numbers,
    probability,
    same_length,
    scores,
    weights,
)
from tierwise.evidence.e_process import LOG_STAKE_SHARES, STAKES, log_e_value, log_mixture, ratio_lower_bound

_LARGEST_LOG_E = 700.0
_MOST_UNITS = 1e9


@dataclass(frozen=True, slots=True)
class Certificate:
    """What paired scores prove about retention, E[weak] / E[strong]."""

    certified: bool
    """Retention is at least `rho`, with confidence 1 - `alpha`, whenever one stops. The same as `low` >= `rho`."""
    e_value: float
    """Evidence against "retention is at most rho"; certified from 1 / alpha on. Cut off at e^700."""
    low: float
    """Lower bound on retention; 0 before any evidence."""
    value: float | None
    """Observed retention; None while the strong model has scored nothing."""
    high: float
    """Upper bound on retention; infinite before any evidence. `low` and `high` each hold with confidence 1 - alpha."""
    n: int
    """Pairs."""
    effective_n: float
    """Independent units (clusters, or pairs without clusters), discounted for unequal weights."""
    pairs_needed: int | None
    """Further pairs to certification at the rates seen so far; 0 once certified, None when those rates never get there.
    A forecast: about a third of samples take longer."""
    method: str
    rho: float
    alpha: float

    def to_dict(self) -> dict[str, bool | float | int | str | None]:
        """The fields as JSON values; an upper bound that does not exist yet is None."""
        return {
            "certified": self.certified,
            "e_value": self.e_value,
            "low": self.low,
            "value": self.value,
            "high": self.high if math.isfinite(self.high) else None,
            "n": self.n,
            "effective_n": self.effective_n,
            "pairs_needed": self.pairs_needed,
            "method": self.method,
            "rho": self.rho,
            "alpha": self.alpha,
        }

    def describe(self) -> str:
        """One line for a person, such as "retention 99.2% [95.4%, 103.0%], n=240, certified to keep 95%"."""
        if self.value is None:
            measured = f"retention unknown, n={self.n:,}"
        else:
            high = f"{self.high:.1%}" if math.isfinite(self.high) else "no upper bound"
            measured = f"retention {self.value:.1%} [{self.low:.1%}, {high}], n={self.n:,}"
        if self.certified:
            return f"{measured}, certified to keep {self.rho:.0%}"
        if self.n == 0:
            return f"{measured}, no pairs yet"
        if self.pairs_needed is None:
            return f"{measured}, not certified to keep {self.rho:.0%} and not on the way there"
        return f"{measured}, not certified to keep {self.rho:.0%}: about {self.pairs_needed:,} more pairs needed"


def certify(
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    *,
    rho: float = 0.95,
    alpha: float = 0.05,
    weight: npt.ArrayLike | None = None,
    max_weight: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    log_shares: Floats = LOG_STAKE_SHARES,
) -> Certificate:
    """Test H0: E[weak - rho strong] <= 0 on paired scores, valid at any time, and bound E[weak] / E[strong].

    Each pair gives weak / rho - strong, at least -1: what a bet against H0 wins per unit staked (see e_process). `low`
    is the largest rho that the same bets reject, and `high` mirrors it with the models exchanged, so that `certified`
    is `low >= rho`; an e-value of exactly 1 / alpha certifies. The verdict is that of the pairs given, in any order:
    a certificate issued earlier keeps its own promise when later pairs bring the e-value down again. For the evidence
    pair by pair, call log_e_process(weak - rho * strong, -rho, 1.0, 0.0).

    Args:
        weak, strong: shape (n,), scores in [0, 1] of the two models on the same requests.
        rho: the share of quality to keep.
        alpha: the chance of certifying a retention of rho or less, over all looks together.
        weight: shape (n,), 1 / propensity of the pair's having been sampled. A pair's bet is scaled by its weight over
            `max_weight`, which keeps any loss within the capital: the rarer the rarest pairs, the more pairs it takes.
        max_weight: 1 / the smallest propensity of the design, one number or shape (n,), that of the design in force
            when each pair was sampled. One per pair keeps earlier bets as they were when a design changes; where all
            calls were sampled alike it equals the weight, whatever the rate was. The largest weight in the sample when
            None, which scales earlier bets anew when a rarer pair comes: for a single look only.
        cluster: shape (n,), ids of the exchangeable units, such as conversations. Pairs in a cluster may depend on each
            other; each cluster counts once, with its mean, so retention is that of the average conversation.
        log_shares: shape (stakes,), how the starting capital is split; set without knowing any of the pairs.

    Returns: a Certificate; without pairs it is not certified, with bounds 0 and infinity and no value.
    Raises: ValueError for scores outside [0, 1], unequal lengths, or a weight that is not positive.
    """
    weak_scores, strong_scores = scores("weak", weak), scores("strong", strong)
    pairs = len(weak_scores)
    same_length(pairs, strong=strong_scores)
    if rho <= 0.0:
        raise ValueError(f"rho is {rho}; it is the share of quality to keep, such as 0.95")
    probability("alpha", alpha)
    unit_share = share_of_largest(weights(weight, pairs), max_weight)
    code, units = cluster_codes(cluster, pairs)
    size = np.bincount(code, minlength=units)
    return _certificate(
        grouped_sums(code, unit_share * weak_scores, units) / size,
        grouped_sums(code, unit_share * strong_scores, units) / size,
        rho=rho,
        alpha=alpha,
        pairs=pairs,
        effective_n=effective_size(grouped_sums(code, unit_share, units) / size),
        unit="pair" if cluster is None else "cluster",
        log_shares=log_shares,
    )


def share_of_largest(weight: Floats, max_weight: npt.ArrayLike | None) -> Floats:
    """Each weight as a share, in (0, 1], of the largest that its design allows, shape (n,); see `certify`."""
    if max_weight is None:
        return weight / weight.max(initial=1e-300)
    bound = np.broadcast_to(numbers("max_weight", np.atleast_1d(max_weight)), weight.shape)
    above = weight > bound
    if above.any():
        at = int(above.argmax())
        raise ValueError(
            f"weight is {weight[at]} at position {at}, above max_weight={bound[at]}; pass 1 / the smallest propensity"
        )
    return weight / bound


def first_scores(pair: npt.ArrayLike, scored_at: npt.ArrayLike) -> Codes:
    """Which rows count when pairs were scored again, in order of arrival: the first score of each pair.

    A bet is settled by the score it was placed on. Betting again on a pair whose outcome is known, or replacing the
    outcome after the fact, would let whoever re-scores steer the evidence; a better evaluation starts its own.

    Args:
        pair: shape (n,), ids.
        scored_at: shape (n,), when; rows of the same time keep their order.
    """
    when = numbers("scored_at", scored_at)
    ids = np.asarray(pair)
    same_length(len(when), pair=ids)
    arrival = np.argsort(when, kind="stable")
    _, first = np.unique(ids[arrival], return_index=True)
    return arrival[np.sort(first)]


def _certificate(
    weak: Floats,
    strong: Floats,
    *,
    rho: float,
    alpha: float,
    pairs: int,
    effective_n: float,
    unit: str,
    log_shares: Floats,
) -> Certificate:
    """The certificate of independent units with values in [0, 1]."""
    log_e = log_e_value(weak / rho - strong, log_shares)
    certified = log_e >= -math.log(alpha)
    low = ratio_lower_bound(weak, strong, alpha, log_shares)
    # Both come from the same bets; the last bit of the root must not make them disagree at a tie.
    low = max(low, rho) if certified else min(low, math.nextafter(rho, 0.0))
    inverse_high = ratio_lower_bound(strong, weak, alpha, log_shares)
    strong_total = float(strong.sum())
    return Certificate(
        certified=certified,
        e_value=math.exp(min(log_e, _LARGEST_LOG_E)),
        low=low,
        value=float(weak.sum()) / strong_total if strong_total > 0.0 else None,
        high=1.0 / inverse_high if inverse_high > 0.0 else math.inf,
        n=pairs,
        effective_n=effective_n,
        pairs_needed=0 if certified else _pairs_needed(weak, strong, rho=rho, alpha=alpha, pairs=pairs),
        method=f"betting e-process over {unit}s, mixture of {len(STAKES)} stakes",
        rho=rho,
        alpha=alpha,
    )


def _pairs_needed(weak: Floats, strong: Floats, *, rho: float, alpha: float, pairs: int) -> int | None:
    units = len(weak)
    if units == 0:
        return None
    rate = np.log1p((weak / rho - strong)[:, None] * STAKES).mean(axis=0)
    total = _units_to_certify(rate, alpha)
    return None if total is None else max(1, math.ceil((total - units) * pairs / units))


def _units_to_certify(rate: Floats, alpha: float) -> float | None:
    """How many units take the mixture to 1 / alpha when each stake's log capital grows by `rate` a unit.

    `rate` has shape (stakes,). The smallest N with sum over stakes of share * exp(N rate) >= 1 / alpha; None when no
    stake grows.
    """
    if rate.max() <= 0.0:
        return None
    threshold = -math.log(alpha)
    # One stake alone gets there by `most` at the latest, and no mixture is faster than its fastest stake.
    most = float(np.min((threshold - LOG_STAKE_SHARES[rate > 0.0]) / rate[rate > 0.0]))
    fewest = threshold / float(rate.max())
    if most > _MOST_UNITS:
        return None
    while most - fewest > 0.01:
        middle = 0.5 * (fewest + most)
        if float(log_mixture(middle * rate)) >= threshold:
            most = middle
        else:
            fewest = middle
    return most


def expected_pairs(
    retention: float,
    *,
    strong_rate: float = 0.9,
    weak_better: float = 0.02,
    rho: float = 0.95,
    alpha: float = 0.05,
) -> int | None:
    """About how many pairs a certificate takes before any have been seen; None when it is out of reach.

    Right-or-wrong scores: the strong model is right on the share `strong_rate`, the weak one alone on `weak_better`,
    and weak is right `retention` times as often as strong. The forecast is where a sample with exactly these shares
    certifies; about a third of real samples take longer.
    """
    weak_rate = retention * strong_rate
    both = weak_rate - weak_better
    strong_only = strong_rate - both
    neither = 1.0 - both - strong_only - weak_better
    shares = np.array([both, weak_better, strong_only, neither])
    if shares.min() < -1e-12:
        raise ValueError(
            f"retention={retention}, strong_rate={strong_rate} and weak_better={weak_better} leave a negative share of "
            "pairs; at most min(weak, 1 - strong) of the pairs can be right for the weak model alone"
        )
    gains = np.array([1.0 / rho - 1.0, 1.0 / rho, -1.0, 0.0])
    total = _units_to_certify(np.log1p(gains[:, None] * STAKES).T @ np.clip(shares, 0.0, 1.0), alpha)
    return None if total is None else math.ceil(total)
