"""How far along a path of policies the evidence reaches, whatever part of each move is taken back afterwards."""

from __future__ import annotations

import numpy as np

from tierwise.evidence._inputs import Codes, Floats, grouped_sums
from tierwise.evidence.e_process import STAKES, log_capital, log_mixture
from tierwise.evidence.ranking import Epoch, Step


class PolicyGains:
    """The log capital, at each stake, of tests of policies that move a share of the arms' calls.

    A unit's gain is that of keeping all its calls on the strong model, plus the share moved times what moving changes.
    Units within one arm are kept as sums per arm, so that a step of a path costs as much as the arm it changes.
    """

    def __init__(
        self, arm: Codes, weak: Floats, strong: Floats, *, weight: Floats, cluster: Codes, arms: int, rho: float
    ) -> None:
        """
        Args:
            arm, weak, strong, weight, cluster: shape (n,), of the pairs that test; `weight` is at most 1.
        """
        _, unit, size = np.unique(cluster, return_inverse=True, return_counts=True)
        share = weight / size[unit]
        kept: Floats = grouped_sums(unit, share * (1 / rho - 1) * strong, len(size))
        change = share * (weak - strong) / rho
        first, last = np.full(len(size), arms), np.full(len(size), -1)
        np.minimum.at(first, unit, arm)
        np.maximum.at(last, unit, arm)
        mixed = first != last
        unit_change = grouped_sums(unit, change, len(size))
        self._rows: list[tuple[Floats, Floats, Codes]] = []
        for code in range(arms):
            mine = ~mixed & (first == code)
            rows, counts = np.unique(kept[mine] + 1j * unit_change[mine], return_counts=True)
            self._rows.append((rows.real, rows.imag, counts))
        in_mixed = mixed[unit]
        mixed_unit, mixed_arm = np.cumsum(mixed)[unit[in_mixed]] - 1, arm[in_mixed]
        by_arm = np.split(np.argsort(mixed_arm, kind="stable"), np.cumsum(np.bincount(mixed_arm, minlength=arms))[:-1])
        self._mixed = [(mixed_unit[rows], change[in_mixed][rows], np.zeros(len(rows))) for rows in by_arm]
        self._mixed_gains = kept[mixed]
        self._mixed_total = log_capital(self._mixed_gains)
        self._arms = [self.of_arm(code, 0.0) for code in range(arms)]
        self._total = np.sum(self._arms, axis=0) if arms else np.zeros(len(STAKES))

    def of_arm(self, code: int, share: float) -> Floats:
        """Of the units within one arm when this share of it moves, shape (stakes,)."""
        kept, change, counts = self._rows[code]
        return counts.astype(np.float64) @ np.log1p((kept + share * change)[:, None] * STAKES)

    def move(self, step: Step, firm: Floats) -> None:
        """Move the arms of `step`; what exceeds their share in `firm`, shape (arms,), may be taken back.

        The capital counted is the smallest that any share between the two has: it is concave in the share, so one of
        the ends has it, and as arms add up each may be at its own end.
        """
        for code in step.arms:
            least = self.of_arm(code, step.share)
            if firm[code] < step.share:
                least = np.minimum(least, self.of_arm(code, float(firm[code])))
            self._total = self._total + least - self._arms[code]
            self._arms[code] = least
            self._move_mixed(code, step.share, min(float(firm[code]), step.share))

    def _move_mixed(self, code: int, share: float, sure: float) -> None:
        """The same for units of several arms. There the ends do not add up: each pair counts at its own worse end."""
        unit, change, counted = self._mixed[code]
        if not len(unit):
            return
        worst = np.minimum(sure * change, share * change)
        touched, at = np.unique(unit, return_inverse=True)
        before = self._mixed_gains[touched]
        after = before + grouped_sums(at, worst - counted, len(touched))
        self._mixed_total = self._mixed_total + log_capital(after) - log_capital(before)
        self._mixed_gains[touched] = after
        counted[:] = worst

    def log_e_value(self, log_shares: Floats) -> float:
        """Of the policy moved to so far, at its worst."""
        return float(log_mixture(self._total + self._mixed_total, log_shares))


def certified_steps(epoch: Epoch, gains: PolicyGains, firm: Floats) -> int:
    """How many steps of an epoch's path are certified, one after the other until the first that is not.

    Args:
        firm: shape (arms,), shares that will not be taken back; what a step moves beyond them may be, in part or all.
    """
    for number, step in enumerate(epoch.path):
        gains.move(step, firm)
        if gains.log_e_value(step.log_shares) < -np.log(epoch.alpha):
            return number
    return len(epoch.path)
