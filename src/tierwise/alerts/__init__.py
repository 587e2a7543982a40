"""Budgets, what a month comes to, and what stands out: found, kept in the store, logged and sent on."""

from __future__ import annotations

from tierwise.alerts.alert import Alert
from tierwise.alerts.budgets import Budget, BudgetStatus, budget_statuses
from tierwise.alerts.findings import Checked, check

__all__ = ["Alert", "Budget", "BudgetStatus", "Checked", "budget_statuses", "check"]
