"""TOML out: the standard library reads it and does not write it.

Covers what a policy holds: text, numbers, booleans, dates, lists and tables. `tomllib.loads(to_toml(d)) == d`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_TO_ESCAPE = re.compile(r'[\x00-\x1f\x7f"\\]')


def to_toml(table: Mapping[str, Any], *, path: tuple[str, ...] = ()) -> str:
    """`table` as TOML text: plain values first, then sub-tables under their own headers, then lists of tables."""
    lines: list[str] = []
    below: list[str] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and not isinstance(value, Inline):
            below.append(f"\n[{_dotted((*path, name))}]\n{to_toml(value, path=(*path, name))}")
        elif _is_table_list(value):
            header = f"\n[[{_dotted((*path, name))}]]\n"
            below.extend(
                header + to_toml(item, path=(*path, name)) for item in cast("Sequence[Mapping[str, Any]]", value)
            )
        else:
            lines.append(f"{_key(name)} = {_value(value)}\n")
    return "".join(lines) + "".join(below)


def _is_table_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _dotted(path: Sequence[str]) -> str:
    return ".".join(_key(part) for part in path)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text) + '"'


def inline_table(table: Mapping[str, Any]) -> str:
    """`table` on one line: `{ task_type = ["extraction"], max_input_tokens = 8000 }`."""
    if not table:
        return "{}"
    return "{ " + ", ".join(f"{_key(name)} = {_value(value)}" for name, value in table.items()) + " }"


class Inline(dict[str, Any]):
    """A table that `to_toml` keeps on one line."""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, float):
        return str(value)  # nan, inf and -inf are spelled alike in both languages
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return inline_table(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"TOML has no value for a {type(value).__name__}")
