from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from tierwise.testing import IncrementalIdGenerator, TickingClock, capture_spans, spans_as_dicts

SECOND = 1_000_000_000


def test_spans_are_caught_without_the_global_provider() -> None:
    """The capture has a provider of its own; the global one stays what it was."""
    before = trace.get_tracer_provider()

    with capture_spans() as capture:
        capture.tracer_provider.get_tracer("test").start_span("call").end()

    assert trace.get_tracer_provider() is before
    assert [span.name for span in capture.spans] == ["call"]


def test_deterministic_spans_repeat_to_the_nanosecond() -> None:
    """Ids count up from 1 and each start, event and end is a second after the one before."""

    def run() -> list[str]:
        with capture_spans(deterministic=True) as capture:
            tracer = capture.tracer_provider.get_tracer("test")
            with tracer.start_as_current_span("parent") as parent:
                parent.add_event("thought")
                tracer.start_span("child").end()
        return [span.to_json() for span in capture.spans]

    first = run()

    assert first == run()
    assert '"trace_id": "0x00000000000000000000000000000001"' in first[0]
    assert '"span_id": "0x0000000000000002"' in first[0]


def test_the_clock_dates_starts_events_and_ends() -> None:
    """An injected clock is read once for each, and times given by the code are kept."""
    with capture_spans(clock=TickingClock(start_ns=10 * SECOND, step_ns=SECOND)) as capture:
        tracer = capture.tracer_provider.get_tracer("test")
        span = tracer.start_span("clocked")
        span.add_event("first")
        span.add_event("given", timestamp=5)
        span.end()
        own = tracer.start_span("own", start_time=1)
        own.end(end_time=2)

    clocked, given = capture.spans
    assert (clocked.start_time, clocked.end_time) == (10 * SECOND, 12 * SECOND)
    assert [event.timestamp for event in clocked.events] == [11 * SECOND, 5]
    assert (given.start_time, given.end_time) == (1, 2)


def test_a_tracer_asked_for_twice_reads_the_clock_once() -> None:
    """Getting the tracer of a scope again does not put a second clock in front of the first."""
    with capture_spans(deterministic=True) as capture:
        for name in ("one", "two"):
            capture.tracer_provider.get_tracer("test").start_span(name).end()

    times = [(span.start_time, span.end_time) for span in capture.spans]
    assert times == [(SECOND, 2 * SECOND), (3 * SECOND, 4 * SECOND)]


def test_every_span_is_sampled_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test does not lose its spans to OTEL_TRACES_SAMPLER."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    with capture_spans() as capture:
        capture.tracer_provider.get_tracer("test").start_span("call").end()

    assert len(capture.spans) == 1


def test_spans_ended_after_the_block_are_not_added() -> None:
    """The capture ends with its block; what it caught can still be read."""
    with capture_spans() as capture:
        late = capture.tracer_provider.get_tracer("test").start_span("late")
    late.end()

    assert capture.spans == ()


def test_clear_forgets_what_was_caught() -> None:
    """Between two phases of a test the capture is empty again."""
    with capture_spans() as capture:
        tracer = capture.tracer_provider.get_tracer("test")
        tracer.start_span("before").end()
        capture.clear()
        tracer.start_span("after").end()

    assert [span.name for span in capture.spans] == ["after"]


def test_spans_are_plain_data_to_compare_whole() -> None:
    """Name, kind, status, attributes, events and the parent's name, in the order the spans ended."""
    with capture_spans(deterministic=True) as capture:
        tracer = capture.tracer_provider.get_tracer("test")
        with tracer.start_as_current_span("parent", kind=trace.SpanKind.CLIENT) as parent:
            parent.set_attributes({"b": ("x", "y"), "a": 1})
            parent.add_event("chosen", {"model": "small"})
            child = tracer.start_span("child")
            child.set_status(trace.StatusCode.ERROR, "too long")
            child.end()

    assert capture.as_dicts() == [
        {
            "name": "child",
            "kind": "INTERNAL",
            "status": "ERROR: too long",
            "attributes": {},
            "events": [],
            "parent": "parent",
        },
        {
            "name": "parent",
            "kind": "CLIENT",
            "status": "UNSET",
            "attributes": {"a": 1, "b": ["x", "y"]},
            "events": [{"name": "chosen", "attributes": {"model": "small"}}],
            "parent": None,
        },
    ]


def test_a_parent_outside_the_list_is_named_by_its_id() -> None:
    """A remote or uncaught parent shows as its span id in hex."""
    with capture_spans(deterministic=True) as capture:
        tracer = capture.tracer_provider.get_tracer("test")
        with tracer.start_as_current_span("parent"):
            tracer.start_span("child").end()

    child: ReadableSpan = capture.spans[0]
    assert [entry["parent"] for entry in spans_as_dicts([child])] == ["0000000000000001"]


def test_an_exception_event_has_no_stack_trace() -> None:
    """The stack names files of one machine; type and message are what a test compares."""
    with capture_spans() as capture:
        span = capture.tracer_provider.get_tracer("test").start_span("call")
        span.record_exception(ValueError("no"))
        span.end()

    (event,) = capture.as_dicts()[0]["events"]
    assert event["name"] == "exception"
    assert event["attributes"] == {
        "exception.escaped": "False",
        "exception.message": "no",
        "exception.type": "ValueError",
    }


def test_incremental_ids_count_traces_and_spans_apart() -> None:
    """Each kind of id has its own count, from 1."""
    ids = IncrementalIdGenerator()

    assert [ids.generate_trace_id(), ids.generate_trace_id()] == [1, 2]
    assert [ids.generate_span_id(), ids.generate_span_id()] == [1, 2]
