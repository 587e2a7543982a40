from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tierwise import prices
from tierwise.call import Cost, Usage
from tierwise.instrumentation import pricing
from tierwise.instrumentation.pricing import Bill, give_up_waiting, settle, wait_until_settled

AUGUST_2026 = 1_785_542_400 * 10**9
BILL = Bill("openai", "gpt-4o-mini", None, Usage(1_000_000, 0), None, AUGUST_2026)


class Loading:
    """A price list that is loaded when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.takes_more = True

    def when_ready(self, callback: Callable[[], None]) -> bool:
        if self.takes_more:
            self.waiting.append(callback)
        return self.takes_more

    def finish(self) -> None:
        for callback in self.waiting:
            callback()


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loading]:
    prices.load()
    loading = Loading()
    monkeypatch.setattr(prices, "ready", lambda: False)
    monkeypatch.setattr(prices, "when_ready", loading.when_ready)
    yield loading
    pricing.forget_waiting()


@pytest.fixture
def closed() -> list[tuple[Cost | None, str | None]]:
    return []


def test_at_once(closed: list[Any]) -> None:
    """With the price list there, the cost is told at once."""
    prices.load()

    settle(BILL, lambda *told: closed.append(told))

    ((cost, reason),) = closed
    assert (cost.total_usd, reason) == (Decimal("0.15"), None)


def test_unknown_price(closed: list[Any]) -> None:
    """A model without a price costs None, and why is said."""
    prices.load()

    settle(BILL._replace(model="no-such-model"), lambda *told: closed.append(told))

    assert closed == [(None, "no price for openai/no-such-model")]


def test_later(loading: Loading, closed: list[Any]) -> None:
    """Before, a call waits, and is told its cost once the list is loaded."""
    settle(BILL, lambda *told: closed.append(told))
    before = list(closed)

    loading.finish()
    loading.finish()

    assert before == []
    ((cost, _),) = closed
    assert cost.total_usd == Decimal("0.15")


def test_too_many_wait(loading: Loading, closed: list[Any]) -> None:
    """When too many wait already, a call is closed unpriced rather than held."""
    loading.takes_more = False

    settle(BILL, lambda *told: closed.append(told))

    assert closed == [(None, prices.LOADING)]


def test_giving_up(loading: Loading, closed: list[Any]) -> None:
    """At the end of the process, calls that still wait are closed unpriced, once."""
    settle(BILL, lambda *told: closed.append(told))

    give_up_waiting()
    loading.finish()

    assert closed == [(None, prices.LOADING)]


def test_forked(loading: Loading, closed: list[Any]) -> None:
    """A forked child leaves the parent's calls to the parent."""
    settle(BILL, lambda *told: closed.append(told))

    pricing.forget_waiting()
    loading.finish()

    assert closed == []


def test_waiting_for_all(loading: Loading, closed: list[Any]) -> None:
    """Waiting ends when the last call is priced, or when the time is up."""
    settle(BILL, lambda *told: closed.append(told))
    too_short = wait_until_settled(0.01)

    timer = threading.Timer(0.02, loading.finish)
    timer.start()
    settled = wait_until_settled(5)
    timer.join()

    assert (too_short, settled) == (False, True)
    assert len(closed) == 1
