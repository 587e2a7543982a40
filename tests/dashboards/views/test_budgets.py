from __future__ import annotations

from decimal import Decimal

from opening import OpenPage

from tierwise.store import Store
from tierwise.store.budgets import budget_id


def test_a_budget_is_set_from_the_page(store: Store, open_page: OpenPage) -> None:
    """For whom, how much, by whom: in the store, and a card on the page."""
    app = open_page("budgets")
    assert "No budget yet" in [item.value for item in app.subheader]
    app.button(key="set_budget").click().run()
    app.number_input(key="budget_usd").set_value(250.0)
    app.text_input(key="set_budget_who").set_value("lin")

    app.button(key="set_budget_now").click().run()

    (row,) = store.query("budgets").to_pylist()
    assert (row["scope"], row["monthly_usd"], row["who"]) == ("all", Decimal("250.000000"), "lin")
    assert "All traffic" in [item.value for item in app.subheader]


def test_an_exceeded_budget_stands_out(store: Store, open_page: OpenPage) -> None:
    """What is exceeded is said on its card and among what stands out, with the statement behind it."""
    store.put_budget("tenant", "acme", Decimal("0.01"), who="ada", why="")

    app = open_page("budgets")

    assert any("Exceeded" in item.value for item in app.markdown)
    assert any("over \\$0.01" in item.value for item in app.markdown)
    assert any("tenants := ['acme']" in block.value for block in app.code)


def test_second_of_two_people_is_told(store: Store, open_page: OpenPage) -> None:
    """A change made on a page that is out of date is refused."""
    store.put_budget("all", "", Decimal(100), who="ada", why="")
    app = open_page("budgets")
    app.button(key=f"change_{budget_id('all', '')}").click().run()
    store.put_budget("all", "", Decimal(200), who="grace", why="", based_on=1)

    app.button(key="change_budget_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert store.query("budgets")["monthly_usd"].to_pylist() == [Decimal("200.000000")]


def test_a_budget_is_removed(store: Store, open_page: OpenPage) -> None:
    """Gone from the store, kept in the audit log."""
    store.put_budget("all", "", Decimal(100), who="ada", why="")
    app = open_page("budgets")
    app.button(key=f"remove_{budget_id('all', '')}").click().run()

    app.button(key="remove_budget_now").click().run()

    assert store.query("budgets").num_rows == 0
    assert store.audit_log()[0]["action"] == "budget.remove"
