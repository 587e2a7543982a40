"""The pairs that wait for review, and what was said about those that do not, cached like every other read.

A queue is read once a minute and walked through meanwhile: what this session has decided is taken out of it here.
"""

from __future__ import annotations

from typing import Any

import connection
import streamlit as st
from filters import Filters

from tierwise import settings
from tierwise.review.agreement import ReviewSummary, read_summary
from tierwise.review.queue import Queue, QueueItem, Shared, read_queue, read_shared
from tierwise.store import Store

TTL_S = 60
_DECIDED = "review_decided"
"""Keys of the pairs decided in this session, in order."""

_Parameters = tuple[tuple[str, Any], ...]


def waiting(selected: Filters) -> list[QueueItem]:
    """Pairs of the selected calls that nobody has decided about, oldest first."""
    gone = set(decided())
    return [item for item in _queue(connection.source().url, _key(selected), connection.store()).waiting
            if item.key not in gone]  # fmt: skip


def summary(selected: Filters) -> ReviewSummary:
    """What people said about the selected calls."""
    return _summary(connection.source().url, _key(selected), connection.store())


def shared(item: QueueItem) -> Shared:
    """What a reviewer of `item` goes by."""
    return read_shared(connection.store(), item, trace_url=settings.load().trace_url)


def decided() -> list[str]:
    """Keys of the pairs decided in this session, in order."""
    return st.session_state.setdefault(_DECIDED, [])


def forget() -> None:
    """Drop what was said, after a verdict; the queue stays, less the pairs decided."""
    _summary.clear()


def forget_queue() -> None:
    """Read the queue anew, as after a verdict of an earlier session was taken back."""
    _queue.clear()
    _summary.clear()


def _key(selected: Filters) -> _Parameters:
    return tuple(sorted(selected.parameters.items()))


@st.cache_data(ttl=TTL_S, max_entries=16, show_spinner="Looking for pairs to review…")
def _queue(url: str, parameters: _Parameters, _store: Store) -> Queue:
    return read_queue(_store, dict(parameters))


@st.cache_data(ttl=TTL_S, max_entries=16, show_spinner=False)
def _summary(url: str, parameters: _Parameters, _store: Store) -> ReviewSummary:
    return read_summary(_store, dict(parameters))
