"""The client metrics of the GenAI conventions, and cost; recorded only where the app has a MeterProvider."""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics

from tierwise import semconv as sc
from tierwise.call import AttributeValue, Call

_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS = tuple(4**power for power in range(14))


class Meters:
    """The instruments, made once per meter provider."""

    __slots__ = ("_cost", "_duration", "_first_chunk", "_tokens")

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
        self._cost = meter.create_counter(sc.METRIC_COST, unit="USD", description="Cost of calls to models.")

    def record(self, call: Call, duration_s: float) -> None:
        """Record one finished call, under few attributes: each costs time at every record and multiplies series."""
        attributes: dict[str, Any] = {
            sc.OPERATION_NAME: call.operation,
            sc.PROVIDER_NAME: call.provider,
            sc.REQUEST_MODEL: call.request_model,
        }
        if call.error_type is not None:
            self._duration.record(duration_s, {**attributes, sc.ERROR_TYPE: call.error_type})
        else:
            self._duration.record(duration_s, attributes)
        if call.time_to_first_chunk_s is not None:
            self._first_chunk.record(call.time_to_first_chunk_s, attributes)
        usage = call.usage
        if usage.input_tokens is not None:
            self._tokens.record(usage.input_tokens, {**attributes, sc.TOKEN_TYPE: "input"})
        if usage.output_tokens is not None:
            self._tokens.record(usage.output_tokens, {**attributes, sc.TOKEN_TYPE: "output"})
        if call.cost is not None:
            spent: dict[str, AttributeValue] = {**attributes, sc.TASK_TYPE: call.task_type}
            if call.use_case_name is not None:
                spent[sc.USE_CASE_NAME] = call.use_case_name
            self._cost.add(float(call.cost.total_usd), spent)


def is_real(meter_provider: metrics.MeterProvider) -> bool:
    """Whether anybody looks at what this provider records; the API's stand-ins drop it."""
    return not type(meter_provider).__module__.startswith("opentelemetry.metrics")
