"""Simulator: what a policy would have cost on the selected traffic, from knobs or from its text."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import analysis
import charts
import connection
import downloads
import estimates
import format
import policies
import simulations
import states
import streamlit as st
import writes
from filters import Filters

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import actions, to_rule
from tierwise.routing import policy
from tierwise.routing.policy import MAX_HOLDOUT, Policy, Rule
from tierwise.savings.latency import LatencyChange
from tierwise.savings.moves import Pricing
from tierwise.savings.simulate import RuleSimulation, Simulation, WhatIf

selected: Filters = st.session_state["selected"]

FLOORS = (None, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)
_MOST_PRICED = 8
"""Models that have a slider."""
_TEXT = "policy_text"
_OPEN_STATES = ("certified", "candidate", "unproven")


def knobs(current: Policy) -> tuple[Policy, float | None]:
    """Draw the knobs. Returns the policy they make and the quality floor."""
    proposals = [entry.item for entry in analysis.recommended() if entry.item.state in _OPEN_STATES]
    in_force = {rule.id: rule for rule in current.rules}
    proposed = {item.rule_id: item for item in proposals}
    labels: dict[str, str] = {
        **{name: f"{item.scope.label} → {item.target} ({item.state})" for name, item in proposed.items()},
        **{name: f"{name} (in force)" for name in in_force},
    }
    chosen = st.multiselect(
        "Rules",
        list(labels),
        default=[*(item.rule_id for item in proposals if item.state == "certified"), *in_force],
        format_func=labels.__getitem__,
        key="simulated_rules",
        persist_state="session",
        placeholder="No rule: nothing moves",
        help="Recommendations that are open, at the share and holdout below, and the rules in force, as they are.",
    )
    share_column, floor_column, holdout_column = st.columns(3)
    with share_column:
        share = st.slider("Share of the traffic", 5, 100, 100, 5, format="%d%%", key="share", bind="query-params")
    with floor_column:
        floor = st.select_slider(
            "Quality floor",
            FLOORS,
            format_func=_floor_label,
            key="floor",
            help="Leave out rules whose certified lower bound on the quality kept is below this.",
        )
    with holdout_column:
        holdout = st.slider(
            "Holdout",
            0,
            round(100 * MAX_HOLDOUT),
            5,
            1,
            format="%d%%",
            key="holdout",
            bind="query-params",
            help="Stays on the present model for measuring, so it saves nothing.",
        )
    rules: list[Rule] = [
        to_rule(proposed[name], share=share / 100, holdout=holdout / 100) for name in chosen if name in proposed
    ]
    rules += [in_force[name] for name in chosen if name in in_force]
    return replace(current, mode="enforce", rules=tuple(rules)), floor


def pricing(proposed: Policy) -> Pricing:
    """Draw what is assumed of prices and caches; folded away, for most leave it."""
    with st.expander("Cache and prices", icon=":material/price_change:", type="compact", key="pricing"):
        kept = st.slider(
            "Cache reads that the target's cache serves too",
            0,
            100,
            0,
            5,
            format="%d%%",
            key="cache_kept",
            bind="query-params",
            help="Beyond those of what the call before in the conversation had sent.",
        )
        factors: dict[tuple[str, str], float] = {}
        targets = {
            (provider, rule.to): None
            for rule in proposed.rules
            if rule.to is not None
            for provider in rule.when.provider
        }
        for provider, model in list(targets)[:_MOST_PRICED]:
            percent = st.slider(
                f"Price of {model}, of today's",
                10,
                300,
                100,
                5,
                format="%d%%",
                key=f"price_{provider}_{model}",
                help=f"All of its prices at {provider}; those for long contexts count as the others.",
            )
            if percent != 100:
                factors[provider, model] = percent / 100
    return Pricing(cache_kept=kept / 100, overrides=analysis.scaled_prices(factors) or None)


def _floor_label(floor: float | None) -> str:
    return "none" if floor is None else format.percent(floor, 0)


def results(simulation: Simulation, proposed: Policy) -> None:
    """Draw everything a simulation says."""
    simulations.headline(simulation)
    _cost_chart(simulation)
    _flow_chart(proposed)
    _rule_table(simulation)
    _coverage(simulation)
    with st.expander("Assumptions", icon=":material/rule:"):
        if simulation.assumptions:
            st.markdown("\n".join(f"- {format.literal(line)}" for line in simulation.assumptions))
        else:
            st.markdown("Nothing moves, so nothing is assumed.")
        st.caption(
            f"Prices {format.literal(simulation.price_version)}, {format.count(simulation.draws)} draws, "
            f"seed {simulation.seed}."
        )


def _cost_chart(simulation: Simulation) -> None:
    simulated = analysis.simulated_cost(simulation)
    if isinstance(simulated, NotEnoughData):
        return
    billed = float(simulation.baseline_usd)
    with st.container(border=True):
        st.subheader("Cost of the selected traffic", anchor=False)
        st.altair_chart(
            charts.before_and_after(billed, simulated),
            alt=f"As billed {format.money(billed)}; with this policy {format.money(simulated.value)}, "
            f"{format.money_interval(simulated.low, simulated.high)}.",
            key="cost_chart",
        )


def _flow_chart(proposed: Policy) -> None:
    flows = analysis.flowing(selected, proposed)
    if all(flow.model == flow.requested_model for flow in flows):
        return
    with st.container(border=True):
        st.subheader("Where calls go", anchor=False)
        st.echarts_chart(charts.sankey(flows), height=320, alt=charts.flows_in_words(flows), key="flow_chart")
        downloads.menu([asdict(flow) for flow in flows], "flows")


def _rule_table(simulation: Simulation) -> None:
    with st.container(border=True):
        st.subheader("Rule by rule", anchor=False)
        if not simulation.rules:
            st.caption("No rule: every call stays where it is.")
            return
        largest = max(float(rule.baseline_usd) for rule in simulation.rules)
        dollars = format.money_column_format(largest)
        rows = [_rule_row(rule) for rule in simulation.rules]
        downloads.menu(rows, "simulation")
        st.dataframe(
            rows,
            hide_index=True,
            placeholder=format.UNKNOWN,
            alt="What each rule would move, save and keep of the quality",
            key="rule_table",
            column_config={
                "rule": st.column_config.TextColumn("Rule", pinned=True, width=170),
                "target": "To",
                "calls": st.column_config.NumberColumn("Calls", format="localized"),
                "moved": st.column_config.NumberColumn("Moved", format="%,.0f", help="Expected number of calls"),
                "baseline": st.column_config.NumberColumn("As billed", format=dollars),
                "saving": st.column_config.NumberColumn("Saving", format=dollars),
                "low": st.column_config.NumberColumn("Low", format=dollars),
                "high": st.column_config.NumberColumn("High", format=dollars),
                "quality": "Quality kept",
                "latency": "Median time",
                "pairs": st.column_config.NumberColumn("Pairs", format="localized"),
                "left_out": st.column_config.TextColumn("Left out because", width="medium"),
            },
        )


def _rule_row(rule: RuleSimulation) -> dict[str, Any]:
    saving = rule.saving if isinstance(rule.saving, Estimate) else None
    kept = estimates.shown_retention(rule.certificate)
    change = estimates.shown(rule.latency.p50_change if isinstance(rule.latency, LatencyChange) else rule.latency)
    return {
        "rule": rule.rule_id,
        "target": rule.target,
        "calls": rule.calls,
        "moved": rule.moved_calls,
        "baseline": float(rule.baseline_usd),
        "saving": saving and saving.value,
        "low": saving and saving.low,
        "high": saving and saving.high,
        "quality": f"{kept.value} ({kept.interval})" if kept.known else kept.interval,
        "latency": f"{change.value} ({change.interval})" if change.known else change.interval,
        "pairs": rule.pairs,
        "left_out": rule.left_out,
    }


def _coverage(simulation: Simulation) -> None:
    covered = simulation.coverage
    st.caption(
        f"{format.percent(covered.priced_share)} of calls priced · "
        f"{format.percent(covered.classified_share)} of spend classified · "
        f"{format.percent(covered.in_scope_share)} of spend matched by a rule"
        + (
            f" · {format.percent(covered.unpriceable_share)} of that has no price on the target and stays"
            if covered.unpriceable_share
            else ""
        )
    )


def _to_editor(text: str) -> None:
    """Callback: take the policy that the knobs make to the editor."""
    st.session_state[_TEXT] = text
    st.session_state["simulator_tab"] = "As text"


def editor(current_text: str, based_on: int | None) -> None:
    """The policy as text: checked as it is typed, compared, simulated, put in force."""
    st.session_state.setdefault(_TEXT, current_text)
    text = st.text_area(
        "policy.toml",
        height=380,
        key=_TEXT,
        persist_state="session",
        help="Checked when you leave the field or press Ctrl+Enter.",
    )
    st.button("Start again from the policy in force", key="reset_text", on_click=_to_editor, args=(current_text,))
    problem = policies.problem(text)
    if problem is not None:
        st.error(format.literal(problem), title="This is not a policy yet", icon=":material/error:")
        return
    st.success("This is a valid policy.", icon=":material/check_circle:")
    name = "no policy" if based_on is None else f"version {based_on}"
    with st.container(border=True):
        st.subheader(f"Changed against {name}", anchor=False)
        changed = policies.show_changes(current_text, text, old_name=name, new_name="this text")
    with st.container(horizontal=True, vertical_alignment="center"):
        simulate_it = st.toggle("Simulate it", key="simulate_text")
        if st.button("Put in force", icon=":material/bolt:", key="apply_text", disabled=not changed):
            confirm_apply(text, current_text, based_on)
    if simulate_it:
        proposed = policy.parse(text)
        results(analysis.simulation(selected, proposed), proposed)


@st.dialog("Put this policy in force?", icon=":material/bolt:", width="medium")
def confirm_apply(text: str, current_text: str, based_on: int | None) -> None:
    """Show what changes, then write the version."""
    policies.show_changes(current_text, text, old_name="the policy in force", new_name="this text")
    writes.confirm("apply_text", "Put in force", _apply_text, text, based_on)


def _apply_text(text: str, based_on: int | None, signature: writes.Signature) -> None:

    def write() -> str:
        record = actions.apply_text(connection.store(), text, who=signature.who, why=signature.why, based_on=based_on)
        return f"Policy version {record.version} is in force."

    writes.once(("apply_text", based_on, text), write)


if not connection.row("overview_totals", selected.parameters)["calls"]:
    states.no_calls_selected()
else:
    record = connection.current_policy()
    current = policies.parsed(record)
    by_knobs, as_text, side_by_side = st.tabs(["What if", "As text", "Compare"], key="simulator_tab", on_change="rerun")
    if by_knobs.open:
        with by_knobs:
            proposed, floor = knobs(current)
            what_if = WhatIf(quality_floor=floor, pricing=pricing(proposed))
            results(analysis.simulation(selected, proposed, what_if), proposed)
            st.button(
                "Take this policy to the editor",
                icon=":material/edit_note:",
                key="to_editor",
                on_click=_to_editor,
                args=(policy.dump(proposed),),
            )
    if as_text.open:
        with as_text:
            editor(policy.dump(current) if record is None else record.text, None if record is None else record.version)
    if side_by_side.open:
        with side_by_side:
            simulations.compare(selected, current, st.session_state.get(_TEXT))
