"""Measured values in a terminal: never without interval, and in words when there are none."""

from __future__ import annotations

import math

from tierwise.cli.terminal import usd
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.savings.latency import LatencyChange


def shown(figure: Estimate | NotEnoughData) -> str:
    """`$412 [$305, $540]`; `12 of 30 conversations…` in place of a number when there is none."""
    if isinstance(figure, NotEnoughData):
        return f"not enough data ({figure.n:,} of {figure.needed:,})"
    if figure.unit == "USD":
        return f"{usd(figure.value)} [{usd(figure.low)}, {usd(figure.high)}]"
    if figure.unit == "share":
        return f"{figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}]"
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.value:+.3g}{unit} [{figure.low:+.3g}, {figure.high:+.3g}]"


def retention(proof: Certificate | NotEnoughData) -> str:
    """`99.2% [95.4%, 103.0%], n=240`."""
    if isinstance(proof, NotEnoughData):
        return "no scored pairs"
    high = f"{proof.high:.1%}" if math.isfinite(proof.high) else "no bound"
    value = "unknown" if proof.value is None else f"{proof.value:.1%}"
    return f"{value} [{proof.low:.1%}, {high}], n={proof.n:,}"


def latency(change: LatencyChange | NotEnoughData) -> str:
    """`p50 -0.78 s, p95 -1.20 s`, with intervals."""
    if isinstance(change, NotEnoughData):
        return f"not enough data ({change.n:,} of {change.needed:,} pairs)"
    return f"p50 {shown(change.p50_change)}, p95 {shown(change.p95_change)}"


def percent(share: float | None) -> str:
    """`97.4%`; `unknown` for None."""
    return "unknown" if share is None else f"{share:.1%}"


def span(days: float) -> str:
    """`12 days`, `5 hours`; `hour` for anything up to one."""
    if days >= 2:
        return f"{days:,.0f} days"
    hours = round(days * 24)
    return f"{hours} hours" if hours > 1 else "hour"
