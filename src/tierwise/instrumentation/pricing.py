"""What a finished call cost: said at once when the price list is there, else as soon as it is.

In a fresh process the price list loads on a background thread. A call that ends before waits for it, outside the
user's code, and is closed then with the end time it really had.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import NamedTuple

from tierwise import prices
from tierwise.call import Cost, Usage
from tierwise.firewall import firewall

Close = Callable[[Cost | None, str | None], None]
"""Takes the cost, or None and why it is not known; called exactly once."""

Calculate = Callable[[], tuple[Cost | None, str | None]]
"""The cost, or None and why it is not known; called once the price list is loaded."""


class Bill(NamedTuple):
    """What the cost of a call depends on."""

    provider: str
    model: str
    response_model: str | None
    usage: Usage
    service_tier: str | None
    at_ns: int
    """When the call began: prices are dated."""
    region: str | None = None
    """Where it was processed, when that may cost more."""


_waiting: dict[int, Close] = {}
_closing: set[int] = set()
"""Calls that have their price and are being closed."""
_numbers = count()
_lock = Lock()


def settle(bill: Bill, close: Close) -> None:
    """Tell `close` the cost, now or when the price list is loaded; that it is unknown when too many wait already."""
    if prices.ready():
        close(*_cost(bill))
    else:
        _settle_when_ready(lambda: _cost(bill), close)


def settle_by(calculate: Calculate, close: Close) -> None:
    """As `settle`, for a cost that is more than one bill's."""
    if prices.ready():
        close(*calculate())
    else:
        _settle_when_ready(calculate, close)


def _settle_when_ready(calculate: Calculate, close: Close) -> None:
    number = next(_numbers)
    _waiting[number] = close

    def close_with_cost() -> None:
        with firewall("pricing a call"):
            if (mine := _take(number)) is not None:
                try:
                    mine(*calculate())
                finally:
                    _closing.discard(number)

    if not prices.when_ready(close_with_cost):
        _close_unpriced(number)


def wait_until_settled(timeout_s: float) -> bool:
    """Wait until no call waits for the price list; False when that takes longer than `timeout_s`."""
    until_s = time.monotonic() + timeout_s
    while (_waiting or _closing) and time.monotonic() < until_s:
        time.sleep(0.005)
    return not (_waiting or _closing)


def give_up_waiting() -> None:
    """Close the calls that still wait for the price list; the collector prices them from their tokens."""
    for number in list(_waiting):
        with firewall("closing a call without its price"):
            _close_unpriced(number)


def forget_waiting() -> None:
    """In a forked child: the calls that wait are the parent's."""
    global _lock
    _lock = Lock()
    _waiting.clear()
    _closing.clear()


def _take(number: int) -> Close | None:
    with _lock:
        if number in _waiting:
            _closing.add(number)
        return _waiting.pop(number, None)


def _close_unpriced(number: int) -> None:
    if (close := _take(number)) is not None:
        try:
            close(None, prices.LOADING)
        finally:
            _closing.discard(number)


def _cost(bill: Bill) -> tuple[Cost | None, str | None]:
    provider, model, response_model, usage, service_tier, at_ns, region = bill
    return prices.price(
        provider,
        model,
        usage,
        at_ns=at_ns,
        service_tier=service_tier,
        response_model=response_model,
        region=region,
    )
