"""What a page shows instead of figures: nothing there yet, nothing selected, the store unreachable."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import connection
import filters
import format
import streamlit as st

from tierwise.errors import CollectorUnavailable, SettingsError, StoreLocked, StoreTooNew, TierwiseError

_FIRST_CALL = """\
# in your application, before it creates its OpenAI or Anthropic client
import tierwise.auto
"""


@contextmanager
def errors_shown() -> Generator[None]:
    """Turn a tierwise error into what went wrong and what to run; anything else is a bug and stays one."""
    try:
        yield
    except TierwiseError as error:
        unreachable(error)


def unreachable(error: TierwiseError) -> None:
    """Say that there are no figures because the store cannot be read, and what to do about it."""
    title, advice, command = _advice(error)
    st.error(format.literal(error), title=title, icon=":material/cloud_off:")
    st.markdown(advice)
    st.code(command, language="bash")
    st.button("Try again", icon=":material/refresh:", on_click=connection.reopen, key="try_again", type="primary")


def _advice(error: TierwiseError) -> tuple[str, str, str]:
    match error:
        case CollectorUnavailable():
            return (
                "The collector does not answer",
                "Start it, or say where it is with `TIERWISE_DB`. What applications send meanwhile is retried.",
                "tierwise up          # collector and dashboard together\ntierwise collect     # the collector alone",
            )
        case StoreLocked():
            return (
                "Another process holds the store",
                "DuckDB lets one process at a time into its file. Read through the collector that holds it:",
                "TIERWISE_DB=http://127.0.0.1:4318 tierwise dashboard",
            )
        case StoreTooNew():
            return (
                "The store was written by a newer tierwise",
                "Upgrade this installation; the file stays as it is.",
                "pip install --upgrade 'tierwise[dashboard]'",
            )
        case SettingsError():
            return ("A setting cannot be used", "Correct it and try again.", "tierwise doctor")
        case _:
            return ("The store could not answer", "See what is reachable and what is not:", "tierwise doctor")


def no_calls() -> None:
    """The store has no call at all."""
    with st.container(border=True, key="empty_store"):
        st.subheader("No calls yet", icon=":material/sensors:")
        st.markdown(
            "Add `import tierwise.auto` to your application and let it run: every call it makes to OpenAI or Anthropic "
            "appears here within seconds, with its cost and task type. Nothing else in your code changes."
        )
        st.code(_FIRST_CALL, language="python")
        st.markdown("Nothing to instrument yet? Bring in logs you have, or run the demonstration on bundled data.")
        st.code(
            "tierwise import logs/*.jsonl   # existing logs into this store\n"
            "tierwise demo                  # the whole loop, without a key or network",
            language="bash",
        )
        with st.container(horizontal=True):
            st.button("Look again", icon=":material/refresh:", on_click=connection.forget_reads, key="look_again")


def no_calls_selected() -> None:
    """The filters leave no call: because there is none at all, or because none matches."""
    newest_call = connection.row("overview_totals")["newest_call_time"]
    if newest_call is None:
        no_calls()
        return
    with st.container(border=True, key="empty_selection"):
        st.subheader("No calls match these filters", icon=":material/filter_alt_off:")
        st.markdown(f"The newest call in the store is from {format.moment(newest_call)}.")
        with st.container(horizontal=True):
            st.button("Show all time", on_click=_all_time, key="show_all_time", type="primary")
            st.button("Clear filters", on_click=filters.clear, key="clear_filters_here")


def _all_time() -> None:
    filters.clear()
    st.session_state["range"] = filters.ALL_TIME


def nothing_enforced() -> None:
    """No rule has decided about any selected call."""
    with st.container(border=True, key="nothing_enforced"):
        st.subheader("Nothing to verify yet", icon=":material/fact_check:", anchor=False)
        st.markdown(
            "Savings are measured on calls that a rule has drawn into its arms. Apply a recommendation as a canary "
            "with a holdout; the first measured figures appear here after about 30 conversations in each arm."
        )
        st.page_link("views/recommendations.py", label="See recommendations", icon=":material/lightbulb:")


def no_recommendations(work_out: Callable[[], None], *, has_calls: bool) -> None:
    """Nothing has been recommended yet.

    Args:
        work_out: callback that looks for recommendations.
    """
    if not has_calls:
        no_calls()
        return
    with st.container(border=True, key="no_recommendations"):
        st.subheader("Not worked out yet", icon=":material/lightbulb:", anchor=False)
        st.markdown(
            "tierwise looks at each use case, at the cheaper models that could do it, and at the pairs of answers that "
            "have been scored so far. It reads the last 30 days and changes nothing."
        )
        with st.container(horizontal=True):
            st.button(
                "Work out recommendations",
                icon=":material/lightbulb:",
                type="primary",
                on_click=work_out,
                key="refresh",
            )
