from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import _logs as logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from tierwise import log_delivery
from tierwise.call import Call
from tierwise.instrumentation import flush, instrument, uninstrument
from tierwise.instrumentation.content_capture import NOTHING, ContentCapture
from tierwise.instrumentation.events import CallEvents
from tierwise.settings import Settings
from tierwise.testing import Fault, LoopbackProvider, capture_spans

if TYPE_CHECKING:
    from .conftest import Caller, Spans


@pytest.fixture
def records(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """The log records of calls made with content in events only."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "event_only")
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider, logger_provider=provider)

    yield lambda: [item.log_record for item in exporter.get_finished_logs()]
    uninstrument()


def test_a_call_is_an_event_with_its_content(caller: Caller, spans: Spans, records: Callable[[], list[Any]]) -> None:
    """The event says what the span says and, in structures, what was asked and answered; it belongs to the span."""
    caller.create()
    caller.stream().read()

    for span, record in zip(spans.ended, records(), strict=True):
        assert record.event_name == "gen_ai.client.inference.operation.details"
        assert record.severity_number is logs.SeverityNumber.DEBUG
        assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
        assert record.timestamp == span.end_ns
        said = dict(record.attributes)
        (asked,) = said.pop("gen_ai.input.messages")
        (answered,) = said.pop("gen_ai.output.messages")
        assert asked["parts"][0] == {"type": "text", "content": "Capital of France?"}
        assert answered["parts"][0]["content"].startswith("Paris is the capital")
        assert said == span.attributes
        assert "gen_ai.input.messages" not in span.attributes


def test_an_error_is_an_event_of_its_own(
    chat: Caller, provider: LoopbackProvider, spans: Spans, records: Callable[[], list[Any]]
) -> None:
    """The exception's type and message are an event at WARN, without a stack trace."""
    provider.script([Fault.http_status(400, "no such thing")])
    with pytest.raises(openai.BadRequestError):
        chat.create()

    details, exception = records()
    assert details.attributes["error.type"] == "BadRequestError"
    assert exception.event_name == "gen_ai.client.operation.exception"
    assert exception.severity_number is logs.SeverityNumber.WARN
    assert exception.span_id == spans.only.context.span_id
    assert exception.attributes["exception.type"] == "openai.BadRequestError"
    assert "no such thing" in exception.attributes["exception.message"]
    assert exception.attributes.keys() == {"exception.type", "exception.message"}


def test_the_apps_provider_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events go where the app's own logs go, once it has set up a LoggerProvider; we deliver nothing then."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr("tierwise.instrumentation.events.get_logger_provider", lambda: provider)
    monkeypatch.setattr(log_delivery, "exporters", lambda *_: pytest.fail("a private provider was made"))
    events = CallEvents(Settings(), ContentCapture(emits_events=True))

    with capture_spans() as capture:
        span = capture.tracer_provider.get_tracer("test").start_span("call")
        events.emit(Call("chat", "openai", "gpt-4o"), NOTHING, span, None, 1)

    assert len(exporter.get_finished_logs()) == 1
    assert events.flush()
    events.close()


def test_an_app_without_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a LoggerProvider of the app's, events are delivered as evaluations are, and a flush waits for them."""
    sent: list[Any] = []

    class Exporter(InMemoryLogRecordExporter):
        def export(self, batch: Any) -> Any:
            sent.extend(batch)
            return super().export(batch)

    monkeypatch.setattr(log_delivery, "exporters", lambda settings, what: [Exporter()])
    events = CallEvents(Settings(), ContentCapture(emits_events=True))

    with capture_spans() as capture:
        span = capture.tracer_provider.get_tracer("test").start_span("call")
        events.emit(Call("chat", "openai", "gpt-4o"), NOTHING, span, ValueError("hi"), 1)
        assert events.flush()
    events.close()

    assert [item.log_record.event_name for item in sent] == [
        "gen_ai.client.inference.operation.details",
        "gen_ai.client.operation.exception",
    ]
    assert dict(sent[1].log_record.attributes) == {"exception.type": "ValueError"}


def test_a_forked_child_has_events_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parent queued is the parent's to deliver."""
    made: list[Any] = []

    def exporters(*_: Any) -> list[Any]:
        made.append(InMemoryLogRecordExporter())
        return [made[-1]]

    monkeypatch.setattr(log_delivery, "exporters", exporters)
    events = CallEvents(Settings(), ContentCapture(emits_events=True))
    with capture_spans() as capture:
        span = capture.tracer_provider.get_tracer("test").start_span("call")
        events.emit(Call("chat", "openai", "parents"), NOTHING, span, None, 1)
        events.forget_parent()
        events.emit(Call("chat", "openai", "childs"), NOTHING, span, None, 1)
    events.close()

    (record,) = made[1].get_finished_logs()
    assert record.log_record.attributes["gen_ai.request.model"] == "childs"


def test_flush_waits_for_events(chat: Caller, records: Callable[[], list[Any]]) -> None:
    """`tierwise.flush()` covers events."""
    chat.create()

    assert flush(5)
    assert len(records()) == 1
