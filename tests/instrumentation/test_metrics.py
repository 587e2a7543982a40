from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tierwise import use_case
from tierwise.call import Call, Cost, Usage
from tierwise.instrumentation import instrument, uninstrument
from tierwise.instrumentation import metrics as module
from tierwise.instrumentation.metrics import Meters, is_real, meters_of
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


CALL = Call(
    "chat", "openai", "gpt-4o", usage=Usage(300, 70), cost=Cost(Decimal("0.001"), Decimal("0.002")), task_type="qa"
)


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    made = InMemoryMetricReader()
    yield made
    made.shutdown()


@pytest.fixture
def meters(reader: InMemoryMetricReader) -> Meters:
    return Meters(MeterProvider([reader], shutdown_on_exit=False), "1")


def collected(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


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


def test_collections_add_up(meters: Meters, reader: InMemoryMetricReader) -> None:
    """Each call is in exactly one collection, and sums go on from one to the next."""
    meters.record(CALL, 0.5)
    first = collected(reader)
    meters.record(CALL, 0.5)
    meters.record(CALL, 0.5)
    second = collected(reader)

    assert [point.count for point in first["gen_ai.client.operation.duration"]] == [1]
    assert [point.count for point in second["gen_ai.client.operation.duration"]] == [3]
    assert [point.value for point in second["tierwise.cost"]] == [pytest.approx(0.009)]


def test_calls_beyond_the_bound_are_recorded_too(
    meters: Meters, reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may wait for a collection is bounded; calls beyond it are neither lost nor counted twice."""
    monkeypatch.setattr(module, "MAX_NOTED", 2)
    for _ in range(5):
        meters.record(CALL, 0.5)

    points = collected(reader)
    assert [point.count for point in points["gen_ai.client.operation.duration"]] == [5]
    assert [point.value for point in points["tierwise.cost"]] == [pytest.approx(0.015)]


def test_series_of_cost_are_bounded(
    meters: Meters, reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cost under too many use case names is kept under one attribute set, as the SDK does it."""
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    for number in range(4):
        meters.record(replace(CALL, use_case_name=f"case {number}"), 0.5)

    costs = collected(reader)["tierwise.cost"]
    overflow = [point.value for point in costs if point.attributes == {"otel.metric.overflow": True}]
    assert (len(costs), overflow) == (3, [pytest.approx(0.006)])


def test_a_provider_has_one_set_of_instruments(reader: InMemoryMetricReader) -> None:
    """Instrumenting again goes on with the same instruments, so that what the first ones noted is not lost."""
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meters_of(provider, "1").record(CALL, 0.5)
    meters_of(provider, "1").record(CALL, 0.5)

    assert [point.count for point in collected(reader)["gen_ai.client.operation.duration"]] == [2]


def test_a_forked_child_starts_with_nothing_noted(reader: InMemoryMetricReader) -> None:
    """Calls noted before the fork are the parent's to report."""
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meters_of(provider, "1").record(CALL, 0.5)

    module.forget_parent()

    assert collected(reader) == {}
