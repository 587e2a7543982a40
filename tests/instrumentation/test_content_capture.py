from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from inspect import isawaitable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from pydantic import BaseModel

from tierwise import evaluations, use_case
from tierwise import semconv as sc
from tierwise.errors import SettingsError
from tierwise.instrumentation import content_capture as module
from tierwise.instrumentation import instrument, uninstrument
from tierwise.instrumentation.content_capture import (
    EVENT_VARIABLE,
    MODE_VARIABLE,
    NOTHING,
    ContentCapture,
    capture_of,
)
from tierwise.instrumentation.redaction import Limits
from tierwise.instrumentation.sdk import Reply
from tierwise.settings import Settings
from tierwise.testing import Answer, Fault, LoopbackProvider, ToolCall

from .installed_sdks import ANTHROPIC_HTTP, OPENAI_HTTP, skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans

BODY = {"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f"}]}
HI = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODE_VARIABLE, raising=False)
    monkeypatch.delenv(EVENT_VARIABLE, raising=False)
    monkeypatch.setattr(module, "_warned", set[str]())


# --- the settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "on_spans", "in_events"),
    [
        ("", False, False),
        ("no_content", False, False),
        ("span_only", True, False),
        ("event_only", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
def test_modes(mode: str, on_spans: bool, in_events: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variable means what it means to OpenTelemetry's own instrumentations."""
    monkeypatch.setenv(MODE_VARIABLE, mode)

    capture = capture_of(Settings(), None)

    assert (capture.on_spans, capture.in_events, capture.emits_events) == (on_spans, in_events, in_events)


@pytest.mark.parametrize("mode", ["true", "TRUE", "yes", "spans"])
def test_an_unknown_mode_captures_nothing(
    mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The former `true` and other unknown modes capture nothing, and one warning names the modes there are."""
    monkeypatch.setenv(MODE_VARIABLE, mode)

    captures = [capture_of(Settings(), None) for _ in range(3)]

    assert not any(capture.needs_text for capture in captures)
    (record,) = caplog.records
    assert "span_only, event_only, span_and_event" in record.getMessage()
    assert ("span_only is what it meant" in record.getMessage()) is (mode.lower() == "true")


def test_our_own_setting_puts_content_on_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """TIERWISE_CAPTURE_CONTENT puts it on spans, beside what the standard variable asks for."""
    monkeypatch.setenv(MODE_VARIABLE, "event_only")

    capture = capture_of(Settings(capture_content=True), None)

    assert (capture.on_spans, capture.in_events) == (True, True)


@pytest.mark.parametrize(
    ("mode", "wish", "emits"),
    [
        ("no_content", "true", True),
        ("event_only", "false", False),
        ("event_only", "", True),
        ("span_only", "", False),
        ("event_only", "maybe", True),
    ],
)
def test_events_can_be_asked_for_apart(mode: str, wish: str, emits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variable for events turns them on without content, or off."""
    monkeypatch.setenv(MODE_VARIABLE, mode)
    monkeypatch.setenv(EVENT_VARIABLE, wish)

    assert capture_of(Settings(), None).emits_events is emits


def test_the_redactor_of_the_settings() -> None:
    """The setting's redactor is loaded where content is captured; one given in code goes before it."""
    named = Settings(capture_content=True, redact="json:dumps")

    assert capture_of(named, None).redact is json.dumps
    assert capture_of(named, str.upper).redact == str.upper
    with pytest.raises(SettingsError):
        capture_of(Settings(capture_content=True, redact="no.such:thing"), None)
    assert capture_of(Settings(redact="no.such:thing"), None).redact is None


# --- one call ---------------------------------------------------------------------------------------------------------


def test_spans_hold_json_and_events_structures() -> None:
    """A span's attributes hold no structures, so messages are JSON texts there; in events they are structures."""
    captured = ContentCapture(on_spans=True, in_events=True).read(BODY, Reply(text="yes"), is_recording=True)

    assert captured.in_event == {
        sc.INPUT_MESSAGES: HI,
        sc.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}],
        sc.TOOL_DEFINITIONS: [{"type": "function", "name": "f"}],
    }
    assert {key: json.loads(str(value)) for key, value in captured.on_span.items()} == captured.in_event


def test_only_where_it_goes() -> None:
    """Content is read for the places it goes to; a span that is not recorded is none."""
    assert ContentCapture().read(BODY, None, is_recording=True) == NOTHING
    assert ContentCapture(on_spans=True).read(BODY, None, is_recording=False) == NOTHING
    captured = ContentCapture(on_spans=True, in_events=True).read(BODY, None, is_recording=False)
    assert (bool(captured.on_span), bool(captured.in_event)) == (False, True)


def test_truncation_is_marked() -> None:
    """Where something was cut an attribute says so."""
    capture = ContentCapture(on_spans=True, in_events=True, limits=Limits(33, 1_000))

    captured = capture.read(BODY, None, is_recording=True)

    assert captured.on_span[sc.CONTENT_TRUNCATED] is True
    assert captured.in_event[sc.CONTENT_TRUNCATED] is True


@pytest.mark.usefixtures("outside_pytest")
def test_a_failing_redactor_drops_content(caplog: pytest.LogCaptureFixture) -> None:
    """When the redactor raises, nothing of the call's content leaves, an attribute says so, and the log once."""
    capture = ContentCapture(on_spans=True, in_events=True, redact=lambda _: str(1 / 0))

    for _ in range(2):
        captured = capture.read(BODY, None, is_recording=True)
        assert captured.on_span == captured.in_event == {sc.CONTENT_DROPPED: True}
        assert capture.message_of(ValueError("hi")) is None

    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "tierwise failed while redacting content"
    ]


def test_messages_of_exceptions_are_content() -> None:
    """An exception's message may quote the prompt: it leaves only where content does, redacted."""
    error = ValueError("hi")

    assert ContentCapture(on_spans=True).message_of(error) is None
    assert ContentCapture(in_events=True, redact=str.upper).message_of(error) == "HI"


# --- nothing leaves unasked -------------------------------------------------------------------------------------------

CANARY = "kxzq-canary-7741"
ANSWERED = Answer(f"It is {CANARY}.", tool_calls=(ToolCall("look", {"at": CANARY}),), thinking=f"{CANARY}?")

SCHEMA = {"type": "object", "properties": {CANARY: {"type": "string"}}, "required": [CANARY]}
TURNS = [{"role": "user", "content": [{"type": "text", "text": CANARY}]}]
BODIES: dict[str, dict[str, Any]] = {
    "chat_completions": {
        "messages": [{"role": "system", "content": CANARY}, *TURNS],
        "tools": [{"type": "function", "function": {"name": "look", "description": CANARY, "parameters": SCHEMA}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
        "metadata": {"note": CANARY},
        "user": CANARY,
    },
    "completions": {"prompt": CANARY, "suffix": CANARY, "user": CANARY},
    "responses": {
        "instructions": CANARY,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": CANARY}]}],
        "tools": [{"type": "function", "name": "look", "description": CANARY, "parameters": SCHEMA, "strict": True}],
        "metadata": {"note": CANARY},
    },
    "messages": {
        "system": CANARY,
        "messages": TURNS,
        "tools": [{"name": "look", "description": CANARY, "input_schema": SCHEMA}],
        "metadata": {"user_id": CANARY},
    },
}
BODIES["beta_messages"] = BODIES["messages"]

FAULTS: dict[str, Fault | None] = {
    "answered": None,
    "refused": Fault.http_status(400, f"Invalid prompt: {CANARY}"),
    "failed": Fault.http_status(500, f"While answering {CANARY}"),
    "odd body": Fault.http_status(400, body={"error": {"type": CANARY, "code": CANARY, "message": CANARY}}),
    "disconnected": Fault.disconnect_mid_stream(ANSWERED),
    "malformed": Fault.malformed_json(ANSWERED),
    "truncated": Fault.truncated_stream(ANSWERED),
    "error in stream": Fault.error_mid_stream(ANSWERED),
}


@dataclass(frozen=True)
class Exported:
    """All that calls leave behind."""

    spans: Spans
    records: InMemoryLogRecordExporter
    reader: InMemoryMetricReader

    def otlp(self) -> bytes:
        """As it goes on the wire."""
        assert self.spans.ended
        metrics = self.reader.get_metrics_data()
        assert metrics is not None
        logs = self.records.get_finished_logs()
        assert logs
        messages = (encode_spans(self.spans.capture.spans), encode_logs(logs), encode_metrics(metrics))
        return b"".join(message.SerializeToString() for message in messages)


@pytest.fixture
def start(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Exported]]:
    """Instrument an app with all three providers, in a content mode, with events."""
    records, reader = InMemoryLogRecordExporter(), InMemoryMetricReader()
    logger_provider = LoggerProvider(shutdown_on_exit=False)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(records))
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)

    def begin(mode: str, **options: Any) -> Exported:
        monkeypatch.setenv(MODE_VARIABLE, mode)
        monkeypatch.setenv(EVENT_VARIABLE, "true")
        instrument(
            settings=Settings(),
            tracer_provider=spans.tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            **options,
        )
        evaluations.configure(Settings(), logger_provider=logger_provider)
        return Exported(spans, records, reader)

    yield begin
    uninstrument()
    evaluations.configure(Settings())
    meter_provider.shutdown()


