"""What a request says: its instructions, its last user text, its tools and its response schema.

Reads the keyword arguments of the SDKs, which are also the JSON bodies on the wire: OpenAI chat, Responses,
embeddings and legacy completions, and Anthropic messages. Nothing is consumed: an iterator in the place of a list is
left alone. Work is bounded: a text contributes its head and its tail, a list its first and last items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

HEAD_CHARS = 3_000
TAIL_CHARS = 1_500
"""Together about 1,100 tokens. Shorter texts are read whole."""

_EDGE_MESSAGES = 24
_EDGE_BLOCKS = 8
_MAX_TOOLS = 32
# Tuples, not sets: what is looked up may be unhashable.
_INSTRUCTION_ROLES = ("system", "developer")
_TOOL_ROLES = ("tool", "function")
_TOOL_RESULT_TYPES = ("tool_result", "function_call_output", "custom_tool_call_output")
_ATTACHMENT_TYPES = (
    "image",
    "image_url",
    "input_image",
    "document",
    "file",
    "input_file",
    "input_audio",
    "search_result",
)


class Prompt(NamedTuple):
    """The parts of one request that tell its task; texts are clipped to their head and tail."""

    system: str = ""
    user: str = ""
    """The last user message that holds text."""
    input_chars: int = 0
    """Characters of text in the whole request, before clipping; for a long list, estimated from its two ends."""
    assistant_turns: int = 0
    tool_names: tuple[str, ...] = ()
    forced_tool: str = ""
    """The one tool that must be called: a response schema by another name."""
    has_tool_results: bool = False
    attachments: int = 0
    schema: object = None
    """A JSON schema as a mapping, or the class the SDK will build one from; None without one."""
    schema_name: str = ""
    is_json: bool = False
    prompt_id: str = ""
    """Identifier in the provider's prompt registry."""
    is_embedding: bool = False


_EMPTY: Mapping[str, Any] = {}


def fields(item: object) -> Mapping[str, Any]:
    """The fields of a mapping or of an SDK object, without running any code of the object's."""
    if isinstance(item, dict):
        return cast("dict[str, Any]", item)
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item)
    held = getattr(item, "__dict__", None)
    return cast("dict[str, Any]", held) if isinstance(held, dict) else _EMPTY


def listed(value: object) -> Sequence[Any]:
    """The value if it is a list or tuple; otherwise nothing, so that iterators stay unread."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def clip(text: str) -> str:
    """Head and tail of a text; the text itself, the same object, when it is short."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def _edges(items: Sequence[Any], edge: int) -> Sequence[Any]:
    return items if len(items) <= 2 * edge else [*items[:edge], *items[-edge:]]


class _Content(NamedTuple):
    text: str
    chars: int
    attachments: int
    has_tool_results: bool


def _content(value: object) -> _Content:
    """Text and blocks of a content that is not one string: a list of blocks, or anything else, which holds nothing."""
    texts: list[str] = []
    chars = attachments = 0
    has_tool_results = False
    blocks = listed(value)
    read = _edges(blocks, _EDGE_BLOCKS)
    for block in read:
        held = fields(block)
        text = block if isinstance(block, str) else held.get("text")
        if isinstance(text, str):
            texts.append(clip(text))
            chars += len(text)
            continue
        kind = _text(held.get("type"))
        attachments += kind in _ATTACHMENT_TYPES
        if kind in _TOOL_RESULT_TYPES:
            has_tool_results = True
            chars += _result_chars(held)
    if len(read) < len(blocks):
        chars = chars * len(blocks) // len(read)
    return _Content(clip("\n".join(texts)), chars, attachments, has_tool_results)


def _result_chars(result: Mapping[str, Any]) -> int:
    """Characters of what a tool returned: one text, or the texts of its blocks."""
    returned = result.get("content", result.get("output"))
    if isinstance(returned, str):
        return len(returned)
    return sum(len(_text(fields(block).get("text"))) for block in _edges(listed(returned), _EDGE_BLOCKS))


