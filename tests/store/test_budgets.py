from __future__ import annotations

from decimal import Decimal

import pytest

from tierwise.errors import Conflict, StoreError
from tierwise.store import Store
from tierwise.store.budgets import budget_id, decimal


def test_a_budget_is_set_changed_and_removed(store: Store) -> None:
    """A subject has one budget, with a revision for each change, and all of it is in the audit log."""
    first = store.put_budget("tenant", "acme", Decimal("120.5"), who="ada", why="agreed")
    second = store.put_budget("tenant", "acme", Decimal(90), who="ben", why="less", based_on=first)
    (row,) = store.query("budgets").to_pylist()
    store.remove_budget(row["id"], who="cleo", why="gone", based_on=second)

    assert (first, second) == (1, 2)
    assert (row["monthly_usd"], row["revision"], row["who"]) == (Decimal("90.000000"), 2, "ben")
    assert store.query("budgets").num_rows == 0
    log = [(entry["action"], entry["detail"]["before"], entry["detail"]["after"]) for entry in store.audit_log()][::-1]
    assert log == [
        ("budget.set", None, "120.5"),
        ("budget.set", "120.500000", "90"),
        ("budget.remove", "90.000000", None),
    ]


def test_second_of_two_changes_is_refused(store: Store) -> None:
    """A change made from another revision than the present one is a Conflict."""
    store.put_budget("all", "", Decimal(10), who="ada", why="")

    with pytest.raises(Conflict, match="first"):
        store.put_budget("all", "", Decimal(20), who="ben", why="")
    with pytest.raises(Conflict, match="first"):
        store.remove_budget(budget_id("all", ""), who="ben", why="", based_on=7)


@pytest.mark.parametrize(
    ("scope", "value", "usd"),
    [("planet", "mars", "1"), ("all", "acme", "1"), ("tenant", "", "1"), ("all", "", "0"), ("all", "", "NaN")],
)
def test_nonsense_is_refused(scope: str, value: str, usd: str, store: Store) -> None:
    """A budget is an amount above 0 of a subject that there is."""
    with pytest.raises(StoreError):
        store.put_budget(scope, value, Decimal(usd), who="ada", why="")


def test_an_alert_is_kept_once(store: Store) -> None:
    """The same finding is new the first time only."""
    alert = {
        "id": "alert_1", "kind": "budget", "subject": "all traffic", "message": "too much", "sql": "SELECT 1",
        "detail": {"spent": 3}, "time_ns": 1_790_000_000_000_000_000,
    }  # fmt: skip

    assert store.add_alerts([alert]) == ["alert_1"]
    assert store.add_alerts([alert, {**alert, "id": "alert_2"}]) == ["alert_2"]
    assert [row["id"] for row in store.query("alerts").to_pylist()] == ["alert_1", "alert_2"]


def test_what_is_no_amount_is_said_so() -> None:
    """Text that is no number is refused by name."""
    assert decimal("12.50") == Decimal("12.50")
    with pytest.raises(StoreError, match="twelve"):
        decimal("twelve")
