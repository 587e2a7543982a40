from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tierwise import use_case
from tierwise.instrumentation import instrument, uninstrument
from tierwise.instrumentation.metrics import is_real
from tierwise.settings import Settings
from tierwise.testing import Fault, LoopbackProvider

if TYPE_CHECKING:
    from .conftest import Caller, Spans


@pytest.fixture
def measured(spans: Spans) -> Iterator[Callable[[], dict[str, list[Any]]]]:
    """Data points by metric name, of calls made through an app with a MeterProvider."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider, meter_provider=provider)

    def points() -> dict[str, list[Any]]:
        data = reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "tierwise"
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}

    yield points
    uninstrument()
    provider.shutdown()


def test_a_call(chat: Caller, measured: Callable[[], dict[str, list[Any]]]) -> None:
    """A call is counted by duration, by tokens of each type, and by cost of its task and use case."""
    with use_case("capitals", task="extraction"):
        chat.create()

    points = measured()
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert (duration.count, dict(duration.attributes)) == (1, call)
    tokens = {point.attributes["gen_ai.token.type"]: point for point in points["gen_ai.client.token.usage"]}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 1200, "output": 64}
    assert tokens["input"].explicit_bounds[:4] == (1, 4, 16, 64)
    (cost,) = points["tierwise.cost"]
    assert cost.value == pytest.approx(0.002515)
    assert dict(cost.attributes) == {
        **call,
        "tierwise.task.type": "extraction",
        "tierwise.use_case.name": "capitals",
    }
    assert "gen_ai.client.operation.time_to_first_chunk" not in points


def test_a_stream(chat: Caller, measured: Callable[[], dict[str, list[Any]]]) -> None:
    """A stream is counted once, whatever the number of its chunks, with the time to its first."""
    chat.stream().read()

    points = measured()
    assert points["gen_ai.client.operation.duration"][0].count == 1
    assert points["gen_ai.client.operation.time_to_first_chunk"][0].count == 1


def test_an_error(chat: Caller, provider: LoopbackProvider, measured: Callable[[], dict[str, list[Any]]]) -> None:
    """An error is counted by its type, without tokens or cost."""
    provider.script([Fault.server_error()])
    with pytest.raises(openai.InternalServerError):
        chat.create()

    points = measured()
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.attributes["error.type"] == "InternalServerError"
    assert points.keys() == {"gen_ai.client.operation.duration"}


def test_stand_ins_are_not_real() -> None:
    """The API's own providers drop what they are given, so nothing is recorded through them."""
    assert not is_real(NoOpMeterProvider())
    assert not is_real(metrics.get_meter_provider())
    assert is_real(MeterProvider(shutdown_on_exit=False))
