from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from tierwise.call import Call, Cost
from tierwise.instrumentation.runtime import Runtime
from tierwise.settings import Settings


class Router:
    """Remembers what shadow calls cost."""

    def __init__(self) -> None:
        self.booked: list[tuple[Decimal | None, Any]] = []

    def spent(self, cost_usd: Decimal | None, draw: Any) -> None:
        self.booked.append((cost_usd, draw))


@pytest.fixture
def tracer_provider() -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def test_a_given_provider(tracer_provider: TracerProvider) -> None:
    """With a given provider nothing is set up, and its spans are in tierwise's scope."""
    runtime = Runtime(Settings(), None, tracer_provider=tracer_provider)

    span: Any = runtime.tracer.start_span("one")

    assert span.instrumentation_scope.name == "tierwise"
    assert not runtime.owns_provider


def test_meters(tracer_provider: TracerProvider) -> None:
    """Instruments are made once, for a real provider only."""
    meters = MeterProvider(shutdown_on_exit=False)
    with_meters = Runtime(Settings(), None, tracer_provider=tracer_provider, meter_provider=meters)
    without = Runtime(Settings(), None, tracer_provider=tracer_provider)

    assert with_meters.meters(0) is with_meters.meters(0) is with_meters.meters(2_000_000_000)
    assert with_meters.meters(0) is not None
    assert without.meters(0) is None


@pytest.mark.parametrize(
    ("cost", "error_type", "booked"),
    [
        (Cost(Decimal("0.1"), Decimal("0.2")), None, Decimal("0.3")),
        (None, "NotFoundError", Decimal(0)),
        (None, None, None),
    ],
)
def test_shadow_spending(cost: Cost | None, error_type: str | None, booked: Decimal | None) -> None:
    """A shadow call is booked at its cost; at nothing when it failed; as unknown when its price is."""
    router, draw = Router(), cast("Any", object())
    runtime = Runtime(Settings(), cast("Any", router))

    runtime.shadow_spent(Call("chat", "openai", "gpt-4o", cost=cost, error_type=error_type), draw)

    assert router.booked == [(booked, draw)]


def test_delivering(tracer_provider: TracerProvider) -> None:
    """Delivering flushes the provider in force; the API's stand-in has nothing to flush."""
    assert Runtime(Settings(), None, tracer_provider=tracer_provider).deliver(1.0)
    assert Runtime(Settings(), None).deliver(1.0)
