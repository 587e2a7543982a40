from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import connection
import pytest

from tierwise.errors import CollectorUnavailable

if TYPE_CHECKING:
    from tierwise.store import Store


def test_money_arrives_as_floats(populated_db: str) -> None:
    """Decimals, which the browser cannot draw, become floats of the same amount."""
    total = connection.row("overview_totals")

    assert isinstance(total["spend_usd"], float)
    exact = connection.store().query("overview_totals")["spend_usd"][0].as_py()
    assert isinstance(exact, Decimal)
    assert total["spend_usd"] == pytest.approx(float(exact))


def test_times_carry_their_zone(populated_db: str) -> None:
    """A time says that it is UTC, or a browser elsewhere would take it for its own."""
    assert connection.row("overview_totals")["newest_call_time"].tzinfo is not None


def test_reads_are_cached_until_forgotten(store: Store) -> None:
    """The same question is not asked twice within seconds; after a write it is."""
    assert len(connection.policy_history()) == 2
    store.put_policy('mode = "off"', who="ada", why="", based_on=2)

    before = len(connection.policy_history())
    connection.forget_reads()
    after = len(connection.policy_history())

    assert (before, after) == (2, 3)


def test_unreachable_collector_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be reached raises what the pages turn into advice."""
    monkeypatch.setenv("TIERWISE_DB", "http://127.0.0.1:9")

    with pytest.raises(CollectorUnavailable, match="tierwise collect"):
        connection.store()
