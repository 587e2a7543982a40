"""Calls that were ordered and are billed when they are done: whose they are, and which are booked already."""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

from tierwise.call import Request

MAX_REMEMBERED = 10_000
"""Orders, and orders booked, that are known at a time; the oldest are forgotten first."""


class Order(NamedTuple):
    """What is known of a call from the time it was ordered."""

    task_type: str = "unknown"
    use_case_id: str | None = None
    use_case_name: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    complexity: str | None = None


_orders: dict[str, Order] = {}
_booked: dict[str, None] = {}
_lock = Lock()


def remember(order_id: str | None, request: Request) -> None:
    """Keep whose call it is until it is booked."""
    if order_id is None:
        return
    order = Order(
        request.task_type,
        request.use_case_id,
        request.use_case_name,
        request.tenant,
        request.conversation_id,
        request.complexity,
    )
    with _lock:
        _orders[order_id] = order
        _forget_oldest(_orders)


def remembered(order_id: str) -> Order | None:
    """Whose call it is; None for one ordered elsewhere, or long ago."""
    return _orders.get(order_id)


def book(order_id: str) -> bool:
    """Whether this order is to be booked now: True the first time."""
    with _lock:
        if order_id in _booked:
            return False
        _booked[order_id] = None
        _forget_oldest(_booked)
        return True


def is_booked(order_id: str) -> bool:
    """Whether this order was booked already."""
    return order_id in _booked


def forget_all() -> None:
    """Forget every order; for tests whose provider counts its ids from 1 again."""
    with _lock:
        _orders.clear()
        _booked.clear()


def _forget_oldest(known: dict[str, Any]) -> None:
    if len(known) > MAX_REMEMBERED:
        del known[next(iter(known))]
