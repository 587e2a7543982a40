"""The tierwise dashboard: what every page has in common, and which pages there are."""

from __future__ import annotations

from pathlib import Path

import connection
import coverage_strip
import filters
import policies
import roles
import states
import streamlit as st
import writes

HERE = Path(__file__).parent

SUBTITLES = {
    "overview": "What you spend, on what, and what one call of it costs.",
    "recommendations": "Where a cheaper model has been shown to do the same work, and what is still missing elsewhere.",
    "simulator": "What a policy would have cost on the traffic you had.",
    "review": "Pairs of answers, judged blind: which is better, A or B?",
    "policy": "The rules in force, who changed them, and the way back.",
    "use_cases": "What each use case costs; name, label, merge, split them, or leave them out.",
    "traces": "Calls in their traces, step by step, with what each step cost.",
    "budgets": "What the month comes to, against what was agreed, and what stands out.",
    "coverage": "How far the numbers reach, what they rest on, and what to do about each gap.",
    "verify": "What enforced rules saved, measured against their holdouts and against what was predicted.",
}

st.set_page_config(
    page_title="tierwise", page_icon=str(HERE / "assets" / "mark.svg"), layout="wide", initial_sidebar_state="auto"
)
st.logo(HERE / "assets" / "logo.svg", icon_image=HERE / "assets" / "mark.svg", size="large")
st.html(HERE / "assets" / "style.css")

PAGES = (
    ("overview", "Overview", "monitoring"),
    ("use_cases", "Use cases", "category"),
    ("recommendations", "Recommendations", "lightbulb"),
    ("simulator", "Simulator", "tune"),
    ("review", "Review", "rate_review"),
    ("policy", "Policy", "rule_settings"),
    ("verify", "Verify", "fact_check"),
    ("traces", "Traces", "account_tree"),
    ("budgets", "Budgets and alerts", "savings"),
    ("coverage", "Coverage and settings", "verified_user"),
)
"""File in `views/`, title, icon."""

roles.require_sign_in()
page = st.navigation(
    [
        st.Page(f"views/{name}.py", title=title, icon=f":material/{icon}:", default=name == "overview")
        for name, title, icon in PAGES
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
        roles.badge()
        st.caption(f"Store `{connection.store().url}`")
    st.session_state["selected"] = selected
    with heading:
        policies.mode_badge(connection.current_policy())
    policies.off_banner(connection.current_policy())
    coverage_strip.draw(selected, connection.row("overview_totals", selected.parameters))
    page.run()
