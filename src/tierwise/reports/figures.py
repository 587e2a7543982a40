"""The figures of a period, the same for the dashboard, the weekly report and `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tierwise.alerts.budgets import BudgetStatus, budget_statuses
from tierwise.recommend.recommendation import Recommendation
from tierwise.recommend.verify import Verification, verify

if TYPE_CHECKING:
    from tierwise.store import Store

FILTERS = ("service", "tenant", "model", "task_type", "use_case")
USE_CASES = 20
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Figures:
    """A period in numbers; rows are those of the named query of the same name."""

    since: datetime | None
    until: datetime
    filters: Mapping[str, tuple[str, ...]]
    overview_totals: Mapping[str, Any]
    spend_change: Mapping[str, Any]
    """Against the period of equal length just before."""
    spend_series: list[dict[str, Any]]
    """By model, a row a day and model."""
    token_mix: list[dict[str, Any]]
    use_cases: list[dict[str, Any]]
    """The dearest `USE_CASES`."""
    unpriced: list[dict[str, Any]]
    price_versions: list[dict[str, Any]]
    budgets: list[BudgetStatus]
    """Of the calendar month, whatever the period and filters."""
    alerts: list[dict[str, Any]]
    """Found within the period."""
    recommendations: list[Recommendation]
    """As last worked out, in the selection."""
    verifications: list[Verification]
    """Of whole rules, within the period."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values: decimals, times and dataclasses, which JSON writers turn into their own types."""
        return {
            "since": self.since,
            "until": self.until,
            "filters": {name: list(values) for name, values in self.filters.items()},
            **{
                name: getattr(self, name)
                for name in (
                    "overview_totals",
                    "spend_change",
                    "spend_series",
                    "token_mix",
                    "use_cases",
                    "unpriced",
                    "price_versions",
                    "alerts",
                )
            },
            "budgets": [status.to_dict() for status in self.budgets],
            "recommendations": [item.to_dict() for item in self.recommendations],
            "verifications": self.verifications,
        }


def read_figures(
    store: Store,
    *,
    since: datetime | None,
    until: datetime,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    step_s: int = DAY_S,
    seed: int = 0,
) -> Figures:
    """The figures of a period.

    Args:
        since, until: aware; without `since` everything stored.
        filters: values by key of `FILTERS`.
        step_s: seconds a row of `spend_series` covers.
    """
    chosen = dict(filters or {})
    asked: dict[str, Any] = {"since": since, "until": until, **chosen}
    (totals,) = store.query("overview_totals", **asked).to_pylist()
    (change,) = store.query("spend_change", **asked).to_pylist()
    return Figures(
        since=since,
        until=until,
        filters=chosen,
        overview_totals=totals,
        spend_change=change,
        spend_series=store.query("spend_series", step_s=step_s, **asked).to_pylist(),
        token_mix=store.query("token_mix", **asked).to_pylist(),
        use_cases=store.query("top_use_cases", limit=USE_CASES, step_s=step_s, **asked).to_pylist(),
        unpriced=store.query("unpriced", **asked).to_pylist(),
        price_versions=store.query("price_versions", **asked).to_pylist(),
        budgets=budget_statuses(store, now=until, seed=seed),
        alerts=store.query("alerts", since=since).to_pylist(),
        recommendations=[item for item in stored_recommendations(store) if selected(item, chosen)],
        verifications=verify(store, now=until.astimezone(UTC), since=since, seed=seed),
    )


def stored_recommendations(store: Store) -> list[Recommendation]:
    """Every recommendation as last worked out, in the state it is in."""
    return [replace(Recommendation.from_dict(item), state=item["state"]) for item in store.recommendations()]


def selected(item: Recommendation, filters: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the filters that a recommendation can answer to leave it."""
    scope = item.scope
    said = {
        "model": {scope.request_model},
        "task_type": {scope.task_type},
        "use_case": {scope.use_case_id, scope.use_case_name},
    }
    return all(said[key] & set(values) for key, values in filters.items() if key in said)
