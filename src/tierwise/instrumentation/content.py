"""Prompts and answers as the span attributes of the GenAI conventions; only for those who opted in.

Messages are JSON texts in the conventions' own shape, whatever the API: a role and its parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tierwise import semconv as sc
from tierwise.call import AttributeValue
from tierwise.instrumentation.sdk import Reply

_INSTRUCTION_ROLES = frozenset({"system", "developer"})

Part = dict[str, Any]
Message = dict[str, Any]


def content_attributes(body: Mapping[str, Any], reply: Reply | None) -> dict[str, AttributeValue]:
    """What was asked and answered, as attributes."""
    instructions, messages = _input(body)
    attributes: dict[str, AttributeValue] = {}
    if instructions:
        attributes[sc.SYSTEM_INSTRUCTIONS] = _json(instructions)
    if messages:
        attributes[sc.INPUT_MESSAGES] = _json(messages)
    if reply is not None and (parts := _answer_parts(reply)):
        answer: Message = {"role": "assistant", "parts": parts}
        if reply.finish_reasons:
            answer["finish_reason"] = reply.finish_reasons[0]
        attributes[sc.OUTPUT_MESSAGES] = _json([answer])
    return attributes


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _text(text: str) -> Part:
    return {"type": "text", "content": text}


def _answer_parts(reply: Reply) -> list[Part]:
    parts = [_text(reply.text)] if reply.text else []
    for call in reply.tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return parts


def _input(body: Mapping[str, Any]) -> tuple[list[Part], list[Message]]:
    """(instructions, messages) of a request body of any API. An iterator among them is left unread."""
    instructions: list[Part] = []
    for key in ("system", "instructions"):
        instructions += _parts(body.get(key))
    turns = next((body[key] for key in ("messages", "input", "prompt") if key in body), None)
    if isinstance(turns, str):
        return instructions, [{"role": "user", "parts": [_text(turns)]}]
    messages: list[Message] = []
    for turn in _listed(turns):
        if isinstance(turn, str):
            messages.append({"role": "user", "parts": [_text(turn)]})
            continue
        if not isinstance(turn, Mapping):
            continue
        message = cast("Mapping[str, Any]", turn)
        role = message.get("role")
        if role in _INSTRUCTION_ROLES:
            instructions += _parts(message.get("content"))
        else:
            messages.append({"role": role or _role_of(message), "parts": _message_parts(message)})
    return instructions, messages


def _listed(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _role_of(item: Mapping[str, Any]) -> str:
    """The role of a Responses item that has none of its own: a call is the model's, the output of one the tool's."""
    return "tool" if str(item.get("type")).endswith("_output") else "assistant"


def _message_parts(message: Mapping[str, Any]) -> list[Part]:
    if message.get("role") == "tool" or str(message.get("type")).endswith("call_output"):
        call_id = message.get("tool_call_id") or message.get("call_id")
        result = message.get("content", message.get("output"))
        return [{"type": "tool_call_response", "id": call_id, "response": result}]
    if message.get("type") == "function_call":
        return [_tool_call(message.get("call_id"), message.get("name"), message.get("arguments"))]
    parts = _parts(message.get("content"))
    for call in _listed(message.get("tool_calls")):
        if isinstance(call, Mapping):
            function = call.get("function")
            named = cast("Mapping[str, Any]", function) if isinstance(function, Mapping) else {}
            parts.append(_tool_call(call.get("id"), named.get("name"), named.get("arguments")))
    return parts


def _tool_call(call_id: Any, name: Any, arguments: Any) -> Part:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _parts(content: Any) -> list[Part]:
    """The parts of one message's content: a text, or a list of blocks."""
    if isinstance(content, str):
        return [_text(content)] if content else []
    parts: list[Part] = []
    for block in _listed(content):
        if isinstance(block, str):
            parts.append(_text(block))
        elif isinstance(block, Mapping):
            parts.append(_block(cast("Mapping[str, Any]", block)))
    return parts


def _block(block: Mapping[str, Any]) -> Part:
    text, kind = block.get("text"), block.get("type")
    if isinstance(text, str):
        return _text(text)
    if kind == "tool_use":
        return _tool_call(block.get("id"), block.get("name"), block.get("input"))
    if kind == "tool_result":
        return {"type": "tool_call_response", "id": block.get("tool_use_id"), "response": block.get("content")}
    # Images, audio and files: that there was one, not its bytes.
    return {"type": str(kind)}
