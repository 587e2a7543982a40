"""One look at budgets, yesterday's spend and the rules in force: what is to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tierwise.alerts.alert import Alert, sql_calls, sql_text
from tierwise.alerts.budgets import BREACHES, BudgetStatus, budget_statuses
from tierwise.alerts.days import Days, read_days
from tierwise.evidence.anomaly import DayJudged, judge_day
from tierwise.evidence.estimate import Estimate
from tierwise.recommend.verify import Drift, Verification, verify

if TYPE_CHECKING:
    from tierwise.store import Store

_DIMENSIONS = (None, "tenant", "use_case", "model")
_LEAST_USD = 1.0
"""A day off by less than this is nobody's concern."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look found."""

    budgets: tuple[BudgetStatus, ...]
    alerts: tuple[Alert, ...]
    """Everything that is wrong now, told before or not."""

    @property
    def breached(self) -> bool:
        """Whether a budget is exceeded, or will be by all that is known."""
        return any(status.state in BREACHES for status in self.budgets)


def check(store: Store, *, now: datetime, seed: int = 0) -> Checked:
    """Look at everything; nothing is written.

    Args:
        now: aware.
    """
    budgets = budget_statuses(store, now=now, seed=seed)
    return Checked(
        tuple(budgets),
        (
            *_budget_alerts(budgets, now),
            *_anomalies(store, now),
            *_drifts(verify(store, now=now, seed=seed), now),
        ),
    )


def tell(store: Store, alerts: Iterable[Alert]) -> list[Alert]:
    """Keep the alerts in the store; those that were not there yet, which are to be told."""
    found = {alert.id: alert for alert in alerts}
    return [found[identity] for identity in store.add_alerts([alert.to_row() for alert in found.values()])]


def _budget_alerts(statuses: Iterable[BudgetStatus], now: datetime) -> list[Alert]:
    month = f"{now.astimezone(UTC):%Y-%m}"
    found: list[Alert] = []
    for status in statuses:
        budget, detail = status.budget, status.to_dict()
        # A budget that is raised and exceeded again is told again.
        period = f"{month} {budget.monthly_usd}"
        if status.state == "exceeded":
            message = f"{budget.subject} has cost ${status.spent_usd:,.2f} in {month}, over ${budget.monthly_usd:,.2f}"
            found.append(Alert("budget", budget.subject, period, message, status.sql, detail, now))
        elif status.state == "will exceed" and isinstance(status.forecast, Estimate):
            message = (
                f"{budget.subject} will cost {status.forecast.describe()} in {month}, over ${budget.monthly_usd:,.2f}"
            )
            found.append(Alert("forecast", budget.subject, period, message, status.sql, detail, now))
    return found


def _anomalies(store: Store, now: datetime) -> list[Alert]:
    found: list[Alert] = []
    for dimension in _DIMENSIONS:
        for subject, days in read_days(store, now, dimension=dimension).items():
            alert = _anomaly(dimension or "all", subject, days, now)
            if alert is not None:
                found.append(alert)
    return found


def _anomaly(scope: str, value: str, days: Days, now: datetime) -> Alert | None:
    if not days.days:
        return None
    day, spent = days.days[-1], days.spend_usd[-1]
    judged = judge_day(spent, day.weekday(), daily=days.spend_usd[:-1], weekdays=days.weekdays[:-1])
    if not isinstance(judged, DayJudged) or not judged.stands_out or abs(spent - judged.expected) < _LEAST_USD:
        return None
    subject = "all traffic" if scope == "all" else f"{scope.replace('_', ' ')} {value}"
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    message = (
        f"{subject} cost ${spent:,.2f} on {day}, where ${judged.low:,.2f} to ${judged.high:,.2f} was to be expected "
        f"({judged.method}, n={judged.n})"
    )
    detail = {
        "scope": scope,
        "value": value,
        "day": day.isoformat(),
        "spend_usd": spent,
        "expected_usd": judged.expected,
        "low_usd": judged.low,
        "high_usd": judged.high,
        "score": judged.score,
        "n": judged.n,
        "method": judged.method,
    }
    sql = sql_calls(scope, value, since, since + timedelta(days=1))
    return Alert("anomaly", subject, day.isoformat(), message, sql, detail, now)


def _drifts(rules: Iterable[Verification], now: datetime) -> list[Alert]:
    found: list[Alert] = []
    for rule in rules:
        if rule.share is None or not isinstance(rule.drift, Drift) or not rule.drift.alarm:
            continue
        message = (
            f"rule {rule.rule_id} no longer keeps {rule.drift.min_retention:.0%} of the quality: e-value "
            f"{rule.drift.e_value:.3g} over {rule.drift.conversations} later conversations; roll it back"
        )
        detail = {
            "rule_id": rule.rule_id,
            "target": rule.target,
            "e_value": rule.drift.e_value,
            "min_retention": rule.drift.min_retention,
            "conversations": rule.drift.conversations,
            "since": rule.since.isoformat(),
        }
        found.append(
            Alert("drift", f"rule {rule.rule_id}", rule.since.isoformat(), message, _pairs_sql(rule), detail, now)
        )
    return found


def _pairs_sql(rule: Verification) -> str:
    target = "" if rule.target is None else f" AND weak.request_model = {sql_text(rule.target)}"
    return (
        "SELECT strong.trace_id, strong.span_id, strong.start_time, evaluations.name, evaluations.source,\n"
        "       evaluations.score, evaluations.span_id = weak.span_id AS of_the_target\n"
        "FROM llm_calls AS strong\n"
        "JOIN llm_calls AS weak ON weak.shadow_of_trace_id = strong.trace_id "
        "AND weak.shadow_of_span_id = strong.span_id\n"
        "JOIN evaluations ON evaluations.span_id IN (strong.span_id, weak.span_id)\n"
        f"WHERE strong.start_time >= TIMESTAMP '{rule.since:%Y-%m-%d %H:%M:%S}'{target}\n"
        "ORDER BY strong.start_time"
    )
