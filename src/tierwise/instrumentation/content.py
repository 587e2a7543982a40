"""What was asked and what was answered, in the shape of the GenAI conventions, whatever the API.

A message is a role and its parts. Only what a person or a model wrote is in it: of an image or a file, that there was
one and where it is, never its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from tierwise.instrumentation.sdk import Reply

Part = dict[str, Any]
Message = dict[str, Any]

_MODALITIES = {"input_image": "image", "image_url": "image", "input_audio": "audio"}
_CHARS_OF_A_SCHEME = ("http://", "https://", "gs://", "s3://")


class Content(NamedTuple):
    """The content of one call."""

    instructions: list[Part]
    """Given beside the conversation; a system message in it stays in it."""
    asked: list[Message]
    """The conversation, oldest message first."""
    answered: list[Message]
    """The first choice."""
    tools: list[dict[str, Any]]
    """Type and name of each tool offered; the conventions advise against descriptions and schemas, which are large."""


def read_content(body: Mapping[str, Any], reply: Reply | None) -> Content:
    """The content of a request body of any API, and of its answer. An iterator in the body is left unread."""
    instructions: list[Part] = []
    for key in ("system", "instructions"):
        instructions += _parts(body.get(key))
    turns = next((body[key] for key in ("messages", "input", "prompt") if key in body), None)
    return Content(instructions, _messages(turns), _answer(reply), _tools(body.get("tools")))


def _messages(turns: Any) -> list[Message]:
    if isinstance(turns, str):
        return [{"role": "user", "parts": [_text(turns)]}]
    messages: list[Message] = []
    for turn in _listed(turns):
        if isinstance(turn, str):
            messages.append({"role": "user", "parts": [_text(turn)]})
        elif isinstance(turn, Mapping):
            message = cast("Mapping[str, Any]", turn)
            messages.append({"role": message.get("role") or _role_of(message), "parts": _message_parts(message)})
    return messages


def _answer(reply: Reply | None) -> list[Message]:
    if reply is None:
        return []
    parts = [_text(reply.text)] if reply.text else []
    parts += [_tool_call(call.id, call.name, call.arguments) for call in reply.tool_calls]
    if not parts:
        return []
    answer: Message = {"role": "assistant", "parts": parts}
    if reply.finish_reasons:
        answer["finish_reason"] = reply.finish_reasons[0]
    return [answer]


def _tools(offered: Any) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    for tool in _listed(offered):
        if not isinstance(tool, Mapping):
            continue
        # A tool of anthropic's without a type is a function, one of chat completions has its name one level down.
        kind = tool.get("type") or "function"
        inner = tool.get(kind)
        named = cast("Mapping[str, Any]", inner if isinstance(inner, Mapping) else tool)
        tools.append({"type": "function" if kind == "custom" else kind, "name": named.get("name") or kind})
    return tools


# --- parts ------------------------------------------------------------------------------------------------------------


def _text(text: str) -> Part:
    return {"type": "text", "content": text}


def _tool_call(call_id: Any, name: Any, arguments: Any) -> Part:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _listed(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _role_of(item: Mapping[str, Any]) -> str:
    """The role of a Responses item that has none of its own: a call is the model's, the output of one the tool's."""
    return "tool" if str(item.get("type")).endswith("_output") else "assistant"


def _message_parts(message: Mapping[str, Any]) -> list[Part]:
    if message.get("role") == "tool" or str(message.get("type")).endswith("call_output"):
        call_id = message.get("tool_call_id") or message.get("call_id")
        return [_tool_response(call_id, message.get("content", message.get("output")))]
    if message.get("type") == "function_call":
        return [_tool_call(message.get("call_id"), message.get("name"), message.get("arguments"))]
    if message.get("type") == "reasoning":
        return [{"type": "reasoning", "content": part["content"]} for part in _parts(message.get("summary"))]
    parts = _parts(message.get("content"))
    for call in _listed(message.get("tool_calls")):
        if isinstance(call, Mapping):
            function = call.get("function")
            named = cast("Mapping[str, Any]", function) if isinstance(function, Mapping) else {}
            parts.append(_tool_call(call.get("id"), named.get("name"), named.get("arguments")))
    return parts


def _tool_response(call_id: Any, response: Any) -> Part:
    # A list is one of blocks, among which there may be images.
    found = _parts(response) if isinstance(response, list | tuple) else response
    return {"type": "tool_call_response", "id": call_id, "response": found}


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
    if kind == "thinking":
        return {"type": "reasoning", "content": block.get("thinking")}
    if kind == "tool_use":
        return _tool_call(block.get("id"), block.get("name"), block.get("input"))
    if kind == "tool_result":
        return _tool_response(block.get("tool_use_id"), block.get("content"))
    return _attachment(str(kind), block)


def _attachment(kind: str, block: Mapping[str, Any]) -> Part:
    """An image, audio or file: its address or id where it has one."""
    modality = _MODALITIES.get(kind, kind)
    source = block.get("source") or block.get(kind) or block
    held = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else {"url": source}
    address = held.get("url") or held.get("image_url")
    if isinstance(address, str) and address.startswith(_CHARS_OF_A_SCHEME):
        return {"type": "uri", "modality": modality, "uri": address}
    if isinstance(file_id := held.get("file_id"), str):
        return {"type": "file", "modality": modality, "file_id": file_id}
    return {"type": kind}
