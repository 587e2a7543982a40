"""Measured values as a person reads them: the value, its interval, and in words what is missing when there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import format
import streamlit as st

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in text."""

    value: str
    """The value alone; a dash when there is none."""
    interval: str
    """`$305.00 to $520.00`, or why there is no value."""
    detail: str
    """Confidence, number of observations and method; what is counted when there are too few."""
    known: bool


def shown(figure: Estimate | NotEnoughData) -> Shown:
    """The figure in its own unit: USD, share or seconds."""
    if isinstance(figure, NotEnoughData):
        why = f"not enough data: {format.count(figure.n)} of {format.count(figure.needed)}"
        return Shown(format.UNKNOWN, why, figure.why, known=False)
    write = _writer(figure.unit)
    return Shown(
        value=write(figure.value),
        interval=f"{write(figure.low)} to {write(figure.high)}"
        if math.isfinite(figure.high)
        else f"{write(figure.low)} or more",
        detail=f"{format.percent(figure.confidence_level, 0)} interval, n={format.count(figure.n)}, {figure.method}",
        known=True,
    )


def shown_retention(proof: Certificate | NotEnoughData) -> Shown:
    """Quality kept, candidate over requested model."""
    if isinstance(proof, NotEnoughData):
        return Shown(format.UNKNOWN, "no scored pairs yet", proof.why, known=False)
    high = format.percent(proof.high) if math.isfinite(proof.high) else "no upper bound"
    return Shown(
        value=format.percent(proof.value),
        interval=f"{format.percent(proof.low)} to {high}",
        detail=f"{format.percent(1 - proof.alpha, 0)} bounds that hold at every look, n={format.count(proof.n)} pairs, "
        f"{proof.method}",
        known=proof.value is not None,
    )


def e_value(proof: Certificate) -> str:
    """Evidence that at least the share to keep is kept, and from where on it certifies."""
    amount = "over 1,000" if proof.e_value > 1000 else f"{proof.e_value:.3g}"
    return f"e-value {amount} (certified from {format.count(1 / proof.alpha)})"


def _writer(unit: str) -> Callable[[float], str]:
    match unit:
        case "USD":
            return format.money
        case "share":
            return format.percent
        case "s":
            return format.seconds
        case _:
            return lambda number: format.number(number, unit)


def metric(label: str, text: Shown, *, note: str = "", colour: str = "gray", sign: bool = False) -> None:
    """Draw a figure as a card: the value large, its interval under it.

    Args:
        note: goes into the tooltip before what the interval is.
        colour: of the interval.
        sign: put a plus before a value that has none.
    """
    plus = "+" if sign and text.known and text.value[0].isdigit() else ""
    card(
        label,
        plus + text.value,
        text.interval,
        colour=colour if text.known else "gray",
        note=". ".join(part for part in (note, text.detail) if part),
    )


def card(label: str, value: str, caption: str, *, colour: str = "gray", note: str = "") -> None:
    """Draw a card of a label, a large value and a caption.

    The caption is text of its own because a metric cuts its own off when the card is narrow, and half an interval is
    worse than none.
    """
    with st.container(border=True, height="stretch", gap="xxsmall"):
        st.metric(label, format.literal(value), help=format.literal(note) or None)
        st.markdown(f":small[:{colour}[{format.literal(caption)}]]")