def make_calls(caller: Caller, provider: LoopbackProvider, fault: Fault | None) -> None:
    """Call for a plain answer, a stream and a raw answer; whatever comes back."""
    provider.answer(lambda _: ANSWERED)

    def read_raw(**arguments: Any) -> None:
        raw = caller.wait(caller.resource.with_raw_response.create(**{**caller.arguments, **arguments}))
        parsed = raw.parse()
        if isawaitable(parsed):
            caller.wait(parsed)

    ways: list[Callable[..., Any]] = [caller.create, lambda **given: caller.stream(**given).read(), read_raw]
    for way in ways:
        if fault is not None:
            provider.script([fault])
        # A connection that breaks within a body is the HTTP client's own error.
        with suppress(openai.APIError, anthropic.APIError, ValueError, OPENAI_HTTP.HTTPError, ANTHROPIC_HTTP.HTTPError):
            way(**BODIES[caller.api])


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_byte_of_content_leaves_unasked(
    fault: Fault | None,
    caller: Caller,
    provider: LoopbackProvider,
    start: Callable[..., Exported],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With content off no byte of prompt or answer is in spans, events, metrics or our log, errors included
    (traceloop/openllmetry#2777 and #4188)."""
    caplog.set_level(logging.INFO, "tierwise")
    exported = start("no_content")

    with use_case("canary"):
        make_calls(caller, provider, fault)

    assert CANARY.encode() not in exported.otlp()
    assert CANARY not in caplog.text


class Canary(BaseModel):
    kxzq: str


BATCH = {"custom_id": "1", "params": {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": TURNS}}
SOUND = (f"{CANARY}.mp3", b"ID3")
OTHER_SURFACES: list[tuple[str, str, dict[str, Any]]] = [
    ("openai", "chat.completions.parse", {"model": "gpt-4o", "messages": TURNS, "response_format": Canary}),
    ("openai", "responses.compact", {"model": "gpt-4o", "input": CANARY}),
    ("openai", "embeddings.create", {"model": "text-embedding-3-small", "input": [CANARY]}),
    ("openai", "moderations.create", {"model": "omni-moderation-latest", "input": CANARY}),
    ("openai", "images.generate", {"model": "gpt-image-1.5", "prompt": CANARY}),
    ("openai", "images.edit", {"model": "gpt-image-1.5", "prompt": CANARY, "image": (f"{CANARY}.png", b"PNG")}),
    ("openai", "audio.speech.create", {"model": "tts-1", "voice": "alloy", "input": CANARY}),
    ("openai", "audio.transcriptions.create", {"model": "whisper-1", "file": SOUND, "prompt": CANARY}),
    ("openai", "audio.translations.create", {"model": "whisper-1", "file": SOUND, "prompt": CANARY}),
    ("openai", "videos.create", {"model": "sora-2", "prompt": CANARY}),
    ("anthropic", "messages.count_tokens", {"model": "claude-haiku-4-5", "messages": TURNS, "system": CANARY}),
    ("anthropic", "messages.batches.create", {"requests": [BATCH]}),
]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning", "ignore:The Sora API:DeprecationWarning")
@pytest.mark.parametrize(
    ("sdk", "method", "arguments"), OTHER_SURFACES, ids=[method for _, method, _ in OTHER_SURFACES]
)
@pytest.mark.parametrize("fault", [None, FAULTS["refused"]], ids=["answered", "refused"])
def test_nor_on_any_other_surface(
    sdk: str,
    method: str,
    arguments: dict[str, Any],
    fault: Fault | None,
    clients: dict[tuple[str, bool], Any],
    provider: LoopbackProvider,
    start: Callable[..., Exported],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same for what is no conversation: embeddings, images, audio, videos, batches and helpers."""
    skip_without(clients[sdk, False], method)
    caplog.set_level(logging.INFO, "tierwise")
    exported = start("no_content")
    provider.answer(lambda _: ANSWERED)
    if fault is not None:
        provider.script([fault])
    with suppress(openai.APIError, anthropic.APIError, ValueError):
        attrgetter(method)(clients[sdk, False])(**arguments)
    # Free requests are answered whatever is scripted, and leave no trace of their own.
    provider.clear()
    clients["openai", False].chat.completions.create(model="gpt-4o", messages=TURNS)

    assert CANARY.encode() not in exported.otlp()
    assert CANARY not in caplog.text


def test_the_canary_is_found_when_asked(
    caller: Caller, provider: LoopbackProvider, start: Callable[..., Exported]
) -> None:
    """With content on the same search finds it: on spans, in events, and in the message of an error."""
    exported = start("span_and_event")

    make_calls(caller, provider, None)
    make_calls(caller, provider, FAULTS["refused"])

    spans = encode_spans(exported.spans.capture.spans).SerializeToString()
    records = exported.records.get_finished_logs()
    assert CANARY.encode() in spans
    assert {item.log_record.event_name for item in records if CANARY in str(item.log_record.attributes)} == {
        "gen_ai.client.inference.operation.details",
        "gen_ai.client.operation.exception",
    }


def test_what_is_redacted_does_not_leave(
    caller: Caller, provider: LoopbackProvider, start: Callable[..., Exported]
) -> None:
    """A redactor sees every text before it leaves, on spans and in events, errors included."""
    exported = start("span_and_event", redact=lambda said: said.replace(CANARY, "[removed]"))

    for fault in (None, FAULTS["refused"], FAULTS["odd body"]):
        make_calls(caller, provider, fault)

    otlp = exported.otlp()
    assert CANARY.encode() not in otlp
    assert b"[removed]" in otlp
