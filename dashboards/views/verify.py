"""Verify: what enforced rules saved, from their own arms, against what was predicted when they were approved."""

from __future__ import annotations

from typing import Any

import analysis
import charts
import downloads
import estimates
import format
import states
import streamlit as st
from filters import Filters

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend.verify import Drift, Verification

selected: Filters = st.session_state["selected"]

_VERDICTS: dict[str, tuple[Any, str]] = {
    "as predicted": ("green", ":material/check_circle:"),
    "more than predicted": ("green", ":material/trending_up:"),
    "less than predicted": ("red", ":material/trending_down:"),
    "not enough data": ("gray", ":material/hourglass_empty:"),
}


def savings_chart(rules: list[Verification]) -> None:
    """Measured and predicted saving per call, side by side."""
    dots: list[dict[str, Any]] = []
    for item in rules:
        if isinstance(item.realised.per_call, Estimate):
            dots.append(_dot(item.rule_id, "measured", item.realised.per_call))
        if item.comparison is not None:
            predicted = item.comparison.predicted.per_call
            low, high = item.comparison.low, item.comparison.high
            dots.append(
                {
                    **_dot(item.rule_id, "predicted", predicted),
                    "low": predicted.low if low is None else low,
                    "high": predicted.high if high is None else high,
                }
            )
    with st.container(border=True):
        st.subheader("Saving per call", anchor=False)
        if not dots:
            st.caption("No rule has enough calls in both arms yet.")
            return
        st.altair_chart(
            charts.intervals(dots, value_title="USD saved per call", axis_format=charts.MONEY, reference=0.0),
            alt="Saving per call with its interval, measured and predicted: "
            + "; ".join(f"{dot['subject']} {dot['kind']} {format.money(dot['value'])}" for dot in dots),
            key="savings_chart",
        )
        st.caption(
            "Predicted intervals include the noise of both arms: where the measured value was to be expected, "
            "had the prediction been right."
        )


def quality_chart(rules: list[Verification]) -> None:
    """How the score changed on treated calls."""
    dots = [
        _dot(item.rule_id, "treated minus kept", item.realised.quality.change)
        for item in rules
        if isinstance(item.realised.quality.change, Estimate)
    ]
    with st.container(border=True):
        st.subheader("Change in quality", anchor=False)
        if not dots:
            st.caption("No rule has enough scored calls in both arms yet.")
            return
        st.altair_chart(
            charts.intervals(dots, value_title="Mean score, treated minus kept", axis_format="+.3f", reference=0.0),
            alt="Change of the mean score with its interval: "
            + "; ".join(f"{dot['subject']} {dot['value']:+.3f}" for dot in dots),
            key="quality_chart",
        )


def _dot(rule_id: str, kind: str, estimate: Estimate) -> dict[str, Any]:
    return {
        "subject": rule_id,
        "kind": kind,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
    }


