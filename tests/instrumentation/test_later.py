from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tierwise
from tierwise import prices
from tierwise.call import Usage
from tierwise.instrumentation import later, pricing
from tierwise.testing import LoopbackProvider


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing waits before a test and after it, and the first call waits long enough to be seen waiting."""
    later.complete_waiting()
    monkeypatch.setattr(later, "PAUSE_S", 30.0)
    later.forget_parent()
    yield
    later.complete_waiting()
    later.forget_parent()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def batching(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def ended(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return list(exporter.get_finished_spans())


def end_span(provider: TracerProvider, name: str = "call") -> Callable[[], None]:
    span = provider.get_tracer("test").start_span(name)
    return span.end


def test_waits_where_all_processors_batch(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """A span that goes out with others is ended a moment later."""
    later.complete(end_span(batching), batching)

    assert len(later._work) == 1
    assert ended(exporter) == []


def test_flush_completes_first(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """An application that flushes its provider has every call in what it sends."""
    later.complete(end_span(batching), batching)

    batching.force_flush()

    assert [span.name for span in ended(exporter)] == ["call"]


def test_shutdown_completes_first(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """An application that shuts its provider down right after a call loses nothing."""
    later.complete(end_span(batching), batching)

    batching.shutdown()

    assert [span.name for span in ended(exporter)] == ["call"]


def test_at_once_where_a_processor_shows_spans(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """A test that looks at the spans of a call right after it finds them, also when it began to look later."""
    shown = InMemorySpanExporter()
    later.complete(end_span(batching, "before"), batching)
    batching.add_span_processor(SimpleSpanProcessor(shown))

    later.complete(end_span(batching, "after"), batching)

    assert [span.name for span in ended(shown)] == ["after"]


@pytest.mark.parametrize("provider", [None, object(), TracerProvider(shutdown_on_exit=False)], ids=repr)
def test_at_once_for_other_providers(provider: Any) -> None:
    """A provider without processors, or built in another way, is none to wait for."""
    done: list[int] = []

    later.complete(lambda: done.append(1), provider)

    assert done == [1]


def test_the_waiting_line_is_bounded(batching: TracerProvider) -> None:
    """However many calls end at once, what waits stays within its bound, and the rest is done by the caller."""
    done: list[int] = []

    for number in range(later.MAX_WAITING + 3):
        later.complete(lambda number=number: done.append(number), batching)

    assert len(later._work) == later.MAX_WAITING
    assert done == [later.MAX_WAITING, later.MAX_WAITING + 1, later.MAX_WAITING + 2]


def test_a_thread_completes_what_waits(batching: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a flush, a thread of ours completes the calls of a moment together."""
    monkeypatch.setattr(later, "PAUSE_S", 0.01)
    later.forget_parent()
    threads: list[str] = []
    done = threading.Event()

    later.complete(lambda: threads.append(threading.current_thread().name), batching)
    later.complete(done.set, batching)

    assert done.wait(5.0)
    assert threads == ["tierwise-complete"]


def test_a_failure_stops_at_the_firewall(batching: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call that cannot be completed takes none of the others with it."""
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    done: list[int] = []

    def fail() -> None:
        raise RuntimeError("broken")

    later.complete(fail, batching)
    later.complete(lambda: done.append(1), batching)

    later.complete_waiting()

    assert done == [1]


def test_a_call_keeps_its_own_end(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """However late a span is completed, it ends when the answer came, with all that is known of the call."""
    from openai import OpenAI

    tierwise.instrument(tracer_provider=batching)
    try:
        with (
            LoopbackProvider() as provider,
            OpenAI(base_url=provider.openai_base_url, api_key="test") as client,
        ):
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
            answered_ns = time.time_ns()
            time.sleep(0.05)
        assert ended(exporter) == []
        tierwise.flush()
    finally:
        tierwise.uninstrument()

    (span,) = ended(exporter)
    assert span.end_time is not None
    assert span.end_time <= answered_ns
    assert (span.attributes or {})["gen_ai.usage.input_tokens"]


@pytest.mark.parametrize("kind", [BatchSpanProcessor, SimpleSpanProcessor])
def test_a_call_that_waits_for_its_price_is_in_what_is_shut_down(
    kind: type[BatchSpanProcessor | SimpleSpanProcessor],
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script that shuts its provider down while the price list loads loses no call, and no price."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kind(exporter))
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(prices, "ready", lambda: False)
    monkeypatch.setattr(prices, "when_ready", lambda callback: waiting.append(callback) or True)
    span = provider.get_tracer("test").start_span("call")
    bill = pricing.Bill("openai", "gpt-4o-mini", None, Usage(1, 1), None, time.time_ns())
    later.complete(lambda: pricing.settle(bill, lambda *_: span.end()), provider)
    loading = threading.Timer(0.1, lambda: [callback() for callback in waiting])
    loading.start()

    provider.shutdown()
    loading.join()

    assert [span.name for span in ended(exporter)] == ["call"]


def test_uninstrument_completes(batching: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """Nothing waits once everything is put back."""
    tierwise.instrument(tracer_provider=batching)
    later.complete(end_span(batching), batching)

    tierwise.uninstrument()
    assert not later._work
    batching.force_flush()

    assert [span.name for span in ended(exporter)] == ["call"]


def test_a_forked_child_begins_anew(batching: TracerProvider) -> None:
    """What waits in a parent is the parent's to complete."""
    done: list[int] = []
    later.complete(lambda: done.append(1), batching)

    later.forget_parent()
    later.complete_waiting()

    assert done == []
