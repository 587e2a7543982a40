"""How scores in [0, 1] differ between two arms of a rule, with bounds that hold at every look.

Scores are often nearly all 1, where a bootstrap of the few that are not gives an interval far too narrow, and none at
all when an arm has no failure yet. Betting bounds (Waudby-Smith and Ramdas, JRSS B 86, 2024) assume nothing but the
range, and hold however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tierwise.evidence.e_process import log_e_value
from tierwise.evidence.estimate import ENOUGH, Estimate, NotEnoughData
from tierwise.savings.arms import Difference, strata_of
from tierwise.savings.traffic import Flags, Floats, Ints

_STEPS = 40


def score_change(
    scores: Floats,
    *,
    treated: Flags,
    version: Ints,
    use_case: Ints,
    block: Ints,
    level: float = 0.95,
) -> Difference:
    """Kept minus treated, compared within each policy version and use case as `arm_difference` does.

    A conversation is one observation, its mean. Kept ones are weighted to be spread over the strata as the treated are;
    a rare stratum among them widens the interval. The bounds of the two arms are added up, each at half the error.

    Args:
        scores: shape (n,), each in [0, 1].
        treated, version, use_case, block: as in `arm_difference`.
    """
    stratum = strata_of(version, use_case, block, treated)
    counted = stratum >= 0
    left_out = int((~counted).sum())
    scores, treated, block, stratum = scores[counted], treated[counted], block[counted], stratum[counted]
    n_treated = int(treated.sum())
    n_kept = len(scores) - n_treated
    _, unit = np.unique(np.stack([block, stratum, treated.astype(np.int64)]), axis=1, return_inverse=True)
    unit = unit.ravel()
    size = np.bincount(unit)
    mean = np.bincount(unit, scores) / np.maximum(size, 1)
    first = np.unique(unit, return_index=True)[1]
    of_treated, of_stratum = treated[first], stratum[first]
    conversations = int(min(of_treated.sum(), (~of_treated).sum()))
    if conversations < ENOUGH:
        side = "treated" if n_treated < n_kept else "kept on the requested model"
        why = f"scored conversations {side}, in use cases and policy versions with both arms"
        return Difference(NotEnoughData(conversations, ENOUGH, why), None, None, n_treated, n_kept, left_out)

    strata = int(of_stratum.max()) + 1
    spread = np.bincount(of_stratum[of_treated], minlength=strata) / of_treated.sum()
    kept_spread = np.bincount(of_stratum[~of_treated], minlength=strata) / (~of_treated).sum()
    weight = spread[of_stratum[~of_treated]] / kept_spread[of_stratum[~of_treated]]
    tail = 0.25 * (1.0 - level)
    on_target = _bounds(mean[of_treated], 1.0, tail)
    stayed = _bounds(weight * mean[~of_treated], float(weight.max()), tail)
    value = stayed[0] - on_target[0]
    return Difference(
        estimate=Estimate(
            value=value,
            low=min(max(stayed[1] - on_target[2], -1.0), value),
            high=max(min(stayed[2] - on_target[1], 1.0), value),
            confidence_level=level,
            n=len(scores),
            effective_n=float(conversations),
            method=(
                f"treated against kept conversations within {strata} strata of policy version and use case, betting "
                "bounds on each mean, valid at every look"
            ),
            unit="",
        ),
        treated_mean=on_target[0],
        kept_mean=stayed[0],
        n_treated=n_treated,
        n_kept=n_kept,
        left_out=left_out,
    )


def _bounds(values: Floats, largest: float, tail: float) -> tuple[float, float, float]:
    """The mean of `values`, each in [0, largest], and its bounds, each wrong with probability `tail` at most."""
    threshold = -math.log(tail)
    share = values / largest

    def furthest(start: float, rejected: Callable[[float], bool]) -> float:
        """Where, between `start` and the mean, means begin to be possible; rounded away from the mean."""
        outside, inside = start, float(share.mean())
        if outside == inside:
            return start
        for _ in range(_STEPS):
            middle = 0.5 * (outside + inside)
            outside, inside = (middle, inside) if rejected(middle) else (outside, middle)
        return outside

    low = furthest(0.0, lambda mean: log_e_value((share - mean) / mean) >= threshold)
    high = furthest(1.0, lambda mean: log_e_value((mean - share) / (1.0 - mean)) >= threshold)
    return float(values.mean()), low * largest, high * largest
