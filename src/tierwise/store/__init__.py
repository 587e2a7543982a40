"""Where calls, evaluations, policies and recommendations are kept: the `Store` protocol and `open_store()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from tierwise.errors import MissingExtra, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.call import Evaluation
    from tierwise.store.rows import CallRecord, SpanRecord

EVIDENCE_STATES: Final = ("unproven", "candidate", "certified")
"""States that evidence moves a recommendation between."""
RECOMMENDATION_STATES: Final = (*EVIDENCE_STATES, "enforced", "rolled_back", "dismissed", "snoozed")
"""Every state; those that are no evidence states are entered by `Store.set_recommendation_state()` alone."""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One version of the policy as the store keeps it."""

    version: int
    """1, 2, 3 …; the highest is the one in force."""
    text: str
    """TOML, its `version` equal to the one above."""
    content_hash: str
    who: str
    why: str
    action: str
    """apply | rollback | off, or what else the caller named it."""
    created_at: datetime
    """UTC, aware."""


class Store(Protocol):
    """What the command line, the dashboard and the analysis read and write.

    Every method raises `StoreError` when the engine fails, and `CollectorUnavailable` when the store is reached through
    a collector that has gone away. A store may be used from several threads at once.
    """

    @property
    def url(self) -> str:
        """What `open_store()` opens again."""
        ...

    def query(self, name: str, /, **parameters: Any) -> pa.Table:
        """The rows of a named query, `store/queries/NAME.sql`; its header says what they are.

        Args:
            parameters: bound to the `$parameters` of the query; one not given is NULL. Times are aware datetimes or
                nanoseconds since 1970. `service`, `tenant`, `model`, `task_type` and `use_case` take a text or a
                sequence of texts; None and an empty sequence select everything.

        Raises:
            QueryError: no such query or parameter, or the engine refused.
        """
        ...

    def sql(self, text: str, *, max_rows: int = 100_000, timeout_s: float = 30.0) -> pa.Table:
        """The rows of one read-only statement. VARIANT columns come as JSON text.

        Raises:
            QueryError: it is not exactly one read-only statement, it reaches outside the store, or it ran past
                `max_rows`, `timeout_s` or the engine's memory limit.
        """
        ...

    def current_policy(self) -> PolicyRecord | None:
        """The policy in force; None before the first."""
        ...

    def policy_history(self) -> list[PolicyRecord]:
        """Every version, newest first."""
        ...

    def put_policy(
        self, text: str, *, who: str, why: str, action: str = "apply", based_on: int | None = None
    ) -> PolicyRecord:
        """Make `text` the policy in force, as a new version with its audit row.

        Args:
            text: TOML; its `version` is replaced by the one assigned.
            based_on: the version the author looked at; None: there was none.

        Raises:
            PolicyError: the text is not a policy.
            Conflict: another version came first.
        """
        ...

    def recommendations(self) -> list[dict[str, Any]]:
        """Every recommendation as saved, with `id`, `state`, `created_at` and `updated_at` (UTC); newest first."""
        ...

    def save_recommendations(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace recommendations by `id`; `state` defaults to unproven.

        The content of an enforced one is what a person approved, so it stays as it is. A state that a person set stays
        too: saving moves a recommendation only between `EVIDENCE_STATES`.
        """
        ...

    def set_recommendation_state(
        self, recommendation_id: str, state: str, *, who: str, why: str, expected: str | None = None
    ) -> None:
        """Move a recommendation to another state, with its audit row.

        Raises:
            Conflict: `expected` is given and is not the state it has.
            StoreError: no such recommendation or state.
        """
        ...

    def audit(self, action: str, detail: Mapping[str, Any], *, who: str, why: str) -> None:
        """Record that somebody did something."""
        ...

    def audit_log(self) -> list[dict[str, Any]]:
        """`time` (UTC), `who`, `action`, `why` and `detail` of everything recorded, newest first."""
        ...

    def add_calls(self, calls: Sequence[CallRecord], spans: Sequence[SpanRecord] = ()) -> None:
        """Keep calls, and spans around them; one that is there already (same trace and span id) is left as it is."""
        ...

    def add_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Keep scores; one that is there already (same call, name, source and time) is left as it is."""
        ...

    def close(self) -> None:
        """Let go of the file or the connection. Closing twice is fine."""
        ...


def open_store(url: str, *, token: str | None = None, read_only: bool = False) -> Store:
    """Open the store at `url`.

    Args:
        url: `duckdb:PATH`, through the collector when one holds the file; `http://HOST:PORT` of a collector; or
            `memory:`, an empty store that ends with the process.
        token: the collector's bearer token, where it asks for one.
        read_only: open a DuckDB file so that other processes can read it too. Writing then fails.

    Raises:
        StoreLocked: another process holds the file and cannot be asked.
        StoreTooNew: the file was written by a newer tierwise.
        CollectorUnavailable: no collector answers at an `http` URL, or it refuses the token.
    """
    if url.startswith(("http://", "https://")):
        from tierwise.store.remote import RemoteStore

        return RemoteStore.connect(url, token=token)
    kind, _, path = url.partition(":")
    if kind not in ("duckdb", "memory") or (kind == "duckdb") != bool(path):
        raise StoreError(f"store URL {url!r} is not one of duckdb:PATH, http://HOST:PORT, memory:")
    try:
        import duckdb as _duckdb  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import pyarrow as _pyarrow  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise MissingExtra("the store", "collector") from error
    from tierwise.store.duckdb import DuckDBStore
    from tierwise.store.sidecar import collector_of, trusting_the_note

    if kind == "memory":
        return DuckDBStore.open(None)
    collector_url = collector_of(path)
    if collector_url is not None:
        from tierwise.store.remote import RemoteStore

        return RemoteStore.connect(collector_url, token=token, ssl_context=trusting_the_note(path))
    return DuckDBStore.open(path, read_only=read_only)