def _tools(request: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Names of the tools the model may call, and the one it must call."""
    tools = listed(request.get("tools")) or listed(request.get("functions"))
    if not tools:
        return (), ""
    choice = request.get("tool_choice", request.get("function_call"))
    if _text(choice) == "none":
        return (), ""
    names: list[str] = []
    for tool in tools[:_MAX_TOOLS]:
        held = fields(tool)
        name = held.get("name", fields(held.get("function")).get("name", held.get("type")))
        names.append(_text(name) or "tool")
    chosen = fields(choice)
    if _text(chosen.get("type")) == "none":
        return (), ""
    forced = chosen.get("name", fields(chosen.get("function")).get("name"))
    return tuple(names), _text(forced) if len(tools) == 1 else ""


def _forced_schema(request: Mapping[str, Any]) -> object:
    tool = fields((listed(request.get("tools")) or listed(request.get("functions")))[0])
    function = fields(tool.get("function")) or tool
    return function.get("parameters", function.get("input_schema"))


_FORMAT_KEYS = ("response_format", "text", "output_config", "text_format", "output_format")
_TELLING_KEYS = frozenset({"tools", "functions", *_FORMAT_KEYS})


def _response_schema(request: Mapping[str, Any]) -> tuple[object, str, bool]:
    """(schema, its name, is the answer JSON) from whichever key the provider uses."""
    for key in _FORMAT_KEYS:
        declared = request.get(key)
        if declared is None:
            continue
        if key in ("text", "output_config") and (declared := fields(declared).get("format")) is None:
            continue
        if isinstance(declared, type):
            return declared, declared.__name__, True
        held = fields(declared)
        kind = _text(held.get("type"))
        if kind == "json_schema":
            inner = fields(held.get("json_schema")) or held
            return inner.get("schema"), _text(inner.get("name")), True
        if kind == "json_object":
            return None, "", True
    return None, "", False


class _Reading:
    """What has been read of a request's texts so far."""

    __slots__ = ("assistant_turns", "attachments", "chars", "has_tool_results", "systems", "user")

    def __init__(self) -> None:
        self.systems: list[str] = []
        self.user = ""
        self.chars = 0
        self.assistant_turns = 0
        self.attachments = 0
        self.has_tool_results = False

    def take(self, role: str, value: object) -> None:
        """Count one message's content, and keep its text if its role matters."""
        if isinstance(value, str):
            text = clip(value)
            self.chars += len(value)
        elif value is None:
            text = ""
        else:
            content = _content(value)
            text = content.text
            self.chars += content.chars
            self.attachments += content.attachments
            self.has_tool_results = self.has_tool_results or content.has_tool_results
        if role == "user":
            self.user = text or self.user
        elif role == "assistant":
            self.assistant_turns += 1
        elif role in _INSTRUCTION_ROLES and text:
            self.systems.append(text)

    def take_messages(self, messages: object) -> None:
        listed_messages = listed(messages)
        read = _edges(listed_messages, _EDGE_MESSAGES)
        before = self.chars
        for message in read:
            if isinstance(message, str):
                self.take("user", message)
                continue
            held = message if message.__class__ is dict else fields(message)
            role = _text(held.get("role"))
            if role in _TOOL_ROLES or (role == "" and _text(held.get("type")) in _TOOL_RESULT_TYPES):
                self.has_tool_results = True
                self.chars += _result_chars(held)
            else:
                self.take(role, held.get("content"))
        if len(read) < len(listed_messages):
            self.chars = before + (self.chars - before) * len(listed_messages) // len(read)


def read_prompt(request: Mapping[str, Any]) -> Prompt:
    """What the request says. Never raises for odd input: a part that cannot be read counts as absent."""
    reading = _Reading()
    for key in ("system", "instructions"):
        if (instructions := request.get(key)) is not None:
            reading.take("system", instructions)
    messages = request.get("messages")
    turns = messages if messages is not None else request.get("input")
    if isinstance(turns, str):
        reading.take("user", turns)
    else:
        reading.take_messages(turns)

    prompt_id = ""
    completion = request.get("prompt")
    if isinstance(completion, str | list | tuple):
        reading.take("user", completion)
    elif completion is not None:
        prompt_id = _text(fields(completion).get("id"))

    tool_names, forced_tool = (), ""
    schema, schema_name, is_json = None, "", False
    # Most requests have neither: one look instead of nine.
    if not _TELLING_KEYS.isdisjoint(request):
        tool_names, forced_tool = _tools(request)
        schema, schema_name, is_json = _response_schema(request)
        if forced_tool and schema is None:
            schema, schema_name, is_json = _forced_schema(request), forced_tool, True
    systems = reading.systems
    return Prompt(
        systems[0] if len(systems) == 1 else clip("\n".join(systems)),
        reading.user,
        reading.chars,
        reading.assistant_turns,
        tool_names,
        forced_tool,
        reading.has_tool_results,
        reading.attachments,
        schema,
        schema_name,
        is_json,
        prompt_id,
        messages is None and "embed" in _text(request.get("model")),
    )
