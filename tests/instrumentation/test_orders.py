from __future__ import annotations

from collections.abc import Generator

import pytest

from tierwise.call import Request
from tierwise.instrumentation import orders


@pytest.fixture(autouse=True)
def no_orders() -> Generator[None]:
    orders.forget_all()
    yield
    orders.forget_all()


def request(use_case_name: str) -> Request:
    return Request(
        "openai",
        "chat",
        "responses",
        "gpt-4o",
        {},
        use_case_name=use_case_name,
        task_type="summarization",
        tenant="acme",
    )


def test_an_order_is_booked_once() -> None:
    """The first to book an order may; who comes later may not."""
    assert [orders.book("resp_1"), orders.book("resp_1"), orders.book("resp_2")] == [True, False, True]
    assert orders.is_booked("resp_1")
    assert not orders.is_booked("resp_3")


def test_whose_order_it_is_stays_known() -> None:
    """Task, use case and tenant of the request are there when the order is billed; its body is not kept."""
    orders.remember("resp_1", request("letters"))
    orders.remember(None, request("lost"))

    order = orders.remembered("resp_1")

    assert order == orders.Order("summarization", "", "letters", "acme", None, "unknown")
    assert orders.remembered("resp_2") is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest orders are forgotten when there are too many."""
    monkeypatch.setattr(orders, "MAX_REMEMBERED", 3)
    for number in range(10):
        orders.remember(f"resp_{number}", request("letters"))
        orders.book(f"resp_{number}")

    assert len(orders._orders) == len(orders._booked) == 3
    assert orders.is_booked("resp_9")
    assert not orders.is_booked("resp_0")
