"""The user's traffic added up by the engine: millions of calls become as many rows as repricing tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tierwise import prices
from tierwise.routing.policy import Policy
from tierwise.savings.traffic import Traffic, read_traffic

if TYPE_CHECKING:
    from tierwise.price_overrides import Rates
    from tierwise.store import Store

MOST_SINGLE = 200_000
"""Up to this many calls each conversation is a unit of its own; above, conversations are dealt into groups."""
UNITS = 400
"""Groups of conversations. A sum over a group of independent conversations is as good a unit of the bootstrap as one of
them, and the interval is at most a little wider than one from all of them."""
_EVERY = 16
"""Above `MOST_SINGLE` calls each sixteenth conversation says how warm a use case's cache reads are."""
_LONG_INPUT = 50_000
"""Long-context prices begin above 128,000 tokens, and no tokenizer takes twice as many as another."""

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_QUARTER_HOUR_NS = _HOUR_NS // 4


@dataclass(frozen=True, slots=True)
class Cells:
    """The calls of a period, added up."""

    traffic: Traffic
    oldest_ns: int | None
    """When the first of them began; None without any."""


def read_cells(
    store: Store,
    *,
    since: datetime,
    until: datetime,
    policy: Policy | None = None,
    **filters: Any,
) -> Cells:
    """The calls of a period, added up.

    Args:
        policy: keeps apart what its rules look at, so that it can be simulated on the cells.
        filters: as the named queries take them.
    """
    models = store.query("traffic_models", since=since, until=until, **filters)
    calls = sum(models["calls"].to_pylist())
    oldest = models["oldest_time"].cast(pa.timestamp("ns")).cast(pa.int64()).to_pylist()
    oldest_ns = min(oldest, default=None)
    until_ns = int(until.timestamp() * 1e9)
    table = store.query(
        "savings_cells",
        since=since,
        until=until,
        units=None if calls <= MOST_SINGLE else UNITS,
        every=None if calls <= MOST_SINGLE else _EVERY,
        long_input=_LONG_INPUT,
        price_changes=",".join(str(at) for at in sorted(price_changes(models))) or None,
        detail=policy is not None,
        **({} if policy is None else _apart(policy, until_ns if oldest_ns is None else oldest_ns, until_ns)),
        **filters,
    )
    return Cells(read_traffic(table), oldest_ns)


def _apart(policy: Policy, first_ns: int, last_ns: int) -> dict[str, Any]:
    """What of a call's size, of its time and of what was declared about it decides which rule of `policy` it falls
    under, as parameters of `savings_cells`."""
    whens = [rule.when for rule in policy.rules]
    least = {when.min_input_tokens for when in whens if when.min_input_tokens is not None}
    least |= {when.max_input_tokens + 1 for when in whens if when.max_input_tokens is not None}
    windows = list(dict.fromkeys(when.window for when in whens if when.window is not None))
    first = first_ns // _MINUTE_NS
    marks = (
        "".join("1" if window.contains(minute * _MINUTE_NS) else "0" for window in windows)
        for minute in range(first, last_ns // _MINUTE_NS + 1)
    )
    return {
        "sizes": ",".join(map(str, sorted(least))) or None,
        "declared": "\x1f".join(sorted({name for when in whens for name in when.attributes})) or None,
        "first_minute": first if windows else None,
        "minute_classes": ",".join(marks) if windows else None,
    }


def price_changes(models: pa.Table) -> set[int]:
    """When the price of a model changed while it was called, in ns since 1970, from rows of `traffic_models`."""
    found: set[int] = set()
    for row in models.to_pylist():
        if not row["provider"] or not row["request_model"]:
            continue
        oldest, newest = (
            int(row[name].replace(tzinfo=UTC).timestamp()) * 1_000_000_000 for name in ("oldest_time", "newest_time")
        )
        found.update(_changes(row["provider"], row["request_model"], row["service_tier"], oldest, newest))
    return found


def price_changed(provider: str, model: str, tier: str | None, *, since: datetime, until: datetime) -> list[datetime]:
    """When the price of a model changed between two moments, oldest first."""
    between = (int(moment.timestamp()) * 1_000_000_000 for moment in (since, until))
    return [datetime.fromtimestamp(at / 1e9, tz=UTC) for at in _changes(provider, model, tier, *between)]


def _changes(provider: str, model: str, tier: str | None, oldest_ns: int, newest_ns: int) -> Iterator[int]:
    def at(moment_ns: int) -> Rates | None:
        return prices.rates(
            provider,
            model,
            input_tokens=0,
            at_ns=moment_ns,
            service_tier=None if tier == "batch" else tier,
            batch=tier == "batch",
        )

    # Prices are looked at every hour, and a change is then found to the quarter of an hour that they are kept by.
    before_ns = oldest_ns // _HOUR_NS * _HOUR_NS
    before = at(before_ns)
    while before_ns <= newest_ns:
        after_ns = before_ns + _HOUR_NS
        after = at(after_ns)
        if after != before:
            yield next(
                moment
                for moment in range(before_ns + _QUARTER_HOUR_NS, after_ns + 1, _QUARTER_HOUR_NS)
                if at(moment) != before
            )
        before_ns, before = after_ns, after
