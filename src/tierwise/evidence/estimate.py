"""A number with its interval, or the reason why there is none yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy.typing as npt

from tierwise.evidence._inputs import numbers, probability
from tierwise.evidence.quantiles import beta_quantile, normal_quantile, student_t_quantile

ENOUGH = 30
"""Below this many effective observations an interval that leans on the central limit theorem is not given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value between its bounds, at one look; see `retention` for bounds that hold at every look."""

    value: float
    low: float
    high: float
    confidence_level: float
    n: int
    """Observations."""
    effective_n: float
    """Independent, equally weighted observations that would carry as much."""
    method: str
    unit: str
    """USD, share (shown in percent), s, or any other unit; empty for a bare number."""

    def scaled(self, factor: float, unit: str | None = None) -> Estimate:
        """The estimate times a known `factor`, such as calls a month; `unit` stays unless given."""
        ends = sorted((self.low * factor, self.high * factor))
        return replace(
            self,
            value=self.value * factor,
            low=ends[0],
            high=ends[1],
            unit=self.unit if unit is None else unit,
        )

    def to_dict(self) -> dict[str, float | int | str | None]:
        """The fields as JSON values with "kind": "estimate"; an infinite bound is None."""
        return {
            "kind": "estimate",
            "value": self.value,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "confidence_level": self.confidence_level,
            "n": self.n,
            "effective_n": self.effective_n,
            "method": self.method,
            "unit": self.unit,
        }

    def describe(self) -> str:
        """One line for a person, such as "$412 [305, 540], n=1,204"."""
        if self.unit == "share":
            return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}], n={self.n:,}"
        low, high = _readable(self.low), _readable(self.high)
        if self.unit == "USD":
            sign = "-" if self.value < 0 else ""
            return f"{sign}${_readable(abs(self.value))} [{low}, {high}], n={self.n:,}"
        unit = f" {self.unit}" if self.unit else ""
        return f"{_readable(self.value)} [{low}, {high}]{unit}, n={self.n:,}"


@dataclass(frozen=True, slots=True)
class NotEnoughData:
    """There is no estimate yet, which is not an estimate of zero."""

    n: int
    """Observations so far."""
    needed: int
    """Observations from which on an estimate is given."""
    why: str

    def to_dict(self) -> dict[str, int | str]:
        """The fields as JSON values with "kind": "not_enough_data"."""
        return {"kind": "not_enough_data", "n": self.n, "needed": self.needed, "why": self.why}

    def describe(self) -> str:
        """One line for a person, such as "not enough data: 12 of 30 (independent conversations)"."""
        return f"not enough data: {self.n:,} of {self.needed:,} ({self.why})"


def _readable(number: float) -> str:
    """Three significant digits, whole from 100 on, thousands separated."""
    if not math.isfinite(number):
        return "∞" if number > 0 else "-∞"
    size = abs(number)
    if size >= 100 or size == 0:
        return f"{number:,.0f}"
    decimals = 2 - math.floor(math.log10(size))
    return f"{number:.{decimals}f}"


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate | NotEnoughData:
    """A proportion with the Wilson score interval: short, with about the nominal coverage on average.

    Wilson, "Probable inference", JASA 22 (1927). NotEnoughData when n is 0.
    """
    _check_counts(successes, n)
    if n == 0:
        return NotEnoughData(0, 1, "nothing observed")
    share = successes / n
    low, high = wilson_bounds(share, n, level)
    return Estimate(
        value=share,
        low=low,
        high=high,
        confidence_level=level,
        n=n,
        effective_n=float(n),
        method="Wilson score interval",
        unit="share",
    )


def wilson_bounds(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share that `n` observations, or as many as weighted ones are worth, have given."""
    z = normal_quantile(0.5 + 0.5 * probability("level", level))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and 1 the interval ends there exactly; rounding must not push the value outside it.
    return 0.0 if share == 0.0 else centre - half_width, 1.0 if share == 1.0 else centre + half_width


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Estimate | NotEnoughData:
    """A proportion with the exact binomial interval, whose coverage is never below `level`.

    Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934). NotEnoughData when n is 0.
    """
    _check_counts(successes, n)
    if n == 0:
        return NotEnoughData(0, 1, "nothing observed")
    tail = 0.5 * (1 - probability("level", level))
    return Estimate(
        value=successes / n,
        low=0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1),
        high=1.0 if successes == n else beta_quantile(1 - tail, successes + 1, n - successes),
        confidence_level=level,
        n=n,
        effective_n=float(n),
        method="Clopper-Pearson exact interval",
        unit="share",
    )


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes is {successes} of n={n}; it lies between 0 and n")


def mean_interval(values: npt.ArrayLike, level: float = 0.95, unit: str = "") -> Estimate | NotEnoughData:
    """A mean with Student's t interval; NotEnoughData below 30 values, where skewed data would make it too narrow.

    Args:
        values: shape (n,), independent.
    """
    sample = numbers("values", values)
    n = len(sample)
    if n < ENOUGH:
        return NotEnoughData(n, ENOUGH, "independent values for a t interval")
    mean = float(sample.mean())
    t = student_t_quantile(0.5 + 0.5 * probability("level", level), n - 1)
    half_width = t * float(sample.std(ddof=1)) / math.sqrt(n)
    return Estimate(
        value=mean,
        low=mean - half_width,
        high=mean + half_width,
        confidence_level=level,
        n=n,
        effective_n=float(n),
        method="Student t interval",
        unit=unit,
    )
