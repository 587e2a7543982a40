"""Why a recommendation is worth doing now, and until when it can be acted on as it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from tierwise.recommend.ladder import is_successor
from tierwise.recommend.recommendation import Scope, State
from tierwise.routing.capabilities import lookup
from tierwise.savings.cells import price_changed

VALID_FOR = timedelta(days=14)
"""Prices, traffic and evidence are looked at again after this long at the latest."""
SOON = timedelta(days=120)
"""A retirement nearer than this is worth saying."""


def why_now(scope: Scope, target: str, state: State, *, since: datetime, now: datetime) -> tuple[str, ...]:
    """What has changed that speaks for doing it now, in words; empty when nothing has."""
    lines: list[str] = []
    retires = retirement(scope.provider, scope.request_model)
    if retires is not None and retires <= now:
        lines.append(f"{scope.request_model} is no longer served since {retires:%Y-%m-%d}")
    elif retires is not None and retires - now < SOON:
        lines.append(f"{scope.request_model} is retired on {retires:%Y-%m-%d}: its calls have to move somewhere")
    if is_successor(scope.request_model, target):
        lines.append(f"{target} is the newer generation of {scope.request_model}, and costs less")
    for model in (target, scope.request_model):
        changed = _last_price_change(scope.provider, model, since, now)
        if changed is not None:
            lines.append(f"the price of {model} changed on {changed:%Y-%m-%d}")
    if state == "certified":
        lines.append("there are enough pairs now to certify it")
    return tuple(lines)


def expires_at(scope: Scope, target: str, *, now: datetime) -> datetime:
    """When it has to be worked out again: after two weeks, or when the target is retired."""
    retires = retirement(scope.provider, target)
    latest = now + VALID_FOR
    return latest if retires is None else min(latest, retires)


@lru_cache(maxsize=512)
def retirement(provider: str, model: str) -> datetime | None:
    """When a model is no longer served; None when no date is known."""
    known = lookup(provider, model)
    if known is None or known.retires_at_s is None:
        return None
    return datetime.fromtimestamp(known.retires_at_s, tz=UTC)


@lru_cache(maxsize=512)
def _last_price_change(provider: str, model: str, since: datetime, now: datetime) -> datetime | None:
    return max(price_changed(provider, model, None, since=since, until=now), default=None)