def rule_card(item: Verification) -> None:
    """One rule in figures."""
    measured, quality = item.realised, item.realised.quality
    with st.container(border=True, key=f"verified_{item.rule_id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(format.literal(item.rule_id), anchor=False, width="content")
            if item.share is None:
                st.badge("Not in force", icon=":material/history:", color="gray")
            else:
                st.badge(f"{format.percent(item.share, 0)} share", icon=":material/bolt:", color="blue")
            verdict = "not enough data" if item.comparison is None else item.comparison.verdict
            if item.comparison is not None or isinstance(measured.per_call, NotEnoughData):
                colour, icon = _VERDICTS[verdict]
                st.badge(verdict.capitalize(), icon=icon, color=colour)
        st.caption(f"To {format.literal(item.target)} since {format.moment(item.since)}")
        for concern in item.concerns:
            st.warning(format.literal(f"{concern[:1].upper()}{concern[1:]}."), icon=":material/warning:")
        with st.grid(4, min_column_width=135, gap="small"):
            estimates.metric("Saved per call", estimates.shown(measured.per_call))
            estimates.metric("Saved in all", estimates.shown(measured.total), note="On the treated calls selected")
            estimates.metric(
                "Score change", estimates.shown(quality.change), sign=True, note="Treated calls minus kept ones"
            )
            estimates.card(
                "Failures",
                format.percent(measured.failure_rate),
                f"{format.count(measured.fell_back)} fell back, {format.count(measured.failed)} failed",
                note="Of treated calls: the target failed, and the model asked for answered or nobody did.",
            )
        st.caption(_arms_in_words(item))


def _arms_in_words(item: Verification) -> str:
    measured, quality = item.realised, item.realised.quality
    parts = [
        ", ".join(
            f"{format.count(number)} {what}"
            for number, what in (
                (measured.n_treated, "calls on the target"),
                (measured.n_holdout, "in the holdout"),
                (measured.n_control, "outside the share"),
            )
        )
    ]
    if measured.refused:
        parts.append(f"{format.count(measured.refused)} the target could not serve")
    if measured.unpriced:
        parts.append(f"{format.count(measured.unpriced)} without a price")
    if measured.left_out:
        parts.append(f"{format.count(measured.left_out)} in versions with too small an arm")
    if quality.treated_mean is not None and quality.kept_mean is not None:
        parts.append(
            f"mean score {quality.treated_mean:.3f} treated (n={format.count(quality.n_treated)}), "
            f"{quality.kept_mean:.3f} kept (n={format.count(quality.n_kept)}), "
            f"by {quality.source} “{quality.evaluation}”"
        )
    if measured.calls_per_conversation is not None:
        treated, kept = measured.calls_per_conversation
        parts.append(f"{treated:.2f} calls a conversation treated, {kept:.2f} kept")
    if isinstance(item.drift, Drift):
        parts.append(
            f"drift e-value {item.drift.e_value:.3g} over {format.count(item.drift.conversations)} later conversations"
        )
    return format.literal(" · ".join(parts))


def table(rules: list[Verification]) -> None:
    """The same as a table, to copy and to export."""
    with st.expander("As a table", icon=":material/table_chart:"):
        rows = [_table_row(item) for item in rules]
        downloads.menu(rows, "verification")
        st.dataframe(
            rows,
            hide_index=True,
            placeholder=format.UNKNOWN,
            alt="Measured against predicted saving per rule",
            key="verify_table",
            column_config={
                "rule": st.column_config.TextColumn("Rule", pinned=True),
                "verdict": "Verdict",
                **{
                    name: st.column_config.NumberColumn(label, format="$%.6f")
                    for name, label in (
                        ("saved_per_call", "Saved per call"),
                        ("saved_low", "Low"),
                        ("saved_high", "High"),
                        ("predicted_per_call", "Predicted"),
                        ("expected_low", "Expected low"),
                        ("expected_high", "Expected high"),
                    )
                },
                "n_treated": st.column_config.NumberColumn("n treated", format="localized"),
                "n_holdout": st.column_config.NumberColumn("n holdout", format="localized"),
                "n_control": st.column_config.NumberColumn("n outside share", format="localized"),
                "score_change": st.column_config.NumberColumn("Score change", format="%.4f"),
                "failure_rate": st.column_config.NumberColumn("Failures", format="percent"),
            },
        )


def _table_row(item: Verification) -> dict[str, Any]:
    saved, change, comparison = item.realised.per_call, item.realised.quality.change, item.comparison
    known = saved if isinstance(saved, Estimate) else None
    return {
        "rule": item.rule_id,
        "verdict": comparison.verdict if comparison else None if known else "not enough data",
        "saved_per_call": known and known.value,
        "saved_low": known and known.low,
        "saved_high": known and known.high,
        "predicted_per_call": comparison and comparison.predicted.per_call.value,
        "expected_low": comparison and comparison.low,
        "expected_high": comparison and comparison.high,
        "n_treated": item.realised.n_treated,
        "n_holdout": item.realised.n_holdout,
        "n_control": item.realised.n_control,
        "score_change": change.value if isinstance(change, Estimate) else None,
        "failure_rate": item.realised.failure_rate,
    }


rules = analysis.verifications(selected)
if rules:
    if selected.chosen:
        st.caption("Whole rules are measured: of the filters only the time range counts here.")
    savings_chart(rules)
    for rule in rules:
        rule_card(rule)
    quality_chart(rules)
    table(rules)
else:
    states.nothing_enforced()
