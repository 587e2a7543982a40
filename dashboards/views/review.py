"""Review: pairs of answers judged blind, by keyboard, and how far checks and judges agree with people."""

from __future__ import annotations

from typing import Literal

import connection
import estimates
import format
import review_queue
import roles
import states
import streamlit as st
import writes
from filters import Filters

from tierwise.evidence.estimate import Estimate
from tierwise.review.agreement import ReviewSummary
from tierwise.review.queue import QueueItem, Shared
from tierwise.review.verdicts import Choice, record, undo_last

_CHOICES: tuple[tuple[Choice, str, str], ...] = (
    ("a", "A is better", "A"),
    ("b", "B is better", "B"),
    ("tie", "Both good", "T"),
    ("bad", "Neither", "N"),
    ("skip", "Skip", "S"),
)
"""Choice, what the button says, and its key."""
_REVIEWER = "reviewer"


def reviewer() -> str:
    """Who reviews: who is signed in, else the name in the field, else the one remembered."""
    return roles.email() or str(st.session_state.get(_REVIEWER, "")).strip() or writes.remembered_name()


def queue(items: list[QueueItem]) -> None:
    """The oldest pair that waits, with a key for each verdict."""
    item = items[0]
    shown = review_queue.shared(item)
    with st.container(border=True, key="review_pair"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{format.literal(item.use_case)}** · {format.literal(item.task_type)}")
            st.caption(f"{format.count(len(items))} waiting · made {format.moment(item.made_at)}")
        if shown.asked is not None:
            with st.container(height=220, border=True, key="review_asked"):
                st.text(shown.asked)
        first, second = st.columns(2, gap="medium")
        with first:
            answer("A", shown.a, shown.link_a)
        with second:
            answer("B", shown.b, shown.link_b)
        with st.container(horizontal=True, gap="small"):
            for choice, label, key in _CHOICES:
                st.button(
                    label,
                    key=f"review_{choice}",
                    shortcut=key,
                    type="primary" if choice in ("a", "b") else "secondary",
                    disabled=not roles.may("review"),
                    on_click=decide,
                    args=(item, choice, shown),
                )
            undo_button()


def answer(letter: Literal["A", "B"], text: str | None, link: str | None) -> None:
    """One side of the pair: its text, else where to look at it."""
    st.subheader(letter, anchor=False)
    if text is not None:
        with st.container(height=360, border=True, key=f"review_answer_{letter}"):
            st.text(text)
    elif link is not None:
        st.markdown("The text is not stored.")
        st.link_button(f"Open {letter}", link, icon=":material/open_in_new:")
    else:
        st.markdown(
            "The text is not stored. `TIERWISE_CAPTURE_CONTENT=true` in the application keeps it; "
            "`TIERWISE_TRACE_URL` links to where you have it."
        )


def undo_button() -> None:
    """Takes back the newest verdict of the reviewer, of this session or an earlier one."""
    st.button(
        "Undo",
        key="review_undo",
        shortcut="U",
        icon=":material/undo:",
        disabled=not roles.may("review"),
        on_click=undo,
    )


def decide(item: QueueItem, choice: Choice, shown: Shared) -> None:
    """Callback: record a verdict and go on to the next pair."""
    decided, who = review_queue.decided(), reviewer()

    def write() -> str:
        record(connection.store(), item, choice, reviewer=who, shown=shown.shown)
        decided.append(item.key)
        review_queue.forget()
        return f"{item.use_case}: recorded"

    # Undoing makes it another decision about the same pair.
    writes.once(("review", item.key, st.session_state.get("review_undone", 0)), write, role="review")


def undo() -> None:
    """Callback: take back the reviewer's newest verdict; its pair waits again."""
    decided, who = review_queue.decided(), reviewer()
    undone = st.session_state.get("review_undone", 0)

    def write() -> str:
        row = undo_last(connection.store(), who)
        key = f"{row['shadow_trace_id']}-{row['shadow_span_id']}"
        if key in decided:
            decided.remove(key)
            review_queue.forget()
        else:
            review_queue.forget_queue()
        st.session_state["review_undone"] = undone + 1
        return "Taken back; the pair waits again"

    writes.once(("review undo", undone), write, role="review")


def nothing_waits(summary: ReviewSummary) -> None:
    """No pair is left, or none was drawn."""
    with st.container(border=True, key="review_empty"):
        st.subheader("No pair waits for review", icon=":material/done_all:", anchor=False)
        st.markdown(
            "A few pairs in a hundred are drawn at random, and more of those whose answers were scored differently. "
            "Pairs come from shadow calls: `[shadow]` in the policy makes them."
        )
        if summary.reviewed:
            undo_button()


def said(summary: ReviewSummary) -> None:
    """What people said, and who agrees with them."""
    st.subheader("What people said", anchor=False)
    counts = summary.verdicts
    with st.grid(4, min_column_width=135, gap="small"):
        estimates.card("Pairs reviewed", format.count(summary.reviewed), f"{format.count(counts['skip'])} skipped")
        estimates.card("Model in use better", format.count(counts["strong"]), "The one that was asked for")
        estimates.card("Cheaper model better", format.count(counts["weak"]), "The shadow call's")
        estimates.card(
            "As good as each other", format.count(counts["both_good"]), f"{format.count(counts['both_bad'])} both bad"
        )
    habit = estimates.shown(summary.prefers_first)
    st.caption(format.literal(f"Of the pairs with a better answer, A was better in {habit.value} ({habit.interval})."))
    if not summary.evaluations:
        return
    st.dataframe(
        [
            {
                "scores": item.evaluation,
                "source": item.source,
                "pairs": item.pairs,
                "at_random": item.at_random,
                **_bounds("agree", item.agreement.observed),
                **_bounds("leniency", item.leniency),
            }
            for item in summary.evaluations
        ],
        hide_index=True,
        placeholder=format.UNKNOWN,
        alt="Agreement of checks and judges with people, on the pairs drawn at random",
        key="review_agreement",
        column_config={
            "scores": st.column_config.TextColumn("Scores", pinned=True),
            "source": "Source",
            "pairs": st.column_config.NumberColumn("Pairs", format="localized"),
            "at_random": st.column_config.NumberColumn("Drawn at random", format="localized"),
            "agree": st.column_config.NumberColumn("Agree", format="percent"),
            "agree_low": st.column_config.NumberColumn("Low", format="percent"),
            "agree_high": st.column_config.NumberColumn("High", format="percent"),
            "leniency": st.column_config.NumberColumn("For the cheaper one", format="%+.3f"),
            "leniency_low": st.column_config.NumberColumn("Low", format="%+.3f"),
            "leniency_high": st.column_config.NumberColumn("High", format="%+.3f"),
        },
    )


def _bounds(name: str, figure: object) -> dict[str, float | None]:
    known = figure if isinstance(figure, Estimate) else None
    return {
        name: known and known.value,
        f"{name}_low": known and known.low,
        f"{name}_high": known and known.high,
    }


selected: Filters = st.session_state["selected"]
if connection.row("overview_totals", selected.parameters)["calls"]:
    st.text_input(
        "Reviewer",
        value=writes.remembered_name(),
        key=_REVIEWER,
        help="Goes into the audit log with every verdict.",
        autocomplete="name",
        disabled=roles.email() is not None,
        width=280,
    )
    found, pairs = review_queue.summary(selected), review_queue.waiting(selected)
    if pairs:
        queue(pairs)
    else:
        nothing_waits(found)
    if found.reviewed:
        said(found)
else:
    states.no_calls_selected()
