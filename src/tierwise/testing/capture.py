"""Spans of a test: caught in memory, with ids and times that repeat when asked, ready to compare whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

Clock = Callable[[], int]
"""Nanoseconds since the epoch, UTC."""


class IncrementalIdGenerator(IdGenerator):
    """Trace ids 1, 2, 3 … and span ids 1, 2, 3 …, in the order they are asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_trace_id = 0
        self._last_span_id = 0

    def generate_trace_id(self) -> int:
        with self._lock:
            self._last_trace_id += 1
            return self._last_trace_id

    def generate_span_id(self) -> int:
        with self._lock:
            self._last_span_id += 1
            return self._last_span_id


class TickingClock:
    """A clock that moves by one step each time it is read.

    Args:
        start_ns: the first reading.
        step_ns: added by each later one.
    """

    def __init__(self, start_ns: int = 1_000_000_000, step_ns: int = 1_000_000_000) -> None:
        self._lock = threading.Lock()
        self._next_ns = start_ns
        self._step_ns = step_ns

    def __call__(self) -> int:
        with self._lock:
            reading = self._next_ns
            self._next_ns += self._step_ns
            return reading


@dataclass(frozen=True, slots=True)
class SpanCapture:
    """A tracer provider of its own, and what has been recorded through it."""

    tracer_provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Finished spans, in the order they ended."""
        return self.exporter.get_finished_spans()

    def as_dicts(self) -> list[dict[str, Any]]:
        """The finished spans as `spans_as_dicts` writes them."""
        return spans_as_dicts(self.spans)

    def clear(self) -> None:
        """Forget the finished spans."""
        self.exporter.clear()


@contextmanager
def capture_spans(
    *, deterministic: bool = False, clock: Clock | None = None, beats_given_times: bool = False
) -> Generator[SpanCapture]:
    """A capture that lasts as long as the block; the global tracer provider is neither read nor set.

    Every span is sampled, whatever `OTEL_TRACES_SAMPLER` says. After the block the finished spans can still be read.

    Args:
        deterministic: ids count up from 1 and, unless `clock` is given, each start, event and end is one second after
            the previous one, from second 1.
        clock: dates every start, event and end for which the instrumented code gives no time of its own.
        beats_given_times: it dates those others, too.
    """
    if deterministic and clock is None:
        clock = TickingClock()
    exporter = InMemorySpanExporter()
    tracer_provider = _ClockedTracerProvider(
        clock,
        beats_given_times=beats_given_times,
        sampler=ALWAYS_ON,
        resource=Resource.get_empty(),
        shutdown_on_exit=False,
        id_generator=IncrementalIdGenerator() if deterministic else None,
    )
    tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        yield SpanCapture(tracer_provider, exporter)
    finally:
        tracer_provider.shutdown()


def spans_as_dicts(spans: Iterable[ReadableSpan]) -> list[dict[str, Any]]:
    """Spans as plain data, in the order given, to compare with a literal.

    Each has `name`, `kind` and `status` (upper-case words; a status with a description is `ERROR: …`), `attributes`,
    `events` (name and attributes; an exception's stack trace is left out, since it names this machine's files) and
    `parent`: the parent's name if it is among `spans`, else its id in hex, None for a root.
    """
    spans = list(spans)
    name_by_id = {_span_id(span.get_span_context()): span.name for span in spans}
    return [
        {
            "name": span.name,
            "kind": span.kind.name,
            "status": _status(span),
            "attributes": _plain(span.attributes),
            "events": [{"name": event.name, "attributes": _plain(event.attributes)} for event in span.events],
            "parent": None if span.parent is None else name_by_id.get(_span_id(span.parent), _span_id(span.parent)),
        }
        for span in spans
    ]


def _span_id(context: trace.SpanContext | None) -> str:
    return trace.format_span_id(context.span_id if context else trace.INVALID_SPAN_ID)


def _status(span: ReadableSpan) -> str:
    code, description = span.status.status_code.name, span.status.description
    return f"{code}: {description}" if description else code


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else value
        for key, value in sorted((attributes or {}).items())
        if key != "exception.stacktrace"
    }


class _ClockedTracerProvider(TracerProvider):
    """A tracer provider whose spans read an injected clock.

    The SDK takes times as arguments and has no clock of its own to replace, so the default for those arguments is put
    in front of each tracer and span; their types stay the SDK's.
    """

    def __init__(self, clock: Clock | None, *, beats_given_times: bool, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        self._beats_given_times = beats_given_times

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        tracer = super().get_tracer(*args, **kwargs)
        # The SDK may give the same tracer again for the same scope.
        if self._clock is not None and "start_span" not in vars(tracer):
            _put_clock_in_tracer(tracer, self._clock, self._beats_given_times)
        return tracer


def _put_clock_in_tracer(tracer: Any, clock: Clock, beats_given_times: bool) -> None:
    start_span = tracer.start_span

    def dated(given: int | None) -> int:
        return clock() if given is None or beats_given_times else given

    def start_span_by_clock(
        name: str,
        context: Context | None = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
        **options: bool,
    ) -> trace.Span:
        span = start_span(name, context, kind, attributes, links, dated(start_time), **options)
        _put_clock_in_span(span, dated)
        return span

    tracer.start_span = start_span_by_clock


def _put_clock_in_span(span: Any, dated: Callable[[int | None], int]) -> None:
    end, add_event = span.end, span.add_event

    def end_by_clock(end_time: int | None = None) -> None:
        end(dated(end_time))

    def add_event_by_clock(
        name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        add_event(name, attributes, dated(timestamp))

    span.end, span.add_event = end_by_clock, add_event_by_clock
