"""The calls of a test, as tierwise sees them: observed while a block runs, with nothing left behind.

with capture_calls() as captured:
    summarize(document)                       # your code, with its clients
(call,) = captured.calls
assert (call.task_type, call.use_case_name) == ("summarization", "reports")
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.sdk.trace import ReadableSpan

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import Call
from tierwise.settings import Settings
from tierwise.testing.capture import Clock, SpanCapture, capture_spans

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from tierwise.routing.policy import Policy

_FINISHED_WITHIN_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OUTSIDE = "outside the capture"


@dataclass(frozen=True, slots=True)
class CallCapture:
    """What tierwise recorded of a block; complete as soon as it is asked, streams that were dropped included."""

    _spans: SpanCapture
    _records: InMemoryLogRecordExporter
    _reader: InMemoryMetricReader
    _deterministic: bool
    _wait: Callable[[], object]

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """One a call, in the order they ended."""
        self._wait()
        return self._spans.spans

    @property
    def calls(self) -> list[Call]:
        """What the spans say, in the same order."""
        return [from_attributes(span.attributes or {}) for span in self.spans]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The spans as `spans_as_dicts` writes them.

        In a deterministic capture what differs from run to run is evened out: the time to the first chunk is one
        second, the port of a server on loopback is left out, and a parent outside the capture has no id.
        """
        self._wait()
        found = self._spans.as_dicts()
        if self._deterministic:
            names = {span["name"] for span in found}
            for span in found:
                _even_out(span["attributes"])
                if span["parent"] not in names | {None}:
                    span["parent"] = _OUTSIDE
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """Log events, `name` and `attributes`: results of checks and feedback and, with content, what was said."""
        self._wait()
        found: list[dict[str, Any]] = []
        for item in self._records.get_finished_logs():
            attributes: dict[str, Any] = _plain(dict(item.log_record.attributes or {}))
            if self._deterministic:
                _even_out(attributes)
            found.append({"name": item.log_record.event_name, "attributes": attributes})
        return found

    @property
    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Data points by metric: `attributes`, and `value` of a counter or `count` and `sum` of a histogram."""
        self._wait()
        data = self._reader.get_metrics_data()
        return {
            metric.name: [_point(point) for point in metric.data.data_points]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def capture_calls(
    policy: Policy | str | Path | None = None,
    *,
    content: bool = False,
    redact: Callable[[str], str] | None = None,
    deterministic: bool = False,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> Generator[CallCapture]:
    """Observe the calls made inside the block, also of clients made before, and send nothing anywhere.

    The application's own OpenTelemetry set-up, and an `import tierwise.auto` of its own, are left alone: inside the
    block they see nothing of the calls, after it they go on as before.

    Args:
        policy: to route by; none by default, whatever the environment says.
        content: put prompts and answers on the spans and in the events.
        redact: each text of that content passes it.
        deterministic: ids and times repeat from run to run, and task types do not depend on the calls before.
        clock: dates the spans; by default one second passes between two readings of a deterministic one.
        settings: by default those of an empty environment.

    Raises:
        PolicyError: the policy is missing or refused.
    """
    # The instrumentation is needed by those who observe calls, and not by those who only fake a provider.
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from tierwise import evaluations, instrumentation, prices
    from tierwise.instrumentation import _wrap
    from tierwise.instrumentation.content_capture import ContentCapture
    from tierwise.tasks.infer import PROCESS_MEMORY

    chosen = settings or Settings(seed=0 if deterministic else None)
    records, reader = InMemoryLogRecordExporter(), InMemoryMetricReader()
    logger_provider = LoggerProvider(shutdown_on_exit=False)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(records))
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    prices.load()
    if deterministic:
        PROCESS_MEMORY.clear()
    with ExitStack() as stack:
        spans = stack.enter_context(
            capture_spans(deterministic=deterministic, clock=clock, beats_given_times=deterministic)
        )
        stack.enter_context(evaluations.leaving_through(logger_provider, chosen.structural_checks))
        runtime = stack.enter_context(
            instrumentation.instrumented_as(
                chosen,
                policy,
                tracer_provider=spans.tracer_provider,
                meter_provider=meter_provider,
                logger_provider=logger_provider,
                content=ContentCapture(content, content, emits_events=content, redact=redact),
            )
        )

        def wait() -> None:
            if _wrap.active_runtime() is runtime:
                instrumentation.flush(timeout_s=_FINISHED_WITHIN_S)

        yield CallCapture(spans, records, reader, deterministic, wait)
        wait()


def _plain(value: Any) -> Any:
    """The same in dicts and lists: the SDK keeps what it was given as other mappings and as tuples."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {key: _plain(members[key]) for key in sorted(members)}
    return [_plain(item) for item in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


def _even_out(attributes: dict[str, Any]) -> None:
    if sc.RESPONSE_TIME_TO_FIRST_CHUNK in attributes:
        attributes[sc.RESPONSE_TIME_TO_FIRST_CHUNK] = 1.0
    if attributes.get(sc.SERVER_ADDRESS) in _LOOPBACK:
        attributes.pop(sc.SERVER_PORT, None)


def _point(point: Any) -> dict[str, Any]:
    attributes: Mapping[str, Any] = point.attributes
    names: Sequence[str] = ("value",) if hasattr(point, "value") else ("count", "sum")
    return {"attributes": dict(attributes), **{name: getattr(point, name) for name in names}}
