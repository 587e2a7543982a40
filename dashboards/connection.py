"""The store the pages read and write, opened once, and their cached reads.

Everything is cached by the store's URL and the parameters, for seconds: pages are cheap to redraw, and a figure is
never older than `TTL_S`. `forget_reads()` after a write makes the writer see it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import streamlit as st

from tierwise import settings
from tierwise.store import PolicyRecord, RecommendationKind, Store, open_store

TTL_S = 10
"""How old a cached read may be."""

Parameters = Mapping[str, str | int | datetime | tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Source:
    """Which store: what every cached read is keyed by."""

    url: str
    """As set, `TIERWISE_DB`: the store's own URL changes when a collector takes the file over."""
    token: str | None


def source() -> Source:
    """The store that the settings name.

    Raises:
        SettingsError: a setting cannot be used.
    """
    loaded = settings.load()
    return Source(loaded.db, loaded.token)


def store() -> Store:
    """The open store.

    Raises:
        StoreError, CollectorUnavailable, SettingsError: it cannot be opened.
    """
    where = source()
    return _open(where.url, where.token)


@st.cache_resource(show_spinner=False, max_entries=4, on_release=lambda opened: opened.close())
def _open(url: str, token: str | None) -> Store:
    return open_store(url, token=token)


def reopen() -> None:
    """Let go of the store, so that the next read looks again for who holds it."""
    forget_reads()
    _open.clear()


def forget_reads() -> None:
    """Drop every cached read."""
    for cached in (_table, _policies, _recommendations, _audit_log):
        cached.clear()


def table(query: str, parameters: Parameters | None = None) -> pa.Table:
    """The rows of a named query; money as floats and times with their zone, which is what the browser draws rightly."""
    return _table(source().url, query, tuple(sorted((parameters or {}).items())), store())


def rows(query: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
    """The rows of a named query, NULL as None."""
    return table(query, parameters).to_pylist()


def row(query: str, parameters: Parameters | None = None) -> dict[str, Any]:
    """The only row of a named query."""
    (only,) = rows(query, parameters)
    return only


@st.cache_data(ttl=TTL_S, max_entries=512, show_spinner=False)
def _table(url: str, query: str, parameters: tuple[tuple[str, Any], ...], _store: Store) -> pa.Table:
    return _drawable(_store.query(query, **dict(parameters)))


def _drawable(result: pa.Table) -> pa.Table:
    def drawable(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal(kind):
            return pa.float64()
        # The browser takes a time without a zone for one of its own; the store's are UTC.
        return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) else kind

    return result.cast(pa.schema([field.with_type(drawable(field.type)) for field in result.schema]))


def current_policy() -> PolicyRecord | None:
    """The policy in force."""
    return next(iter(policy_history()), None)


def policy_history() -> list[PolicyRecord]:
    """Every policy version, newest first."""
    return _policies(source().url, store())


@st.cache_data(ttl=TTL_S, max_entries=8, show_spinner=False)
def _policies(url: str, _store: Store) -> list[PolicyRecord]:
    return _store.policy_history()


def recommendations(kind: RecommendationKind = "model") -> list[dict[str, Any]]:
    """Every saved recommendation or lever, newest first."""
    return _recommendations(source().url, kind, store())


@st.cache_data(ttl=TTL_S, max_entries=8, show_spinner=False)
def _recommendations(url: str, kind: RecommendationKind, _store: Store) -> list[dict[str, Any]]:
    return _store.recommendations(kind)


def audit_log() -> list[dict[str, Any]]:
    """Who did what, newest first."""
    return _audit_log(source().url, store())


@st.cache_data(ttl=TTL_S, max_entries=8, show_spinner=False)
def _audit_log(url: str, _store: Store) -> list[dict[str, Any]]:
    return _store.audit_log()
