"""Whether prompts and answers leave the process, and where to: on spans, in events, or not at all, as by default."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierwise import semconv as sc
from tierwise.call import AttributeValue
from tierwise.firewall import report, reraises
from tierwise.instrumentation.content import Content, read_content
from tierwise.instrumentation.redaction import (
    DEFAULT_LIMITS,
    Limits,
    RedactionFailed,
    Redactor,
    load_redactor,
    reduce_content,
    reduce_text,
)
from tierwise.instrumentation.sdk import Reply
from tierwise.settings import Settings

logger = logging.getLogger("tierwise")

MODE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EVENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
"""The standard variables; they mean here what they mean to OpenTelemetry's own instrumentations."""

_MODES: Mapping[str, tuple[bool, bool]] = {
    "": (False, False),
    "no_content": (False, False),
    "span_only": (True, False),
    "event_only": (False, True),
    "span_and_event": (True, True),
}
"""Mode → (on spans, in events)."""

_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Captured:
    """The content of one call as it may leave; without any when the redactor failed."""

    on_span: Mapping[str, AttributeValue]
    """Messages as JSON texts: span attributes hold no structures."""
    in_event: Mapping[str, Any]
    """Messages as structures."""


NOTHING = Captured({}, {})
_DROPPED: Mapping[str, AttributeValue] = {sc.CONTENT_DROPPED: True}
"""Stands in place of content that may not leave."""


@dataclass(frozen=True, slots=True)
class ContentCapture:
    """What is captured of each call."""

    on_spans: bool = False
    in_events: bool = False
    emits_events: bool = False
    """Whether there are events at all; without content in them they repeat what the span says."""
    redact: Redactor | None = None
    limits: Limits = DEFAULT_LIMITS

    @property
    def needs_text(self) -> bool:
        """Whether the text of an answer is wanted."""
        return self.on_spans or self.in_events

    def read(self, body: Mapping[str, Any], reply: Reply | None, *, is_recording: bool) -> Captured:
        """The content of one call.

        Args:
            is_recording: whether its span goes anywhere.
        """
        on_span = self.on_spans and is_recording
        if not on_span and not self.in_events:
            return NOTHING
        try:
            reduced = reduce_content(read_content(body, reply), self.redact, self.limits)
        except Exception as error:
            if reraises():
                raise
            _report(error)
            return Captured(_DROPPED if on_span else {}, _DROPPED if self.in_events else {})
        structured = _attributes(reduced.content)
        mark: dict[str, AttributeValue] = {sc.CONTENT_TRUNCATED: True} if reduced.truncated else {}
        return Captured(
            {**{key: _json(value) for key, value in structured.items()}, **mark} if on_span else {},
            {**structured, **mark} if self.in_events else {},
        )

    def message_of(self, error: BaseException) -> str | None:
        """An exception's message, which may quote the prompt; None when it may not leave."""
        if not self.in_events:
            return None
        try:
            return reduce_text(str(error), self.redact, self.limits)
        except Exception as failure:
            if reraises():
                raise
            _report(failure)
            return None


def capture_of(settings: Settings, redact: Redactor | None) -> ContentCapture:
    """What the settings, and the standard variables, ask to capture.

    Args:
        redact: goes before the redactor that the settings name.

    Raises:
        SettingsError: content is captured, and the redactor that the settings name cannot be imported.
    """
    on_spans, in_events = _mode()
    on_spans = on_spans or settings.capture_content
    if redact is None and settings.redact is not None and (on_spans or in_events):
        redact = load_redactor(settings.redact)
    return ContentCapture(
        on_spans,
        in_events,
        emits_events=_emits_events(in_events),
        redact=redact,
        limits=Limits(settings.content_message_bytes, settings.content_call_bytes),
    )


def _mode() -> tuple[bool, bool]:
    value = os.environ.get(MODE_VARIABLE, "").strip().lower()
    if value not in _MODES:
        way_out = "'true' is from before version 1.37 of the conventions; span_only is what it meant. " * (
            value == "true"
        )
        _warn_once(f"{MODE_VARIABLE} is {value!r}: no content is captured. {way_out}Allowed: {', '.join(_MODES)[2:]}.")
        return False, False
    return _MODES[value]


def _emits_events(in_events: bool) -> bool:
    value = os.environ.get(EVENT_VARIABLE, "").strip().lower()
    if value not in ("", "true", "false"):
        _warn_once(f"{EVENT_VARIABLE} is {value!r} and is ignored. Allowed: true, false.")
        return in_events
    return value == "true" or (in_events and value != "false")


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        logger.warning(message)


def _attributes(content: Content) -> dict[str, Any]:
    found = (
        (sc.SYSTEM_INSTRUCTIONS, content.instructions),
        (sc.INPUT_MESSAGES, content.asked),
        (sc.OUTPUT_MESSAGES, content.answered),
        (sc.TOOL_DEFINITIONS, content.tools),
    )
    return {key: value for key, value in found if value}


def _report(error: Exception) -> None:
    report("redacting content" if isinstance(error, RedactionFailed) else "reading content", error)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
