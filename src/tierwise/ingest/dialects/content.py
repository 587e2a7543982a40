"""Messages under the semantic conventions' names, whatever a dialect called them, and as a request to infer from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.ingest.dialects.reported import mapping, parsed, sequence

_TOOL_RESULTS: Final = frozenset({"tool_call_response", "tool_result", "tool-result", "function_call_output"})
_TOOL_CALLS: Final = frozenset({"tool_call", "tool_use", "tool-call", "function_call"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})


def content_attributes(
    *, messages: object = None, system: object = None, tools: Iterable[object] = (), answer: object = None
) -> dict[str, str]:
    """Content as the conventions' attributes, JSON each; what is not there is left out.

    Args:
        messages: the conversation: messages of any provider's API, or one text.
        system: instructions beside it: a text, or blocks.
        tools: definitions of any provider's API, or their JSON.
        answer: messages, one message, or a text.
    """
    found = {
        sc.INPUT_MESSAGES: _messages(messages, "user"),
        sc.SYSTEM_INSTRUCTIONS: _parts(system),
        sc.TOOL_DEFINITIONS: [definition for tool in tools if (definition := _tool(mapping(tool)))],
        sc.OUTPUT_MESSAGES: _messages(answer, "assistant"),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in found.items() if value}


def _messages(said: object, role: str) -> list[dict[str, Any]]:
    if isinstance(said, str):
        return [{"role": role, "parts": _parts(said)}] if said else []
    found: list[dict[str, Any]] = []
    for item in [said] if isinstance(said, Mapping) else sequence(said):
        message = {"content": item} if isinstance(item, str) else mapping(item)
        parts = _parts(message.get("content", message.get("parts")))
        if str(message.get("type")) in _TOOL_RESULTS | _TOOL_CALLS:
            parts = [_part(message)]
        for call in sequence(message.get("tool_calls")):
            function = mapping(mapping(call).get("function")) or mapping(call)
            parts.append(_part({"type": "tool_call", **function, "id": mapping(call).get("id")}))
        if message.get("role") == "tool":
            parts = [{"type": "tool_call_response", "response": message.get("content")}]
        if parts:
            found.append({"role": str(message.get("role") or role), "parts": parts})
    return found


def _parts(content: object) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    return [_part(mapping(block)) if not isinstance(block, str) else _text(block) for block in sequence(content)]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(block.get("type") or "text")
    if kind in _TEXTS:
        return _text(str(block.get("text", block.get("content", ""))))
    if kind in _TOOL_CALLS:
        name = block.get("name", block.get("toolName"))
        arguments = block.get("arguments", block.get("input", block.get("args")))
        return {"type": "tool_call", "name": name, "id": block.get("id"), "arguments": parsed(arguments)}
    if kind in _TOOL_RESULTS:
        said = next((block[key] for key in ("content", "output", "result", "response") if key in block), None)
        return {"type": "tool_call_response", "response": said}
    # An image or a file is there to be seen, not to be kept.
    return {"type": kind}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    name = tool.get("name") or mapping(tool.get("function")).get("name")
    return {"type": "function", "name": name} if isinstance(name, str) else {}


def request_of(call: Call) -> dict[str, Any] | None:
    """The request of a call as far as its captured content tells it, in the shape that `tasks.infer` reads.

    None where the call carries no content.
    """
    messages = [_message(mapping(item)) for item in sequence(call.extra.get(sc.INPUT_MESSAGES))]
    system = call.extra.get(sc.SYSTEM_INSTRUCTIONS)
    if not messages and not system:
        return None
    request: dict[str, Any] = {"model": call.request_model, "messages": messages}
    if system:
        blocks = sequence(system)
        request["system"] = "\n".join(_texts(blocks)) if blocks else system
    if tools := sequence(call.extra.get(sc.TOOL_DEFINITIONS)) or _called_tools(call):
        request["tools"] = tools
    if call.parameters.get(sc.OUTPUT_TYPE) == "json":
        request["response_format"] = {"type": "json_object"}
    return request


def _called_tools(call: Call) -> list[dict[str, Any]]:
    """The tools that the answer calls: some that were offered, where nobody says which."""
    parts = (
        mapping(part)
        for message in sequence(call.extra.get(sc.OUTPUT_MESSAGES))
        for part in sequence(mapping(message).get("parts"))
    )
    return [{"type": "function", "name": part.get("name")} for part in parts if str(part.get("type")) in _TOOL_CALLS]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for item in sequence(message.get("parts", message.get("content"))):
        part = mapping(item)
        kind = str(part.get("type"))
        if kind == "text":
            blocks.append({"type": "text", "text": part.get("content", part.get("text"))})
        elif kind in _TOOL_RESULTS:
            blocks.append({"type": "tool_result", "content": part.get("response", part.get("result"))})
        elif kind not in _TOOL_CALLS:
            blocks.append(cast("dict[str, Any]", {"type": _ATTACHMENTS.get(str(part.get("modality", kind)), kind)}))
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return {"role": message.get("role"), "content": blocks[0]["text"]}
    if not blocks and isinstance(message.get("content"), str):
        return {"role": message.get("role"), "content": message["content"]}
    return {"role": message.get("role"), "content": blocks}


_ATTACHMENTS: Final = {
    "image": "image_url",
    "video": "image_url",
    "audio": "input_audio",
    "blob": "file",
    "uri": "file",
}


def _texts(blocks: Iterable[object]) -> Iterable[str]:
    for block in blocks:
        text = block if isinstance(block, str) else mapping(block).get("content", mapping(block).get("text"))
        if isinstance(text, str):
            yield text
