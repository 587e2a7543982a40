"""A policy file as text: where each key stands, a table read with the place in every complaint, a new version number.

`tomllib` gives values without positions. `key_spans` walks the same text, once it is known to be valid TOML, so that an
error can name the line a person has to look at.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from tierwise.errors import PolicyError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the root, such as `("rule", 0, "when", "task_type")`."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


@dataclass(frozen=True, slots=True)
class KeySpan:
    """Where a key or a table header stands, and where its value lies in the text."""

    line: int
    """Counted from 1."""
    value_start: int
    """Offset of the value's first character; of the header itself for a table."""
    value_end: int


def key_spans(text: str) -> dict[KeyPath, KeySpan]:
    """The place of every key and table header of `text`, which must be valid TOML."""
    walker = _Walker(text)
    walker.document()
    return walker.spans


class _Walker:
    """Walks valid TOML and notes places; values are skipped over, not understood."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.spans: dict[KeyPath, KeySpan] = {}
        self._list_lengths: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_space() < len(self.text):
            if self.text.startswith("[", self.position):
                table = self._header()
            else:
                self._key_value(table)

    def _skip_space(self) -> int:
        self.position = _match(_SPACE, self.text, self.position).end()
        return self.position

    def _note(self, path: KeyPath, start: int, value_start: int, *, implied_from: int) -> None:
        """Note `path`, and the tables above it from depth `implied_from` on, which `a.b.c` brings into being."""
        line = self.text.count("\n", 0, start) + 1
        for depth in range(implied_from, len(path) + 1):
            self.spans.setdefault(path[:depth], KeySpan(line, value_start, self.position))

    def _header(self) -> KeyPath:
        start = self.position
        is_list = self.text.startswith("[[", start)
        self.position += 2 if is_list else 1
        parts = self._key()
        path: KeyPath = ()
        for place, part in enumerate(parts):
            path += (part,)
            if is_list and place == len(parts) - 1:
                self._list_lengths[path] = self._list_lengths.get(path, 0) + 1
            if path in self._list_lengths:
                path += (self._list_lengths[path] - 1,)
        self.position = self.text.index("]", self.position) + (2 if is_list else 1)
        self._note(path, start, start, implied_from=1)
        return path

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip_space()
            quoted = _STRING.match(self.text, self.position)
            found = quoted or _match(_BARE_KEY, self.text, self.position)
            self.position = found.end()
            parts.append(tomllib.loads(f"key = {found[0]}")["key"] if quoted else found[0])
            if not self.text.startswith(".", self._skip_space()):
                return parts
            self.position += 1

    def _key_value(self, table: KeyPath) -> None:
        start = self.position
        path = table + tuple(self._key())
        self.position = self.text.index("=", self.position) + 1
        value_start = self._skip_space()
        self._value(path)
        self._note(path, start, value_start, implied_from=len(table) + 1)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.position]
        string = _STRING.match(self.text, self.position)
        if string:
            self.position = string.end()
        elif opening == "[":
            self._items(path, "]")
        elif opening == "{":
            self._items(path, "}")
        else:
            scalar = _match(_SCALAR, self.text, self.position)
            self.position += len(scalar[0].rstrip())

    def _items(self, path: KeyPath, closing: str) -> None:
        self.position += 1
        count = 0
        while not self.text.startswith(closing, self._skip_space()):
            if self.text[self.position] == ",":
                self.position += 1
            elif closing == "}":
                self._key_value(path)
            else:
                start = self.position
                self._value((*path, count))
                self._note((*path, count), start, start, implied_from=len(path) + 1)
                count += 1
        self.position += 1


def _match(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str]:
    found = pattern.match(text, position)
    if found is None:
        raise ValueError(f"not valid TOML at offset {position}")
    return found


def load_toml(text: str, *, origin: str) -> tuple[dict[str, Any], dict[KeyPath, KeySpan]]:
    """The values of `text`, and the place of each.

    Raises:
        PolicyError: the text is not TOML; the message names the line.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        detail = str(error)[: place.start()].rstrip() if place else str(error)
        raise PolicyError(f"{origin}, line {line}: not valid TOML: {detail}") from error
    return values, key_spans(text)


def with_version(text: str, version: int) -> str:
    """`text` with its `version` set to `version`, every comment and blank kept.

    A file without a version gets one as its first line.
    """
    span = key_spans(text).get(("version",))
    if span is None:
        return f"version = {version}\n{text}"
    return f"{text[: span.value_start]}{version}{text[span.value_end :]}"


