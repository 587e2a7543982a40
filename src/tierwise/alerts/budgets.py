"""Budgets of a calendar month: what is spent, and what the month comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from tierwise.alerts.alert import sql_calls
from tierwise.alerts.days import Days, month_end, month_start, no_days, read_days
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.forecast import sum_to_end

if TYPE_CHECKING:
    from tierwise.store import Store

State = Literal["exceeded", "will exceed", "may exceed", "within", "unknown"]
BREACHES: frozenset[State] = frozenset({"exceeded", "will exceed"})


@dataclass(frozen=True, slots=True)
class Budget:
    """What a subject may cost a calendar month (UTC)."""

    id: str
    scope: str
    """all | tenant | use_case | model."""
    value: str
    """Whose; '' with scope all."""
    monthly_usd: Decimal
    revision: int

    @property
    def subject(self) -> str:
        return "all traffic" if self.scope == "all" else f"{self.scope.replace('_', ' ')} {self.value}"


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget beside what is spent."""

    budget: Budget
    spent_usd: Decimal
    """Since the month began; priced calls only."""
    forecast: Estimate | NotEnoughData
    """What the month comes to, USD."""
    unpriced_calls: int
    """Of the month, which no amount here holds."""
    sql: str
    """Gives the calls behind `spent_usd`."""

    @property
    def spent_share(self) -> float:
        return float(self.spent_usd / self.budget.monthly_usd)

    @property
    def state(self) -> State:
        """`will exceed`: even the forecast's lower bound does; `may exceed`: its upper bound does."""
        limit = float(self.budget.monthly_usd)
        if self.spent_usd > self.budget.monthly_usd:
            return "exceeded"
        if isinstance(self.forecast, NotEnoughData):
            return "unknown"
        if self.forecast.low > limit:
            return "will exceed"
        return "may exceed" if self.forecast.high > limit else "within"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.budget.id,
            "scope": self.budget.scope,
            "value": self.budget.value,
            "monthly_usd": float(self.budget.monthly_usd),
            "spent_usd": float(self.spent_usd),
            "spent_share": self.spent_share,
            "forecast": self.forecast.to_dict(),
            "state": self.state,
            "unpriced_calls": self.unpriced_calls,
            "sql": self.sql,
        }


def read_budgets(store: Store) -> list[Budget]:
    """Every budget, largest first."""
    return [
        Budget(row["id"], row["scope"], row["value"], row["monthly_usd"], row["revision"])
        for row in store.query("budgets").to_pylist()
    ]


def budget_statuses(store: Store, *, now: datetime, seed: int = 0) -> list[BudgetStatus]:
    """Every budget beside the month's spend and forecast, largest first.

    Args:
        now: aware; the month is that of this moment, UTC.
    """
    budgets = read_budgets(store)
    days = {
        scope: read_days(store, now, dimension=None if scope == "all" else scope)
        for scope in {budget.scope for budget in budgets}
    }
    return [
        _status(budget, days[budget.scope].get(budget.value) or no_days(), now=now, seed=seed) for budget in budgets
    ]


def _status(budget: Budget, days: Days, *, now: datetime, seed: int) -> BudgetStatus:
    return BudgetStatus(
        budget=budget,
        spent_usd=days.month_usd,
        forecast=month_forecast(days, now=now, seed=seed),
        unpriced_calls=days.unpriced_calls,
        sql=sql_calls(budget.scope, budget.value, month_start(now), now.astimezone(UTC)),
    )


def month_forecast(days: Days, *, now: datetime, seed: int = 0) -> Estimate | NotEnoughData:
    """What the calendar month of `now` comes to, USD."""
    moment = now.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = [midnight + timedelta(days=place) for place in range((month_end(now) - midnight).days)]
    share_left = 1.0 - (moment - midnight) / timedelta(days=1)
    return sum_to_end(
        days.spend_usd,
        days.weekdays,
        so_far=float(days.month_usd),
        remaining_weekday=[day.weekday() for day in ahead],
        remaining_share=[share_left, *(1.0 for _ in ahead[1:])],
        seed=seed,
    )
