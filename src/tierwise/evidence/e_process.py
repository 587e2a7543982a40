"""Betting e-processes: evidence against "the mean is at most m" that stays valid however often one looks.

A gambler who starts with 1 and stakes the fraction u of what they have on each observation holds, after n of them,

    K_n(u) = (1 + u g_1)(1 + u g_2) ... (1 + u g_n),        g_i = (x_i - m) / (m - lower) >= -1,

the capital process of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 86,
2024, section 4; their bet lambda is u / (m - lower)). While E[x] <= m no stake makes money on average, so by Ville's
inequality the chance that K ever reaches 1 / alpha is at most alpha. Every admissible e-value for a bounded mean is
such a bet (Clerico, "On the optimality of coin-betting for mean estimation", arXiv 2412.02640).

The stake is not guessed from the data: the starting capital is split over a fixed grid of stakes and left there, and
the e-value is the total, a method of mixtures. The total does not depend on the order of the observations.
`benchmarks/evidence/pairs_needed.py` measures this grid against plug-in bets (aGRAPA, online Newton steps) and against
Cover's universal portfolio.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, bounded, probability


def _stakes() -> tuple[Floats, Floats]:
    """The grid of stakes and the share of the starting capital on each.

    Large stakes settle easy questions soon, small ones are for close calls. The main grid is even in the square root of
    the stake, which keeps both within reach; a tail of tiny stakes is for long, noisy or heavily weighted samples.
    """
    tail = np.geomspace(0.005, 0.08, 5)
    main = np.linspace(0.10**0.5, 0.99**0.5, 15) ** 2
    return np.concatenate([tail, main]), np.concatenate([np.full(5, 0.06 / 5), np.full(15, 0.94 / 15)])


STAKES, STAKE_SHARES = _stakes()
LOG_STAKE_SHARES: Floats = np.log(STAKE_SHARES)

_NEAR = 0.5
"""Standard deviation, in log stakes, of what counts as near a stake."""


def log_mixture(log_capital: Floats, log_shares: Floats = LOG_STAKE_SHARES) -> Floats:
    """The log of the total capital, shape (...), from the log capital of each stake, shape (..., stakes).

    `log_shares`, shape (stakes,), say how the starting capital is split; whoever sets them may know nothing of the
    observations.
    """
    log_parts = log_capital + log_shares
    top = log_parts.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(log_parts - top).sum(axis=-1))


def log_shares_around(stake: float) -> Floats:
    """A split of the starting capital with four fifths of it near `stake` and the rest as always, shape (stakes,).

    For a bet whose best stake is known roughly beforehand; it certifies with fewer pairs when that is right, and a few
    more when it is wrong.
    """
    near = np.exp(-0.5 * (np.log(STAKES / min(max(stake, STAKES[0]), STAKES[-1])) / _NEAR) ** 2)
    return np.log(0.8 * near / near.sum() + 0.2 * STAKE_SHARES)


def log_capital(gains: Floats) -> Floats:
    """The log capital of each stake after all of `gains`, shape (stakes,)."""
    return np.log1p(gains[:, None] * STAKES).sum(axis=0)


def log_e_value(gains: Floats, log_shares: Floats = LOG_STAKE_SHARES) -> float:
    """The log e-value after all of `gains`, shape (n,): each >= -1, with mean <= 0 under the null hypothesis."""
    return float(log_mixture(log_capital(gains), log_shares))


def log_e_path(gains: Floats) -> Floats:
    """The log e-value after each of `gains`, shape (n,)."""
    return log_mixture(np.log1p(gains[:, None] * STAKES).cumsum(axis=0))


def log_e_process(x: npt.ArrayLike, lower: float, upper: float, mean0: float) -> Floats:
    """Log evidence against H0: E[x] <= mean0, after each observation, shape (n,).

    For H0: E[x] >= mean0 pass -x, -upper, -lower, -mean0. Observations equal to mean0 change nothing, exactly.

    Args:
        x: shape (n,), in order of arrival, all in [lower, upper].
        mean0: in (lower, upper]; at `lower` itself any larger observation refutes the null at once.
    """
    values = bounded("x", x, lower, upper)
    if not lower < mean0 <= upper:
        raise ValueError(f"mean0 is {mean0}; it lies above lower={lower} and is at most upper={upper}")
    return log_e_path((values - mean0) / (mean0 - lower))


def confidence_sequence(
    x: npt.ArrayLike, lower: float, upper: float, *, level: float = 0.95, grid: int = 200
) -> tuple[Floats, Floats]:
    """Bounds on E[x] after each observation that hold at all times together with probability `level`.

    Inverts the e-process over a grid of means, half of 1 - level on each side, rounding outward to the grid; each bound
    is the tightest so far (the running intersection), so it depends on the order of the observations.

    Args:
        x: shape (n,), in order of arrival, all in [lower, upper].
        grid: how many means are tried between lower and upper.

    Returns: low and high, shape (n,) each.
    """
    values = bounded("x", x, lower, upper)
    threshold = np.log(2.0 / (1.0 - probability("level", level)))
    means = np.linspace(lower, upper, grid + 1)

    low, high = np.full(len(values), float(lower)), np.full(len(values), float(upper))
    # Each bound moves through the means in order and stops at the first that no observation rejects: none beyond is.
    for mean in means[1:]:
        rejected = _ever_reached(log_e_path((values - mean) / (mean - lower)), threshold)
        if not rejected.any():
            break
        low[rejected] = mean
    for mean in means[-2::-1]:
        rejected = _ever_reached(log_e_path((mean - values) / (upper - mean)), threshold)
        if not rejected.any():
            break
        high[rejected] = mean
    return low, high


def _ever_reached(log_e: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    return np.maximum.accumulate(log_e) >= threshold


def ratio_lower_bound(
    numerator: Floats, denominator: Floats, alpha: float, log_shares: Floats = LOG_STAKE_SHARES
) -> float:
    """The r up to which the e-process rejects H0: E[numerator] <= r E[denominator] at 1 / alpha.

    The log capital is convex and decreasing in log r (a log of sums of exponentials of -log r), so Newton's method
    reaches the root from the left without ever crossing it: the bound errs downward. 0 while nothing is rejected.

    Args:
        numerator: shape (n,), >= 0.
        denominator: shape (n,), in [0, 1].
    """
    if not (numerator > 0.0).any():
        return 0.0
    rows, counts = np.unique(numerator + 1j * denominator, return_counts=True)
    won = STAKES * rows.real[:, None]
    kept = 1.0 - STAKES * rows.imag[:, None]
    threshold = -np.log(alpha)
    log_r = float(np.log(numerator.sum() / max(float(denominator.sum()), threshold)))
    rejected = -np.inf
    for _ in range(100):
        gained = won * np.exp(-log_r)
        factors = kept + gained
        log_parts = counts @ np.log(factors) + log_shares
        top = log_parts.max()
        parts = np.exp(log_parts - top)
        excess = top + np.log(parts.sum()) - threshold
        slope = -float((counts @ (gained / factors)) @ parts / parts.sum())
        if excess >= -1e-12:
            rejected = log_r
        step = -excess / slope
        log_r += float(step)
        if abs(step) < 1e-13:
            break
    return float(np.exp(rejected))
