"""What a simulation comes to in a row of figures, and two of them side by side."""

from __future__ import annotations

import analysis
import connection
import estimates
import format
import policies
import streamlit as st
from filters import Filters

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.routing import policy
from tierwise.routing.policy import Policy
from tierwise.savings.simulate import Simulation

_NONE, _EDITOR = "no policy", "the text in the editor"


def headline(simulation: Simulation, *, width: int = 150) -> None:
    """Billed, saved, net of evaluation, payback."""
    with st.grid(5, min_column_width=width, gap="small"):
        estimates.card(
            "As billed",
            format.money(simulation.baseline_usd),
            f"{format.count(simulation.coverage.calls)} calls, {format.days(simulation.window_days)}",
        )
        estimates.metric(
            "Saving",
            estimates.shown(simulation.saving),
            colour=_colour(simulation.saving),
            note="Before the cost of evaluation",
        )
        estimates.metric("Of the bill", estimates.shown(simulation.saving_share), colour=_colour(simulation.saving))
        estimates.metric(
            "Net of evaluation",
            estimates.shown(simulation.net_saving),
            colour=_colour(simulation.net_saving),
            note=f"Shadow calls cost {format.money(simulation.evaluation_cost_usd)}",
        )
        estimates.card(
            "Payback",
            format.days(simulation.payback_days),
            "for evaluation",
            note="Days of saving that pay for all shadow calls so far.",
        )


def _colour(saving: Estimate | NotEnoughData) -> str:
    if isinstance(saving, NotEnoughData) or saving.low <= 0 <= saving.high:
        return "gray"
    return "green" if saving.low > 0 else "red"


def compare(selected: Filters, current: Policy, edited: str | None) -> None:
    """Two policies on the same traffic, and what differs between them.

    Args:
        edited: the text in the editor; None: nobody has opened it.
    """
    known = _policies(current, edited)
    names = list(known)
    columns = st.columns(2, gap="medium")
    chosen: list[str] = []
    for place, (column, key) in enumerate(zip(columns, ("compare_left", "compare_right"), strict=True)):
        with column:
            name = st.selectbox(
                "Policy" if place == 0 else "Against",
                names,
                index=min(place, len(names) - 1),
                key=key,
            )
            headline(analysis.simulation(selected, known[name]), width=130)
            chosen.append(name)
    left, right = chosen
    with st.container(border=True):
        st.subheader("What differs", anchor=False)
        policies.show_changes(policy.dump(known[left]), policy.dump(known[right]), old_name=left, new_name=right)


def _policies(current: Policy, edited: str | None) -> dict[str, Policy]:
    """By the name it is chosen by. All are simulated as if they were enforced."""
    versions = {f"version {record.version}": policies.parsed(record) for record in connection.policy_history()}
    known = {**versions, _NONE: Policy()}
    if edited is not None and policies.problem(edited) is None:
        known[_EDITOR] = policy.parse(edited)
    return known
