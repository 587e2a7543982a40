"""What a model answered, in the words of no SDK: what every check looks at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

REFUSED_REASONS = frozenset({"refusal", "content_filter"})
"""Finish reasons by which a provider says that it, or its model, declined."""
_INCOMPLETE_REASONS = {"max_output_tokens": "length"}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asked for."""

    name: str
    arguments: str
    """JSON, as the model wrote it: it may be broken."""
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered, as a check sees it."""

    text: str
    """Of the first choice; empty when it only calls tools."""
    tool_calls: tuple[ToolCall, ...] = ()
    """In order."""
    finish_reason: str | None = None
    """As the provider writes it; the status of the Responses API as chat completions write theirs."""
    refused: bool = False
    """Whether the provider marks the answer as a refusal; its text is the refusal's then."""
    model: str | None = None
    """The model that answered, as the provider names it."""
    raw: Any = None
    """The SDK's response object where there is one."""


def read_answer(surface: str, body: Mapping[str, Any]) -> Answer:
    """The answer in a response's parsed JSON.

    Args:
        surface: "chat", "responses", "messages" or "completions". Another gives an empty answer, as does a body that is
            not what its API sends.
    """
    reader = _READERS.get(surface)
    return Answer("") if reader is None else reader(_mapping(body))


def _read_chat(body: Mapping[str, Any]) -> Answer:
    choice = _first(body.get("choices"))
    message = _mapping(choice.get("message"))
    refusal = _text(message.get("refusal"))
    texts: list[str] = []
    for part in _parts(message.get("content")):
        texts.append(_text(part.get("text")))
        refusal = refusal or _text(part.get("refusal"))
    calls = list(_mappings(message.get("tool_calls")))
    if (legacy := _mapping(message.get("function_call"))) and not calls:
        calls = [{"function": legacy}]
    reason = _text(choice.get("finish_reason")) or None
    return Answer(
        "".join(texts) or refusal,
        tuple(map(_chat_tool_call, calls)),
        reason,
        refused=bool(refusal) or reason in REFUSED_REASONS,
        model=_text(body.get("model")) or None,
    )


def _chat_tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = _mapping(call.get("function")) or _mapping(call.get("custom"))
    arguments = function.get("arguments", function.get("input"))
    return ToolCall(_text(function.get("name")), _text(arguments), _text(call.get("id")) or None)


def _read_responses(body: Mapping[str, Any]) -> Answer:
    texts: list[str] = []
    calls: list[ToolCall] = []
    refused = False
    for item in _mappings(body.get("output")):
        kind = item.get("type")
        if kind == "message":
            for part in _parts(item.get("content")):
                refusal = _text(part.get("refusal"))
                refused = refused or bool(refusal)
                texts.append(_text(part.get("text")) or refusal)
        elif kind in ("function_call", "custom_tool_call"):
            arguments = item.get("arguments", item.get("input"))
            calls.append(ToolCall(_text(item.get("name")), _text(arguments), _text(item.get("call_id")) or None))
    reason: str | None = None
    match body.get("status"):
        case "completed":
            reason = "tool_calls" if calls else "stop"
        case "incomplete":
            said = _text(_mapping(body.get("incomplete_details")).get("reason")) or "incomplete"
            reason = _INCOMPLETE_REASONS.get(said, said)
        case "failed":
            reason = "error"
        case _:
            pass
    return Answer(
        "".join(texts),
        tuple(calls),
        reason,
        refused=refused or reason in REFUSED_REASONS,
        model=_text(body.get("model")) or None,
    )


def _read_message(body: Mapping[str, Any]) -> Answer:
    texts: list[str] = []
    calls: list[ToolCall] = []
    for part in _parts(body.get("content")):
        kind = part.get("type")
        if kind == "text":
            texts.append(_text(part.get("text")))
        elif kind == "tool_use":
            calls.append(ToolCall(_text(part.get("name")), _dumped(part.get("input")), _text(part.get("id")) or None))
    reason = _text(body.get("stop_reason")) or None
    return Answer(
        "".join(texts),
        tuple(calls),
        reason,
        refused=reason in REFUSED_REASONS,
        model=_text(body.get("model")) or None,
    )


def _read_completion(body: Mapping[str, Any]) -> Answer:
    choice = _first(body.get("choices"))
    reason = _text(choice.get("finish_reason")) or None
    return Answer(
        _text(choice.get("text")),
        (),
        reason,
        refused=reason in REFUSED_REASONS,
        model=_text(body.get("model")) or None,
    )


_READERS = {
    "chat": _read_chat,
    "responses": _read_responses,
    "messages": _read_message,
    "completions": _read_completion,
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return (item for item in map(_mapping, _listed(value)) if item)


def _parts(content: Any) -> Iterable[Mapping[str, Any]]:
    """The parts of a content that is one text or a list of parts."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else _mappings(content)


def _first(choices: Any) -> Mapping[str, Any]:
    return next(iter(_mappings(choices)), {})


def _dumped(value: Any) -> str:
    """JSON of a tool's input, which this API gives parsed."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return ""
