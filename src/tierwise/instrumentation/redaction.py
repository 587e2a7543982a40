"""What of a call's content may leave the process: texts go through the user's redactor, and sizes are limited.

A redactor that fails takes the content of its call with it: nothing leaves that it has not passed. Texts are redacted
before they are cut, since half a secret may not look like one.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from tierwise.errors import SettingsError
from tierwise.instrumentation.content import Content, Message, Part

Redactor = Callable[[str], str]
"""Takes a text, gives back what of it may leave."""

_PART_BYTES = 32
"""What a part counts beside its texts, so that many empty ones are limited as well."""
_SCALAR_BYTES = 8
_MAX_DEPTH = 32
_KEPT = frozenset({"type", "id", "modality"})
"""Members of a part that are not content."""


class RedactionFailed(Exception):
    """The redactor raised, or gave back something that is no text."""


class Limits(NamedTuple):
    """How many bytes of text may leave, in UTF-8."""

    message_bytes: int
    call_bytes: int


DEFAULT_LIMITS = Limits(32_768, 131_072)


class Reduced(NamedTuple):
    """Content as it may leave."""

    content: Content
    truncated: bool
    """Whether something was cut or left out for its size."""


def load_redactor(path: str) -> Redactor:
    """The function that a setting names as `module:function`.

    Raises:
        SettingsError: there is no such function.
    """
    module, colon, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"redact is {path!r}, which cannot be imported: {error}") from error
    if not callable(found):
        raise SettingsError(f"redact is {path!r}; a function is needed, as module:function")
    return cast("Redactor", found)


def reduce_content(content: Content, redact: Redactor | None, limits: Limits) -> Reduced:
    """A copy of the content, redacted and within the limits.

    Where the limit of the call is reached the oldest messages are left out: the answer comes first, then the
    instructions, then the conversation from its end. A part that was cut has `truncated_bytes`.

    Raises:
        RedactionFailed: nothing of this content may leave.
    """
    left = _Allowance(limits, redact)
    answered = left.messages(content.answered)
    instructions = left.parts(content.instructions)
    asked = left.messages(content.asked)
    tools = left.parts(content.tools)
    return Reduced(Content(instructions, asked, answered, tools), left.truncated)


def reduce_text(text: str, redact: Redactor | None, limits: Limits) -> str:
    """One text, redacted and cut to what a message may have.

    Raises:
        RedactionFailed: it may not leave.
    """
    left = _Allowance(limits, redact)
    left.begin_message()
    return left.text(text)


class _Allowance:
    """What may still leave of one call."""

    def __init__(self, limits: Limits, redact: Redactor | None) -> None:
        self._redact = redact
        self._message_bytes = limits.message_bytes
        self._of_call = limits.call_bytes
        self._of_message = 0
        self._cut = 0
        self.truncated = False

    def messages(self, messages: list[Message]) -> list[Message]:
        kept: list[Message] = []
        for message in reversed(messages):
            if self._of_call <= 0:
                self.truncated = True
                break
            self._spend(_PART_BYTES)
            kept.append({**message, "parts": self.parts(message["parts"])})
        kept.reverse()
        return kept

    def parts(self, parts: list[Part]) -> list[Part]:
        """The parts of one message."""
        self.begin_message()
        kept: list[Part] = []
        for part in parts:
            if not self._has_left():
                break
            self._spend(_PART_BYTES)
            self._cut = 0
            reduced = {
                key: value if key in _KEPT and _is_plain(value) else self._value(value, 0)
                for key, value in part.items()
            }
            if self._cut:
                reduced["truncated_bytes"] = self._cut
            kept.append(reduced)
        return kept

    def begin_message(self) -> None:
        self._of_message = self._message_bytes

    def text(self, text: str) -> str:
        """What of a text may leave."""
        if self._redact is not None:
            text = _redacted(self._redact, text)
        # Half of a surrogate pair, as JSON may hold, would make the exporter lose the whole batch.
        encoded = text.encode("utf-8", "replace")
        allowed = max(0, min(self._of_message, self._of_call))
        self._spend(min(len(encoded), allowed))
        if len(encoded) <= allowed:
            return encoded.decode()
        self.truncated = True
        kept = encoded[:allowed].decode("utf-8", "ignore")
        self._cut += len(encoded) - len(kept.encode())
        return kept

    def _value(self, value: Any, depth: int) -> Any:
        """JSON-like data, such as a tool's arguments, in new containers and as OTLP can carry it."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return value
        self._spend(_SCALAR_BYTES)
        if isinstance(value, int):
            return value if abs(value) < 2**63 else self.text(str(value))
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if depth >= _MAX_DEPTH or isinstance(value, bytes | bytearray | memoryview):
            self.truncated = True
            return None
        if isinstance(value, Mapping):
            members = cast("Mapping[Any, Any]", value).items()
            return {self.text(str(key)): self._value(member, depth + 1) for key, member in members if self._has_left()}
        if isinstance(value, list | tuple):
            return [self._value(item, depth + 1) for item in cast("list[Any]", value) if self._has_left()]
        return self.text(str(value))

    def _spend(self, spent: int) -> None:
        self._of_call -= spent
        self._of_message -= spent

    def _has_left(self) -> bool:
        if self._of_message > 0 and self._of_call > 0:
            return True
        self.truncated = True
        return False


def _is_plain(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 256)


def _redacted(redact: Redactor, text: str) -> str:
    try:
        redacted: Any = redact(text)
    except Exception as error:
        raise RedactionFailed from error
    if not isinstance(redacted, str):
        raise RedactionFailed(f"it gave back {type(redacted).__name__} where a text is needed")
    return redacted
