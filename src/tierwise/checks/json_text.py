"""JSON as a model wrote it: parsed within bounds, and whether it breaks off before its end."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

MAX_JSON_CHARS = 2_000_000
"""Longer texts are not parsed: that cannot be interrupted."""

_MAX_FENCES = 200
_JSON_MARKS = ("json", "json5", "jsonc")
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?P<close>"?)|[\[{\]}]', re.DOTALL)
_OPENING_FENCE = re.compile(r"[ \t]*(?:```|~~~)\w*[ \t]*\r?\n")


class Parsed(NamedTuple):
    """A JSON text's value, or why there is none."""

    value: Any
    error: str = ""
    """Why the text is not JSON; empty when it is, or when nothing is known."""
    unknown: str = ""
    """Why it cannot be told whether the text is JSON."""


def parse(text: str, *, line_breaks: bool = False) -> Parsed:
    """Parse JSON: no NaN, no comments, no fence around it.

    Args:
        line_breaks: allow them, and other control characters, as they are in strings. The standard does not, but models
            that write JSON from a prompt alone do it most of the time.
    """
    if len(text) > MAX_JSON_CHARS:
        return Parsed(None, unknown=f"longer than {MAX_JSON_CHARS:,} characters")
    try:
        return Parsed((_LENIENT if line_breaks else _STRICT).decode(text))
    except json.JSONDecodeError as error:
        return Parsed(None, f"malformed JSON at character {error.pos} of {len(text)}: {error.msg}")
    except RecursionError:
        return Parsed(None, unknown="nested too deeply")
    except ValueError:
        # A constant that JSON has not, or a number of more digits than Python converts.
        return Parsed(None, "malformed JSON: not a JSON number")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


_STRICT = json.JSONDecoder(parse_constant=_refuse)
_LENIENT = json.JSONDecoder(parse_constant=_refuse, strict=False)


def unfenced(text: str) -> str:
    """What the only ``` block marked json holds; without one, what an only and unmarked block does; else `text`."""
    if not 2 <= text.count("```") <= _MAX_FENCES or len(text) > MAX_JSON_CHARS:
        return text
    # Line by line: an expression that pairs the fences takes quadratic time where they do not pair.
    lines = text.splitlines(keepends=True)
    fences = [at for at, line in enumerate(lines) if line.lstrip().startswith("```")]
    blocks: dict[str, list[tuple[int, int]]] = {}
    for opening, closing in zip(fences[::2], fences[1::2], strict=False):
        if lines[closing].strip() != "```":
            return text
        mark = lines[opening].strip()[3:].strip().lower()
        blocks.setdefault("json" if mark in _JSON_MARKS else mark, []).append((opening, closing))
    found = blocks.get("json") or (blocks.get("", []) if len(blocks) == 1 else [])
    return "".join(lines[found[0][0] + 1 : found[0][1]]) if len(found) == 1 else text


def looks_like_json(text: str) -> bool:
    """Whether a text sets out to be a JSON object or list."""
    return text.lstrip()[:1] in ("{", "[")


def breaks_off(text: str) -> bool:
    """Whether a text that set out to be JSON ends inside a string, an object or a list."""
    depth = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth <= 0:
                return False
        elif not token["close"]:
            return True
    return depth > 0


def has_open_fence(text: str) -> bool:
    """Whether a block that a fence opened is not closed by another."""
    return len(_FENCE_LINE.findall(text)) % 2 == 1


def after_opening_fence(text: str) -> str:
    """The text behind the fence that it begins with; the text itself if it does not."""
    found = _OPENING_FENCE.match(text.lstrip())
    return text.lstrip()[found.end() :] if found else text
