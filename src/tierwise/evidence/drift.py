"""Watching an enforced rule: evidence that it no longer keeps the quality, valid however long it is watched."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tierwise.evidence._inputs import Floats, probability, same_length, scores
from tierwise.evidence.e_process import LOG_STAKE_SHARES, STAKES

_INVESTED_AT_START = 0.5
_CASH_PACE = 200.0
"""Pairs after which about two fifths of the waiting capital have entered."""


class Monitor:
    """A reverse e-process against H0: E[weak] >= rho_min E[strong], for a stream of shadow pairs.

    The false-alarm chance is alpha over the whole life of the rule, not per look. A gambler who bets against the rule
    from the start has lost nearly all by the time a good rule turns bad; so half of the capital starts betting at the
    first pair and the rest enters bit by bit, and some of it is always fresh. Cash that waits keeps its value, so the
    total is still an e-process (a mixture over starting times, as in Shin, Ramdas and Rinaldo, "E-detectors", New
    England Journal of Statistics in Data Science 2, 2024).
    """

    def __init__(self, *, rho_min: float = 0.95, alpha: float = 0.05) -> None:
        """
        Args:
            rho_min: the retention below which the rule must go, above 0.
            alpha: the chance of an alarm, ever, while retention is at least rho_min.
        """
        if rho_min <= 0.0:
            raise ValueError(f"rho_min is {rho_min}; it is a share of quality above 0, such as 0.95")
        self.rho_min = rho_min
        self.alpha = probability("alpha", alpha)
        self.n = 0
        """Pairs seen."""
        self._log_invested: Floats = LOG_STAKE_SHARES + math.log(_INVESTED_AT_START)
        self._crossed = False

    def update(self, weak: npt.ArrayLike, strong: npt.ArrayLike) -> float:
        """Add one pair or several in order of arrival; the e-value after the last.

        Args:
            weak, strong: a score in [0, 1] each, or shape (n,) of them. Pairs of one conversation depend on each other:
                pass their means as one pair.
        """
        weak_scores, strong_scores = scores("weak", np.atleast_1d(weak)), scores("strong", np.atleast_1d(strong))
        same_length(len(weak_scores), strong=strong_scores)
        # The gain is rho s - w >= -1: the null is E[w / rho_min] >= E[s], and w <= 1 bounds the loss.
        log_factors = np.log1p((self.rho_min * strong_scores - weak_scores)[:, None] * STAKES)
        for log_factor in log_factors:
            entering = _cash(self.n) - _cash(self.n + 1)
            self._log_invested = np.logaddexp(self._log_invested, LOG_STAKE_SHARES + math.log(entering)) + log_factor
            self.n += 1
            self._crossed = self._crossed or self.e_value >= 1.0 / self.alpha
        return self.e_value

    @property
    def e_value(self) -> float:
        """Evidence against the rule; 1 at the start. Cut off at e^700."""
        return _cash(self.n) + math.exp(min(float(np.logaddexp.reduce(self._log_invested)), 700.0))

    @property
    def crossed(self) -> bool:
        """Whether the e-value has ever reached 1 / alpha: the rule is to be rolled back. It never turns false again."""
        return self._crossed


def _cash(pairs: int) -> float:
    """The share of the capital not yet betting; it falls like 1 / log, so that late starts get their part too."""
    return (1.0 - _INVESTED_AT_START) / (1.0 + math.log1p(pairs / _CASH_PACE))
