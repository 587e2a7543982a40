"""Where calls, evaluations, policies and recommendations are kept: the `Store` protocol and `open_store()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from tierwise.errors import MissingExtra, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.call import Evaluation
    from tierwise.store.reviews import ReviewRecord
    from tierwise.store.rows import CallRecord, SpanRecord

EVIDENCE_STATES: Final = ("unproven", "candidate", "certified")
"""States that evidence moves a recommendation between."""
RECOMMENDATION_STATES: Final = (*EVIDENCE_STATES, "enforced", "rolled_back", "dismissed", "snoozed")
"""Every state; those that are no evidence states are entered by `Store.set_recommendation_state()` alone."""
RecommendationKind = Literal["model", "lever"]
"""A cheaper model for some calls, or another way to save."""


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

    def recommendations(self, kind: RecommendationKind = "model") -> list[dict[str, Any]]:
        """Every recommendation of a kind as saved, with `id`, `state`, `created_at` and `updated_at` (UTC); newest
        first."""
        ...

    def save_recommendations(self, items: Sequence[Mapping[str, Any]], kind: RecommendationKind = "model") -> None:
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

    def add_calls(self, calls: Sequence[CallRecord], spans: Sequence[SpanRecord] = ()) -> int:
        """Keep calls, and spans around them; one that is there already (same trace and span id) is left as it is.

        Returns: how many calls were not there.
        """
        ...

    def add_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Keep scores; one that is there already (same call, name, source and time) is left as it is."""
        ...

    def add_reviews(self, reviews: Sequence[ReviewRecord]) -> int:
        """Keep people's verdicts on pairs, each with the scores it gives and its audit row; how many were new.

        One that is there already (same id) is left as it is.
        """
        ...

    def undo_review(self, review_id: str, *, who: str) -> None:
        """Take a verdict back: its scores go, the review stays and says that it was undone.

        Raises:
            StoreError: no such review.
            Conflict: it was taken back already.
        """
        ...

    def edit_use_case(
        self, kind: str, use_case_id: str, value: str, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        """Say something about a use case beside its calls, which stay as they are; with its audit row.

        Args:
            kind: rename | label | exclude | merge | split.
            value: the name, the task type, nothing, the use case it counts as, or tenant | request_model.
            based_on: the newest edit of this use case in force that the author looked at; None: there was none.

        Returns: the number of the edit, which `undo_use_case_edit()` takes.

        Raises:
            Conflict: another edit of the use case came first.
            StoreError: the edit makes no sense.
        """
        ...

    def undo_use_case_edit(self, number: int, *, who: str, why: str) -> None:
        """Take an edit of a use case back, with its audit row.

        Raises:
            Conflict: it is not in force.
        """
        ...

    def put_budget(
        self, scope: str, value: str, monthly_usd: Decimal, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        """Set what a tenant, use_case or model, or all traffic, may cost a calendar month; with its audit row.

        Args:
            scope: tenant | use_case | model | all; value: whose, empty with all.
            based_on: the revision the author looked at; None: there was none.

        Returns: the new revision.

        Raises:
            Conflict: another revision came first.
            StoreError: no such scope, or no such amount.
        """
        ...

    def remove_budget(self, budget_id: str, *, who: str, why: str, based_on: int) -> None:
        """Take a budget away, with its audit row.

        Raises:
            Conflict: it was changed or removed first.
        """
        ...

    def add_alerts(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Keep alerts (`id`, `kind`, `subject`, `message`, `sql`, `detail`, `time_ns`) that are not there yet.

        Returns: the ids of those that were new.
        """
        ...

    def close(self) -> None:
        """Let go of the file or the connection. Closing twice is fine."""
        ...


def open_store(url: str, *, token: str | None = None, read_only: bool = False) -> Store:
    """Open the store at `url`.

    Args:
        url: `duckdb:PATH`, through the collector when one holds the file; `http://HOST:PORT` of a collector;
            `clickhouse://HOST:PORT/DATABASE`, where OpenTelemetry's exporter keeps spans; or `memory:`, an empty store
            that ends with the process.
        token: the collector's bearer token, where it asks for one; of a ClickHouse the password.
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
    if kind not in ("duckdb", "memory", "clickhouse") or (kind != "memory") != bool(path):
        raise StoreError(
            f"store URL {url!r} is not one of duckdb:PATH, http://HOST:PORT, clickhouse://HOST:PORT/DATABASE, memory:"
        )
    try:
        import duckdb as _duckdb  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import pyarrow as _pyarrow  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise MissingExtra("the store", "collector") from error
    from tierwise.store.duckdb import DuckDBStore
    from tierwise.store.sidecar import collector_of, trusting_the_note

    if kind == "memory":
        return DuckDBStore.open(None)
    if kind == "clickhouse":
        from tierwise.store.clickhouse import ClickHouseStore

        return ClickHouseStore.connect(url, password=token)
    collector_url = collector_of(path)
    if collector_url is not None:
        from tierwise.store.remote import RemoteStore

        return RemoteStore.connect(collector_url, token=token, ssl_context=trusting_the_note(path))
    return DuckDBStore.open(path, read_only=read_only)
