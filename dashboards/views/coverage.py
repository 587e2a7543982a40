"""Coverage and settings: how far the numbers reach, what they rest on, and what to do about each gap."""

from __future__ import annotations

from pathlib import Path

import connection
import coverage_strip
import downloads
import format
import roles
import states
import streamlit as st
from filters import Filters

from tierwise import price_overrides, settings

selected: Filters = st.session_state["selected"]

_CLASSIFY = (
    'Name use cases in the application, `tierwise.use_case("invoices", task="extraction")`, or set the task type on '
    "the page Use cases."
)
_GOOD, _TO_DO = ":green[Good.]", ":orange[To do.]"
_MINUTE = "YYYY-MM-DD HH:mm"


def reach() -> None:
    """Priced, classified, estimated, fresh; and what to do where something is missing."""
    totals = connection.row("overview_totals", selected.parameters)
    stale = totals["newest_call_time"] is None or (
        format.age_s(totals["newest_call_time"]) > coverage_strip.STALE_AFTER_S
    )
    lines = (
        (
            "Priced",
            format.percent(totals["priced_share"]),
            (totals["priced_share"] or 0) >= coverage_strip.WELL_COVERED,
            "Every call has a price.",
            "Give the models below a price of your own: a `[[model]]` table in the file that `TIERWISE_PRICES` names.",
        ),
        (
            "Classified",
            format.percent(totals["classified_spend_share"]),
            (totals["classified_spend_share"] or 0) >= coverage_strip.WELL_COVERED,
            "All spend has a task type.",
            _CLASSIFY,
        ),
        (
            "Estimated",
            format.percent(totals["estimated_share"]),
            (totals["estimated_share"] or 0) <= coverage_strip.MUCH_ESTIMATED,
            "Token counts are what providers reported.",
            "Let streams report their usage: `TIERWISE_INJECT_USAGE=true`, or `stream_options.include_usage`.",
        ),
        (
            "Fresh",
            format.age(totals["newest_call_time"]),
            not stale,
            "Calls are arriving.",
            "See what is reachable from the application: `tierwise doctor`.",
        ),
    )
    with st.grid(4, min_column_width=180, gap="small"):
        for label, value, good, fine, advice in lines:
            with st.container(border=True, height="stretch", gap="xxsmall"):
                st.metric(label, format.literal(value))
                st.markdown(f":small[{_GOOD if good else _TO_DO} {fine if good else advice}]")


def unpriced() -> None:
    """Models without a price."""
    missing = connection.table("unpriced", selected.parameters)
    with st.container(border=True):
        st.subheader("Calls without a price", anchor=False)
        if not len(missing):
            st.caption("None.")
            return
        downloads.menu(missing, "unpriced")
        st.dataframe(
            missing,
            hide_index=True,
            placeholder=format.UNKNOWN,
            alt="Models without a price",
            key="unpriced",
            column_config={
                "provider": "Provider",
                "model": "Model",
                "unpriced_reason": "Reason",
                "calls": st.column_config.NumberColumn("Calls", format="localized"),
                "input_tokens": st.column_config.NumberColumn("Input tokens", format="localized"),
                "output_tokens": st.column_config.NumberColumn("Output tokens", format="localized"),
                "newest_call_time": st.column_config.DatetimeColumn(
                    "Newest (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
                ),
            },
        )


def sources() -> None:
    """Who sends calls."""
    arriving = connection.table("sources")
    with st.container(border=True):
        st.subheader("Where calls come from", anchor=False)
        downloads.menu(arriving, "sources")
        st.dataframe(
            arriving,
            hide_index=True,
            alt="Services and instrumentations that calls arrive from",
            key="sources",
            column_config={
                "service_name": "Service",
                "instrumentation": "Instrumentation",
                "calls": st.column_config.NumberColumn("Calls", format="localized"),
                "newest_call_time": st.column_config.DatetimeColumn(
                    "Newest (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
                ),
            },
        )


def prices() -> None:
    """The lists that calls were priced with, and prices of one's own."""
    versions = connection.table("price_versions", selected.parameters)
    path = settings.load().prices
    with st.container(border=True, height="stretch"):
        st.subheader("Prices", anchor=False)
        downloads.menu(versions, "price-lists")
        st.dataframe(
            versions,
            hide_index=True,
            alt="Price lists in use",
            key="price_versions",
            column_config={
                "price_version": "Price list",
                "calls": st.column_config.NumberColumn("Calls", format="localized"),
                "newest_call_time": st.column_config.DatetimeColumn(
                    "Newest (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
                ),
            },
        )
        if path is None:
            st.caption("No prices or discounts of your own: `TIERWISE_PRICES` names a file with them.")
            return
        own = price_overrides.read_overrides(Path(path))
        st.caption(
            f"Your own, from `{path}`: {format.count(len(own.models))} models, "
            f"{format.count(len(own.discounts))} discounts."
        )


def in_force() -> None:
    """Settings of this dashboard; those of collectors and applications are theirs."""
    loaded = settings.load()
    days, size, content = loaded.retention_days, loaded.retention_size, loaded.capture_content
    rows = (
        ("Store", loaded.db, "TIERWISE_DB"),
        ("Kept for", "ever" if days is None else f"{days:g} days", "TIERWISE_RETENTION_DAYS"),
        ("Kept up to", "any size" if size is None else f"{size / 1e9:g} GB", "TIERWISE_RETENTION_SIZE"),
        ("Links to traces", loaded.trace_url or "none", "TIERWISE_TRACE_URL"),
        ("Alerts are posted to", "a webhook" if loaded.alert_webhook else "nobody", "TIERWISE_ALERT_WEBHOOK"),
        ("Sign-in", "OIDC" if roles.sign_in_configured() else "none", "[auth] in secrets.toml"),
        ("You may", roles.role(), "TIERWISE_ROLES"),
        (
            "Prompt and answer text",
            "captured" if content else "not captured",
            "TIERWISE_CAPTURE_CONTENT",
        ),
    )
    with st.container(border=True, height="stretch"):
        st.subheader("Settings", anchor=False)
        st.caption("As this dashboard reads them; a collector or application elsewhere may have others.")
        st.dataframe(
            [{"what": what, "value": value, "setting": name} for what, value, name in rows],
            hide_index=True,
            alt="Settings in force here",
            key="settings",
            column_config={"what": "What", "value": "Is", "setting": "Set by"},
        )
        st.page_link("views/budgets.py", label="Budgets and alerts", icon=":material/savings:")


if connection.row("overview_totals", selected.parameters)["calls"]:
    reach()
    unpriced()
    sources()
else:
    states.no_calls_selected()
prices()
in_force()
