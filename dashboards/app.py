"""The tierwise dashboard: what every page has in common, and which pages there are."""

from __future__ import annotations

from pathlib import Path

import connection
import coverage_strip
import filters
import format
import policies
import states
import streamlit as st
import writes

HERE = Path(__file__).parent

SUBTITLES = {
    "overview": "What you spend, on what, and what one call of it costs.",
    "recommendations": "Where a cheaper model has been shown to do the same work, and what is still missing elsewhere.",
    "simulator": "What a policy would have cost on the traffic you had.",
    "policy": "The rules in force, who changed them, and the way back.",
    "verify": "What enforced rules saved, measured against their holdouts and against what was predicted.",
}

st.set_page_config(
    page_title="tierwise", page_icon=str(HERE / "assets" / "mark.svg"), layout="wide", initial_sidebar_state="auto"
)
st.logo(HERE / "assets" / "logo.svg", icon_image=HERE / "assets" / "mark.svg", size="large")
st.html(HERE / "assets" / "style.css")

page = st.navigation(
    [
        st.Page("views/overview.py", title="Overview", icon=":material/monitoring:", default=True),
        st.Page("views/recommendations.py", title="Recommendations", icon=":material/lightbulb:"),
        st.Page("views/simulator.py", title="Simulator", icon=":material/tune:"),
        st.Page("views/policy.py", title="Policy", icon=":material/rule_settings:"),
        st.Page("views/verify.py", title="Verify", icon=":material/fact_check:"),
    ]
)
name = page.url_path or "overview"
with st.container(gap=None, key="header"):
    heading = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    heading.title(page.title, anchor=False, width="content")
    st.caption(SUBTITLES[name])
writes.show_outcome()

with states.errors_shown():
    with st.sidebar:
        selected = filters.select()
        st.caption(f"Store: {format.literal(connection.store().url)}")
    st.session_state["selected"] = selected
    with heading:
        policies.mode_badge(connection.current_policy())
    policies.off_banner(connection.current_policy())
    coverage_strip.draw(selected, connection.row("overview_totals", selected.parameters))
    page.run()
