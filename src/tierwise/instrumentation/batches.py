"""What a batch of calls has cost: its answers counted by model, each with its own usage."""

from __future__ import annotations

from collections.abc import Iterable

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.sdk import Booking, Reply, text


class Tally:
    """Calls of one batch by the model that answered them."""

    def __init__(self, batch_id: str, api: str, ordered_s: float | None = None) -> None:
        self._batch_id = batch_id
        self._api = api
        self._ordered_s = ordered_s
        self._usages: dict[str, list[Usage]] = {}

    def add(self, reply: Reply) -> None:
        """Count one answer in."""
        if reply.usage is not None:
            self._usages.setdefault(text(reply.model) or "unknown", []).append(reply.usage)

    def bookings(self) -> Iterable[Booking]:
        """One for each model."""
        for model, usages in self._usages.items():
            reply = batch_reply(self._batch_id, model, add_up(usages), len(usages))
            yield Booking(f"{self._batch_id} {model}", "batch", self._api, reply, usages, ordered_s=self._ordered_s)


def batch_reply(batch_id: str, model: str | None, usage: Usage, requests: int | None) -> Reply:
    reply = Reply(id=batch_id, model=model, usage=usage, service_tier="batch", extra={sc.BATCH_ID: batch_id})
    if requests is not None:
        reply.extra[sc.BATCH_REQUESTS] = requests
    return reply


def add_up(usages: Iterable[Usage]) -> Usage:
    """The usage of several calls together."""
    counts = dict.fromkeys(_COUNTS, 0)
    amounts: dict[str, int | float] = {}
    for usage in usages:
        for name in _COUNTS:
            counts[name] += getattr(usage, name) or 0
        for unit, amount in usage.units:
            amounts[unit] = amounts.get(unit, 0) + amount
    return Usage(**counts, units=tuple(sorted(amounts.items())))


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "web_searches",
)
