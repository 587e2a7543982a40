"""What a request body holds, read without consuming or changing anything in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tierwise.call import Request

_TEXT_WINDOW = 1_000
"""Characters read at either end of a text. A long prompt often begins with the same instructions and ends with what is
particular to the call, so both ends are looked at."""

_MESSAGE_FIELDS = {"chat_completions": "messages", "messages": "messages", "responses": "input"}

_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "tool_use", "search_result", "function_call", "tool_reference"}
)
_PART_KINDS = {
    "image_url": "images",
    "input_image": "images",
    "image": "images",
    "input_audio": "audio_input",
    "file": "pdf",
    "input_file": "pdf",
    "document": "pdf",
}
_STATE_PARTS = {
    "thinking": "signed thinking blocks",
    "redacted_thinking": "signed thinking blocks",
    "reasoning": "reasoning items",
    "item_reference": "a reference to a stored item",
    "compaction": "a compacted history",
    "container_upload": "files in a container",
    "web_search_tool_result": "encrypted search results",
}


@dataclass(slots=True)
class Contents:
    """One pass over a request's messages."""

    unreadable: str | None = None
    """Why the messages cannot be looked at, in words; None when they were."""
    needs: set[str] = field(default_factory=set[str])
    """Features that content parts ask of a model: images, pdf, audio_input."""
    unknown_parts: set[str] = field(default_factory=set[str])
    """Types of parts and items that nothing here knows."""
    roles: list[str] = field(default_factory=list[str])
    """Of the messages, in order."""
    state: str | None = None
    """What in them belongs to the model that wrote it, in words."""


def messages_of(request: Request) -> Sequence[Any] | None:
    """The messages of a request; None when they are missing or a one-shot iterator, which stays untouched."""
    value = request.body.get(_MESSAGE_FIELDS.get(request.api, "messages"))
    if isinstance(value, str):
        return ({"role": "user", "content": value},)
    return value if isinstance(value, list | tuple) else None


def _member(value: Any, name: str) -> Any:
    """A member of a JSON object, or of the typed object that Anthropic's SDK passes on from an earlier answer."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) or isinstance(getattr(value, "type", None), str)


def first_user_text(request: Request) -> str:
    """Both ends of the first user message, with its length between them; the same on every turn of a conversation.

    Empty when there is no message with a text or a data part.
    """
    messages = messages_of(request) or ()
    first: Any = messages[0] if messages else None
    for message in messages:
        if _member(message, "role") == "user":
            first = message
            break
    return "\x00".join(_window(text) for text in _texts(_member(first, "content")))


def _window(text: str) -> str:
    if len(text) <= 2 * _TEXT_WINDOW:
        return text
    return f"{text[:_TEXT_WINDOW]}\x00{len(text)}\x00{text[-_TEXT_WINDOW:]}"


def _texts(content: Any) -> Iterator[str]:
    """Text, URL and base64 data of a message's parts, at most eight of them."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | tuple):
        for part in content[:8]:
            yield from _part_texts(part)


def _part_texts(part: Any) -> Iterator[str]:
    for name in ("text", "image_url", "source", "input_audio", "file", "file_data", "file_id"):
        value = _member(part, name)
        if isinstance(value, dict):
            yield from (item for item in value.values() if isinstance(item, str))
        elif isinstance(value, str):
            yield value


def contents_of(request: Request) -> Contents:
    """What the messages of `request` hold."""
    found = Contents()
    messages = messages_of(request)
    if messages is None:
        found.unreadable = "its messages are not a list"
        return found
    for message in messages:
        if not _is_object(message):
            found.unreadable = f"one of its messages is a {type(message).__name__}, not an object"
            return found
        _read_message(message, found)
    return found


def _read_message(message: Any, found: Contents) -> None:
    if type(message) is dict and type(role := message.get("role")) is str and "audio" not in message:
        # Nearly every message of nearly every request, and long conversations have many.
        found.roles.append(role)
        _read_content(message.get("content"), found)
        return
    role, kind = _member(message, "role"), _member(message, "type")
    if role is not None:
        found.roles.append(str(role))
    elif kind == "function_call_output":
        _read_content(_member(message, "output"), found)
        return
    elif kind is not None:
        if kind not in _TEXT_PARTS:
            _read_part(str(kind), message, found)
        return
    if _member(message, "audio") is not None:
        found.state = "audio of an earlier answer"
    _read_content(_member(message, "content"), found)


def _read_content(content: Any, found: Contents) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list | tuple):
        found.unreadable = f"the content of a message is a {type(content).__name__}, not a text or a list"
        return
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
        if isinstance(kind, str):
            if kind not in _TEXT_PARTS:
                _read_part(kind, part, found)
        elif isinstance(part, dict):
            found.unknown_parts.add("none")
        elif not isinstance(part, str):
            found.unreadable = f"a part of a message is a {type(part).__name__}, not an object"


def _read_part(kind: str, part: Any, found: Contents) -> None:
    source = _member(part, "source")
    if kind == "tool_result":
        _read_content(_member(part, "content"), found)
    elif kind in _STATE_PARTS:
        found.state = _STATE_PARTS[kind]
    elif kind == "document" and _member(source, "type") in ("text", "content"):
        _read_content(_member(source, "content"), found)
    elif kind in _PART_KINDS:
        found.needs.add(_PART_KINDS[kind])
    else:
        found.unknown_parts.add(kind)
