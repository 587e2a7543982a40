"""The client metrics of the GenAI conventions, and cost; recorded only where the app has a MeterProvider.

A call's thread only notes what was measured. The SDK's histograms, which take tens of microseconds a call, are fed when
a reader collects, on the reader's thread: the cost counter is an observable one, and its callback feeds them first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple
from weakref import ref

from opentelemetry import metrics

from tierwise import semconv as sc
from tierwise.call import AttributeValue, Call, Cost
from tierwise.firewall import firewall

_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS = tuple(4**power for power in range(14))

MAX_NOTED = 1_000
"""Calls that may wait for the next collection; the histograms are fed at once for those beyond. It bounds memory, and
the time for which the reader's thread competes with the app's."""
MAX_SERIES = 2_000
"""Attribute sets of the cost counter, as many as the SDK keeps of an instrument; further ones share one."""

_OVERFLOW: dict[str, AttributeValue] = {"otel.metric.overflow": True}

Attributes = dict[str, AttributeValue]


class _Noted(NamedTuple):
    """What was measured of one call."""

    operation: str
    provider: str
    model: str
    duration_s: float
    first_chunk_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    error_type: str | None
    cost: Cost | None
    task_type: str
    use_case_name: str | None


class _CallAttributes(NamedTuple):
    """The attributes of the calls to one model, made once: few, since each multiplies series."""

    of_call: Attributes
    of_input: Attributes
    of_output: Attributes


class Meters:
    """The instruments of one meter provider. Any thread may record."""

    def __init__(self, meter_provider: metrics.MeterProvider, version: str) -> None:
        meter = metrics.get_meter(sc.SCOPE_NAME, version, meter_provider)
        self._tokens = meter.create_histogram(
            sc.METRIC_TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._duration = meter.create_histogram(
            sc.METRIC_OPERATION_DURATION,
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self._first_chunk = meter.create_histogram(
            sc.METRIC_TIME_TO_FIRST_CHUNK,
            unit="s",
            description="Time from the request to the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self._noted: deque[_Noted] = deque()
        self._attributes: dict[tuple[str, str, str], _CallAttributes] = {}
        self._spent_usd: dict[tuple[str, ...], tuple[Attributes, float]] = {}
        self._lock = threading.Lock()
        meter.create_observable_counter(
            sc.METRIC_COST, callbacks=[self._observe], unit="USD", description="Cost of calls to models."
        )

    def record(self, call: Call, duration_s: float) -> None:
        """Record one finished call."""
        usage = call.usage
        noted = _Noted(
            call.operation,
            call.provider,
            call.request_model,
            duration_s,
            call.time_to_first_chunk_s,
            usage.input_tokens,
            usage.output_tokens,
            call.error_type,
            call.cost,
            call.task_type,
            call.use_case_name,
        )
        if len(self._noted) < MAX_NOTED:
            self._noted.append(noted)
        else:
            self._feed(noted)

    def _observe(self, _: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        with firewall("recording metrics"):
            noted = self._noted
            # Only what is there now: calls go on while this runs.
            for _number in range(len(noted)):
                self._feed(noted.popleft())
        with self._lock:
            return [metrics.Observation(total, attributes) for attributes, total in self._spent_usd.values()]

    def _feed(self, noted: _Noted) -> None:
        of_call, of_input, of_output = self._attributes_of(noted)
        if noted.error_type is not None:
            self._duration.record(noted.duration_s, {**of_call, sc.ERROR_TYPE: noted.error_type})
        else:
            self._duration.record(noted.duration_s, of_call)
        if noted.first_chunk_s is not None:
            self._first_chunk.record(noted.first_chunk_s, of_call)
        if noted.input_tokens is not None:
            self._tokens.record(noted.input_tokens, of_input)
        if noted.output_tokens is not None:
            self._tokens.record(noted.output_tokens, of_output)
        if noted.cost is not None:
            self._spend(noted, float(noted.cost.total_usd))

    def _attributes_of(self, noted: _Noted) -> _CallAttributes:
        key = (noted.operation, noted.provider, noted.model)
        known = self._attributes.get(key)
        if known is None:
            if len(self._attributes) >= MAX_SERIES:
                self._attributes.clear()
            of_call: Attributes = dict(zip((sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.REQUEST_MODEL), key, strict=True))
            known = _CallAttributes(of_call, {**of_call, sc.TOKEN_TYPE: "input"}, {**of_call, sc.TOKEN_TYPE: "output"})
            self._attributes[key] = known
        return known

    def _spend(self, noted: _Noted, usd: float) -> None:
        key = (noted.operation, noted.provider, noted.model, noted.task_type, noted.use_case_name or "")
        with self._lock:
            known = self._spent_usd.get(key)
            if known is None and len(self._spent_usd) >= MAX_SERIES:
                key = ()
                known = self._spent_usd.get(key, (_OVERFLOW, 0.0))
            if known is None:
                attributes: Attributes = {**self._attributes_of(noted).of_call, sc.TASK_TYPE: noted.task_type}
                if noted.use_case_name is not None:
                    attributes[sc.USE_CASE_NAME] = noted.use_case_name
                known = (attributes, 0.0)
            self._spent_usd[key] = (known[0], known[1] + usd)

    def forget_parent(self) -> None:
        """In a forked child: the calls that wait for a collection are the parent's to report."""
        self._lock = threading.Lock()
        self._noted.clear()


_meters: dict[int, tuple[ref[metrics.MeterProvider], Meters]] = {}
"""By the provider's identity: Logfire's cannot be hashed."""
_making = threading.Lock()


def meters_of(meter_provider: metrics.MeterProvider, version: str) -> Meters:
    """The instruments of a provider, made once: an observable one that exists takes no further callback."""
    key = id(meter_provider)
    with _making:
        known = _meters.get(key)
        if known is None or known[0]() is not meter_provider:
            known = ref(meter_provider, lambda _: _meters.pop(key, None)), Meters(meter_provider, version)
            _meters[key] = known
        return known[1]


def forget_parent() -> None:
    """In a forked child: start with nothing noted."""
    global _making
    _making = threading.Lock()
    for _, meters in _meters.values():
        meters.forget_parent()


def is_real(meter_provider: metrics.MeterProvider) -> bool:
    """Whether anybody looks at what this provider records; the API's stand-ins drop it."""
    return not type(meter_provider).__module__.startswith("opentelemetry.metrics")
