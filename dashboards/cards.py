"""One recommendation as a card: what to move where, what it saves, what is proved and missing, what it rests on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import charts
import estimates
import format
import streamlit as st
from estimates import Shown

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend import Recommendation
from tierwise.recommend.recommendation import JudgedEvidence
from tierwise.savings.latency import LatencyChange
from tierwise.store import named

STATES: dict[str, tuple[str, Any, str, str]] = {
    "certified": ("Certified", "green", ":material/verified:", "Proved to keep the quality asked for."),
    "candidate": ("Candidate", "blue", ":material/science:", "There is evidence, not yet enough to certify."),
    "unproven": ("Unproven", "gray", ":material/help:", "Too few pairs to say anything."),
    "enforced": ("In force", "green", ":material/bolt:", "A rule of the policy carries it out."),
    "rolled_back": ("Rolled back", "orange", ":material/undo:", "Was in force and has been taken out."),
    "dismissed": ("Dismissed", "gray", ":material/block:", "A person decided against it."),
    "snoozed": ("Snoozed", "gray", ":material/snooze:", "Put off until later."),
}
"""State → label, colour, icon, what it means."""

_CHART_END = 1.5
"""An upper bound beyond this, which few pairs give, would squeeze all else together."""
_SOURCES = {
    "check": "your check",
    "human": "people",
    "judge": "a judge model",
    "structural": "structural checks",
}


def draw(item: Recommendation) -> None:
    """Draw everything of the card but its buttons."""
    _heading(item)
    with st.grid(4, min_column_width=135, gap="small"):
        _volume(item)
        _saving(item)
        estimates.metric("Quality kept", estimates.shown_retention(item.certificate), colour=_quality_colour(item))
        estimates.metric("Time to answer", _latency(item.latency), sign=True, note="Median, change when the calls move")
    st.caption(format.literal(_evidence_in_words(item)))
    _why_now(item)
    if item.missing:
        st.markdown(
            "**What is missing**\n" + "\n".join(f"- {format.literal(_sentence(line))}" for line in item.missing)
        )
    if item.snoozed_until:
        st.markdown(f"**Put away until** {format.moment(item.snoozed_until)}")
    if item.decided_why:
        st.markdown(f"**Because** {format.literal(item.decided_why)}")


def _why_now(item: Recommendation) -> None:
    if item.why_now:
        st.markdown("**Why now**\n" + "\n".join(f"- {format.literal(_sentence(line))}" for line in item.why_now))
    if item.is_stale(datetime.now(UTC)):
        st.markdown(
            f":orange[:material/hourglass_disabled: Expired {format.moment(item.expires_at)}: work it out again before "
            "anybody acts on it.]"
        )


def _volume(item: Recommendation) -> None:
    scope = f"Calls for {item.scope.request_model} in this use case"
    window = format.days(item.window_days)
    if item.monthly_calls is None:
        estimates.card("Calls", format.count(item.calls), f"in {window}", note=scope)
        return
    estimates.card(
        "Calls a month",
        format.compact(item.monthly_calls),
        f"{format.count(item.calls)} in {window}",
        note=f"{scope}; {format.money(item.monthly_spend_usd)} a month as billed. A month is 30 days",
    )


def _saving(item: Recommendation) -> None:
    share = estimates.shown(item.saving_share)
    by_month = item.monthly_calls is not None
    saving = item.monthly_saving if by_month else item.window_saving
    estimates.metric(
        "Saving a month" if by_month else f"Saving in {format.days(item.window_days)}",
        estimates.shown(saving),
        note=f"{share.value} ({share.interval}) of the spend in scope, before the cost of evaluation",
        colour="green" if item.evidence_state == "certified" and _positive(saving) else "gray",
    )


def _heading(item: Recommendation) -> None:
    label, colour, icon, meaning = STATES[item.state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(format.literal(item.scope.label), anchor=False, width="content")
        st.badge(label, icon=icon, color=colour, help=meaning)
        if item.state != item.evidence_state:
            label, colour, icon, meaning = STATES[item.evidence_state]
            st.badge(f"Evidence: {label.lower()}", icon=icon, color=colour, help=meaning)
        st.badge(format.literal(item.scope.task_type), color="gray", help="Task type, as predicted when called.")
    provider = format.literal(item.scope.provider)
    parts = [f"`{item.scope.request_model}` :material/arrow_forward: `{item.target}` :gray[at {provider}]"]
    if item.share < 1.0:
        parts.append(f"{format.percent(item.share, 0)} of calls")
    if item.rule_kind == "cascade":
        parts.append(
            f"as a cascade: {format.percent(item.strong_share, 0)} of what "
            f"{format.literal(item.scope.request_model)} costs is still paid"
        )
    st.markdown(" · ".join(parts))


def _positive(saving: Estimate | NotEnoughData) -> bool:
    return isinstance(saving, Estimate) and saving.low > 0


def _quality_colour(item: Recommendation) -> str:
    proof = item.certificate
    if isinstance(proof, NotEnoughData):
        return "gray"
    if item.evidence_state == "certified":
        return "green"
    return "red" if proof.high < proof.rho else "orange"


def _latency(change: LatencyChange | NotEnoughData) -> Shown:
    return estimates.shown(change if isinstance(change, NotEnoughData) else change.p50_change)


def _evidence_in_words(item: Recommendation) -> str:
    proof = item.certificate
    if isinstance(proof, NotEnoughData):
        return "No pair of answers has been scored yet."
    scorer = _SOURCES.get(item.evaluation_source or "", "an unknown source")
    parts = [
        f"{format.count(proof.n)} pairs, scored by {scorer} “{item.evaluation}”",
        f"{estimates.e_value(proof)} for keeping {format.percent(proof.rho, 0)}",
    ]
    if isinstance(item.latency, LatencyChange):
        p95 = estimates.shown(item.latency.p95_change)
        parts.append(f"95th percentile of the time {p95.value} ({p95.interval})")
    if item.policy_certificate is not None:
        together = estimates.shown_retention(item.policy_certificate)
        parts.append(f"all certified ones together keep {together.value} ({together.interval})")
    return " · ".join(parts)


def details(item: Recommendation) -> None:
    """What the figures rest on, folded away and only drawn once unfolded: a page may hold many cards."""
    sections = (
        ("Evidence, alternatives and compatibility", ":material/balance:", "evidence", _evidence),
        ("Assumptions", ":material/rule:", "assumptions", _assumptions),
        ("The SQL behind this", ":material/database:", "sql", _sql),
    )
    with st.container(gap=None):
        for title, icon, name, draw_section in sections:
            section = st.expander(title, icon=icon, type="compact", on_change="rerun", key=f"{name}_{item.id}")
            if section.open:
                with section:
                    draw_section(item)


def _evidence(item: Recommendation) -> None:
    _retention_chart(item)
    if item.judged is not None:
        _judged(item.judged)
    if item.compatibility:
        st.markdown(
            f"**{format.literal(item.target)} and these calls**\n"
            + "\n".join(f"- {format.literal(_sentence(note))}" for note in item.compatibility)
        )
    needed = _needed(item)
    if needed:
        st.markdown(f"**To certify it:** {format.literal(needed)}")


def _judged(evidence: JudgedEvidence) -> None:
    """What a judge and people have to do with the certificate."""
    waiting = f", {format.count(evidence.waiting)} waiting" if evidence.waiting else ""
    lines = [
        f"Judge “{evidence.judge}”: {format.count(evidence.pairs)} pairs, {format.count(evidence.counted)} counted",
        f"People: {format.count(evidence.reviewed)} pairs reviewed, {format.count(evidence.skipped)} skipped{waiting}",
    ]
    for name, figure in (
        ("Judge and people agree", evidence.agreement),
        ("Kappa", evidence.kappa),
        ("The judge's leniency", evidence.leniency),
        ("The judge's position bias", evidence.position_advantage),
        ("Consistent in both orders", evidence.consistency),
        ("Score now, by people", evidence.strong_quality),
        ("Score then, by people", evidence.weak_quality),
    ):
        text = estimates.shown(figure)
        lines.append(f"{name}: {text.value} ({text.interval})")
    st.markdown("**Judge and people**\n" + "\n".join(f"- {format.literal(line)}" for line in lines))


def _assumptions(item: Recommendation) -> None:
    st.markdown("\n".join(f"- {format.literal(_sentence(line))}" for line in item.assumptions))
    st.caption(
        format.literal(
            f"As of {format.moment(item.as_of)}, prices {item.price_version}, "
            f"evaluation so far {format.money(item.evaluation_cost_usd)}"
        )
    )


def _retention_chart(item: Recommendation) -> None:
    compared = [
        (model, proof)
        for model, proof in [
            (item.target, item.certificate),
            *((other.target, other.certificate) for other in item.alternatives),
        ]
        if isinstance(proof, Certificate) and proof.value is not None
    ]
    rows: list[dict[str, Any]] = [
        {
            "subject": model,
            "kind": "quality kept",
            "value": proof.value,
            "low": proof.low,
            "high": min(proof.high, _CHART_END),
            "n": proof.n,
        }
        for model, proof in compared
    ]
    if rows:
        st.altair_chart(
            charts.intervals(
                rows,
                value_title="Quality kept, candidate over present model",
                axis_format=".0%",
                reference=compared[0][1].rho,
            ),
            alt="Quality kept with its bounds: "
            + "; ".join(
                f"{row['subject']} {format.percent(row['value'])}, "
                f"{format.percent_interval(row['low'], row['high'])}, n={row['n']}"
                for row in rows
            ),
            key=f"retention_{item.id}",
        )
    if item.alternatives:
        st.dataframe(
            [
                {
                    "model": other.target,
                    "price": other.price_ratio,
                    "pairs": other.pairs,
                    "quality": _retention_text(other.certificate),
                    "why": other.why_not,
                }
                for other in item.alternatives
            ],
            hide_index=True,
            placeholder=format.UNKNOWN,
            alt=f"Other models for {item.scope.label}, and why they are not proposed",
            key=f"alternatives_{item.id}",
            column_config={
                "model": "Other model",
                "price": st.column_config.NumberColumn("Price of the present one", format="percent"),
                "pairs": st.column_config.NumberColumn("Pairs", format="localized"),
                "quality": "Quality kept",
                "why": st.column_config.TextColumn("Why not", width="medium"),
            },
        )


def _retention_text(proof: Certificate | NotEnoughData) -> str | None:
    text = estimates.shown_retention(proof)
    return f"{text.value} ({text.interval})" if text.known else None


def _needed(item: Recommendation) -> str:
    needed = item.needed
    if not needed.pairs:
        return ""
    cost = "" if needed.cost_usd is None else f", costing about {format.money(needed.cost_usd)}"
    time = "" if needed.days is None else f", in about {format.days(needed.days)} at the present sampling"
    return f"about {format.count(needed.pairs)} more scored pairs{cost}{time}."


def _sql(item: Recommendation) -> None:
    scope = item.scope
    st.markdown(
        "The library reads these rows, with the parameters below, and works everything else out of them. "
        "`tierwise.store` runs them by name."
    )
    st.code(
        f"$use_case = ['{scope.use_case_id}'], $model = ['{scope.request_model}'], "
        f"$until = {item.as_of:%Y-%m-%dT%H:%M:%SZ}",
        language="sql",
        wrap_lines=True,
    )
    for query in ("savings_calls", "pairs", "shadows"):
        st.code(named.text(query), language="sql", height=240)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