def with_rule_key(text: str, place: int, key: str, value: str) -> str:
    """`text` with `key` of its rule at `place` set to `value`, every comment and blank kept.

    Args:
        place: of the rule in the file, from 0.
        value: as TOML.
    """
    spans = key_spans(text)
    if (span := spans.get(("rule", place, key))) is not None:
        return f"{text[: span.value_start]}{value}{text[span.value_end :]}"
    rule = spans[("rule", place)]
    if text.startswith("[[", rule.value_start):
        line_end = text.find("\n", rule.value_end)
        line_end = len(text) if line_end < 0 else line_end
        return f"{text[:line_end]}\n{key} = {value}{text[line_end:]}"
    return f"{text[: rule.value_start + 1]} {key} = {value}, {text[rule.value_start + 1 :]}"


class TableReader:
    """One TOML table, read key by key; every complaint names file, line, value and way out.

    Args:
        values: the table.
        path: where the table stands in the document.
        subject: how a complaint begins, such as `rule "cheap-summaries"`.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        origin: str,
        spans: Mapping[KeyPath, KeySpan],
        path: KeyPath = (),
        subject: str = "the policy",
    ) -> None:
        self.values = values
        self.origin = origin
        self.spans = spans
        self.path = path
        self.subject = subject

    def line(self, key: str | None = None) -> int:
        """The line of `key`, of its table's header when the key is missing, else 1."""
        path = self.path if key is None else (*self.path, key)
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans[path].line if path else 1

    def fail(self, message: str, key: str | None = None) -> NoReturn:
        """Refuse the file: `message` continues the sentence that the subject begins."""
        raise PolicyError(f"{self.origin}, line {self.line(key)}: {self.subject} {message}")

    def only(self, known: Collection[str], *, what: str = "key") -> None:
        """Refuse any key that is not in `known`."""
        for key in self.values:
            if key not in known:
                self.fail(f"has an unknown {what} {key!r}; known: {', '.join(sorted(known))}", key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if value is None:
            self.fail(f"has no {key!r}; it needs a text")
        if not isinstance(value, str) or not value.strip() or len(value) > 200:
            self.fail(f"has {key} = {value!r}; a text of 1 to 200 characters is needed", key)
        return value

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        value = self.values.get(key, default)
        if value not in allowed:
            self.fail(f"has {key} = {value!r}; allowed: {', '.join(allowed)}", key)
        return cast("str", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts; empty when the key is missing, which an empty list may not be."""
        if key not in self.values:
            return ()
        value = self.values[key]
        items: Sequence[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
        if not items or not all(isinstance(item, str) and item.strip() for item in items):
            self.fail(f"has {key} = {value!r}; a text or a list of texts is needed", key)
        return tuple(items)

    def number(self, key: str, default: float, *, low: float, high: float, low_allowed: bool = True) -> float:
        """A number in [low, high], or in (low, high]."""
        value = self.values.get(key, default)
        inside = is_number(value) and (low <= value if low_allowed else low < value) and value <= high
        if not inside:
            bounds = f"from {low:g}" if low_allowed else f"above {low:g}"
            limit = f"a number {bounds} to {high:g}" if math.isfinite(high) else f"a number {bounds}"
            self.fail(f"has {key} = {value!r}; {limit} is needed", key)
        return float(value)

    def whole(self, key: str, default: int | None = None) -> int | None:
        value = self.values.get(key, default)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            self.fail(f"has {key} = {value!r}; a whole number from 0 is needed", key)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.fail(f"has {key} = {value!r}; true or false is needed", key)
        return value

    def table(self, key: str, *, subject: str | None = None) -> TableReader:
        """The table under `key`; an empty one when it is missing."""
        value: Any = self.values.get(key, {})
        if not isinstance(value, Mapping):
            self.fail(f"has {key} = {value!r}; a table is needed", key)
        return TableReader(
            value,
            origin=self.origin,
            spans=self.spans,
            path=(*self.path, key),
            subject=subject or f"{self.subject} [{key}]",
        )

    def tables(self, key: str) -> list[TableReader]:
        """The tables of an array such as `[[rule]]`, in the order of the file."""
        value: Any = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.fail(f"has {key} that is not a list of tables; each one begins with [[{key}]]", key)
        return [
            TableReader(
                item,
                origin=self.origin,
                spans=self.spans,
                path=(*self.path, key, place),
                subject=f"{key} number {place + 1}",
            )
            for place, item in enumerate(value)
        ]


def is_number(value: Any) -> bool:
    """Whether a TOML value is a finite number; `true` is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
