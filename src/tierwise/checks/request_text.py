"""What a person wrote in a request, whatever the API, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

MAX_CHARS = 1_000_000
_MAX_PARTS = 4_000
_TEXT_PARTS = ("text", "input_text", "output_text", None)


class RequestText(NamedTuple):
    """The texts of a request."""

    texts: tuple[str, ...]
    """Instructions, messages and results of tools, oldest first."""
    instruction: str
    """The last message of the user, and the instructions beside the conversation."""
    whole: bool
    """Whether nothing is missing from `texts`: no image, no file, no earlier turn kept by the provider."""


def read_texts(body: Mapping[str, Any]) -> RequestText:
    """The texts of a request body."""
    instructions = [text for key in ("system", "instructions") for text, _ in _texts(body.get(key))]
    texts, whole, last = list(instructions), True, ""
    turns = next((body[key] for key in ("messages", "input", "prompt") if key in body), None)
    if isinstance(turns, str):
        texts.append(turns)
        last = turns
    elif isinstance(turns, list | tuple):
        for turn in cast("list[Any]", turns):
            role = cast("Mapping[str, Any]", turn).get("role") if isinstance(turn, Mapping) else "user"
            said: list[str] = []
            for text, is_text in _texts(turn):
                said.append(text)
                whole = whole and is_text
            texts += said
            if role == "user" and any(said):
                last = "\n".join(said)
            elif role in ("system", "developer"):
                instructions += said
    else:
        whole = False
    if any(body.get(key) for key in ("previous_response_id", "conversation", "container")):
        whole = False
    if sum(map(len, texts)) > MAX_CHARS or len(texts) > _MAX_PARTS:
        whole = False
        texts = _first_chars(texts[:_MAX_PARTS])
    return RequestText(tuple(texts), "\n".join([*instructions, last])[:MAX_CHARS], whole)


def _first_chars(texts: list[str]) -> list[str]:
    left, kept = MAX_CHARS, list[str]()
    for text in texts:
        kept.append(text[:left])
        left -= len(kept[-1])
    return kept


def _texts(value: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """(text, True) for each text, ("", False) for what is something else."""
    if isinstance(value, str):
        yield value, True
    elif isinstance(value, list | tuple):
        for part in cast("list[Any]", value):
            yield from _texts(part, depth)
    elif isinstance(value, Mapping) and depth < 4:
        part = cast("Mapping[str, Any]", value)
        kind = part.get("type")
        if kind in _TEXT_PARTS and isinstance(text := part.get("text"), str):
            yield text, True
        elif "content" in part or "output" in part:
            # A message, or the result of a tool.
            yield from _texts(part.get("content", part.get("output")), depth + 1)
        elif kind not in ("function_call", "tool_use", "thinking", "reasoning", "message", "refusal"):
            yield "", "role" in part
    elif value is not None:
        yield "", False
