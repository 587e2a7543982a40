"""Whether a value fits a JSON Schema, for the vocabulary that the providers' structured outputs accept, and some more.

A package that knows all of JSON Schema costs more to import than tierwise does. What is not known here (`pattern`,
whose expressions may take for ever and cannot be stopped; `format`, which the standard has as an annotation; remote
references; `unevaluated*`) is taken as satisfied, and never makes a negation or an exclusive choice fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard, cast

MAX_DEPTH = 100
"""Of schemas applied within schemas, references followed included."""
MAX_STEPS = 200_000
"""Schemas applied in all: a reference may multiply them."""
_STEPS_A_LOOK = 512

_NOT_KNOWN = (
    "pattern $dynamicRef $recursiveRef unevaluatedProperties unevaluatedItems contentSchema propertyNames contains "
    "dependentSchemas dependentRequired dependencies patternProperties"
)
_UNKNOWN_KEYWORDS = frozenset(_NOT_KNOWN.split())

Schema = Any
"""A mapping, or True or False."""


class Uncheckable(Exception):
    """It cannot be told whether the value fits: it or the schema is too deep, or takes too many steps."""


def violation(value: Any, schema: Schema, look: Callable[[], None] = lambda: None) -> str | None:
    """The first thing about `value` that the schema does not allow, as `$.items[2].price: number expected, string
    found`; None when it fits. No part of the value is quoted, but for the names of fields that the schema has.

    Args:
        look: called every so often, to raise when time is up.

    Raises:
        Uncheckable: past the bounds above.
    """
    return _Validation(schema, look).violation(value, schema, "$", 0)


class _Validation:
    """One run: the schema that references refer to, and the steps taken so far."""

    def __init__(self, root: Schema, look: Callable[[], None]) -> None:
        self._root = root
        self._look = look
        self._steps = 0
        self._unknown = 0
        """Keywords met so far that were taken as satisfied."""

    def violation(self, value: Any, schema: Schema, path: str, depth: int) -> str | None:
        self._steps += 1
        if self._steps % _STEPS_A_LOOK == 0:
            self._look()
        if depth > MAX_DEPTH:
            raise Uncheckable(f"nested more than {MAX_DEPTH} deep")
        if self._steps > MAX_STEPS:
            raise Uncheckable(f"more than {MAX_STEPS:,} steps")
        if schema is False:
            return f"{path}: not allowed"
        if not isinstance(schema, Mapping):
            return None
        held = cast("Mapping[str, Any]", schema)
        if not _UNKNOWN_KEYWORDS.isdisjoint(held):
            self._unknown += 1
        found = _typed(value, held, path)
        if found is None and isinstance(value, dict):
            found = self._object(cast("dict[str, Any]", value), held, path, depth)
        elif found is None and isinstance(value, list):
            found = self._array(cast("list[Any]", value), held, path, depth)
        if found is None and (reference := held.get("$ref")) is not None:
            found = self._referred(value, reference, path, depth)
        return found or self._combined(value, held, path, depth)

    def _object(self, value: dict[str, Any], schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        for name in _sequence(schema.get("required")):
            if isinstance(name, str) and name not in value:
                return f"{path}: field {name!r} is missing"
        for keyword, is_wrong in (("minProperties", _fewer), ("maxProperties", _more)):
            if is_wrong(len(value), schema.get(keyword)):
                return f"{path}: {len(value)} fields, {keyword} is {schema[keyword]}"
        properties = schema.get("properties")
        declared = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
        for name, inner in declared.items():
            if name in value and (found := self.violation(value[name], inner, f"{path}.{name}", depth + 1)):
                return found
        # With patterns unread, any field may be one that a pattern allows.
        others = schema.get("additionalProperties", True) if "patternProperties" not in schema else True
        if others is True:
            return None
        for name, member in value.items():
            if name in declared:
                continue
            if others is False:
                return f"{path}: a field that the schema does not have"
            if found := self.violation(member, others, f"{path}.*", depth + 1):
                return found
        return None

    def _array(self, value: list[Any], schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        for keyword, is_wrong in (("minItems", _fewer), ("maxItems", _more)):
            if is_wrong(len(value), schema.get(keyword)):
                return f"{path}: {len(value)} items, {keyword} is {schema[keyword]}"
        if schema.get("uniqueItems") is True and not _all_differ(value):
            return f"{path}: items repeat"
        items = schema.get("items", True)
        first = _sequence(schema.get("prefixItems"))
        if isinstance(items, list):
            # As drafts before 2020-12 write a tuple.
            first, items = items, schema.get("additionalItems", True)
        for at, member in enumerate(value):
            inner = first[at] if at < len(first) else items
            if inner is not True and (found := self.violation(member, inner, f"{path}[{at}]", depth + 1)):
                return found
        return None

    def _referred(self, value: Any, reference: Any, path: str, depth: int) -> str | None:
        target = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            self._unknown += 1
            return None
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and name in target:
                target = cast("Mapping[str, Any]", target)[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = cast("list[Any]", target)[int(name)]
            else:
                self._unknown += 1
                return None
        return self.violation(value, target, path, depth + 1)

    def _combined(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        for inner in _sequence(schema.get("allOf")):
            if found := self.violation(value, inner, path, depth + 1):
                return found
        if choices := _sequence(schema.get("anyOf")):
            found = [self.violation(value, inner, path, depth + 1) for inner in choices]
            if all(found):
                return _best(found, path)
        if choices := _sequence(schema.get("oneOf")):
            known = self._unknown
            found = [self.violation(value, inner, path, depth + 1) for inner in choices]
            if all(found):
                return _best(found, path)
            if found.count(None) > 1 and self._unknown == known:
                return f"{path}: fits more than one of the choices"
        if "not" in schema:
            known = self._unknown
            if self.violation(value, schema["not"], path, depth + 1) is None and self._unknown == known:
                return f"{path}: not allowed"
        if "if" in schema:
            known = self._unknown
            fits = self.violation(value, schema["if"], path, depth + 1) is None
            if self._unknown == known and (branch := schema.get("then" if fits else "else", True)) is not True:
                return self.violation(value, branch, path, depth + 1)
        return None


def _best(found: Sequence[str | None], path: str) -> str:
    """What to say of a value that fits no choice: the only choice's own finding, or that it fits none."""
    return next(iter(found)) or "" if len(found) == 1 else f"{path}: fits none of the {len(found)} choices"


# --- values -----------------------------------------------------------------------------------------------------------


def _typed(value: Any, schema: Mapping[str, Any], path: str) -> str | None:
    """What a value by itself, without its members, does not allow."""
    kinds = schema.get("type")
    if kinds is not None:
        allowed = [kinds] if isinstance(kinds, str) else _sequence(kinds)
        known = [kind for kind in allowed if isinstance(kind, str) and kind in _IS]
        if len(known) == len(allowed) and not any(_IS[kind](value) for kind in known):
            return f"{path}: {' or '.join(known)} expected, {_kind(value)} found"
    if "enum" in schema and not any(_equal(value, one) for one in _sequence(schema["enum"])):
        return f"{path}: not one of the {len(_sequence(schema['enum']))} values allowed"
    if "const" in schema and not _equal(value, schema["const"]):
        return f"{path}: not the one value allowed"
    if isinstance(value, str):
        for keyword, is_wrong in (("minLength", _fewer), ("maxLength", _more)):
            if is_wrong(len(value), schema.get(keyword)):
                return f"{path}: {len(value)} characters, {keyword} is {schema[keyword]}"
    elif _is_number(value):
        return _ranged(value, schema, path)
    return None


def _ranged(value: float, schema: Mapping[str, Any], path: str) -> str | None:
    for keyword, is_wrong in _RANGES:
        limit = schema.get(keyword)
        if _is_number(limit) and is_wrong(value, limit):
            return f"{path}: {keyword} is {limit}"
    step = schema.get("multipleOf")
    if _is_number(step) and step > 0:
        # As a quotient: the remainder of two floats is off by what neither can represent.
        if isinstance(value, int) and isinstance(step, int):
            is_multiple = value % step == 0
        else:
            try:
                is_multiple = float(value / step).is_integer()
            except OverflowError:
                return None
        if not is_multiple:
            return f"{path}: multipleOf is {step}"
    return None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_IS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

_RANGES: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    ("minimum", lambda value, limit: value < limit),
    ("maximum", lambda value, limit: value > limit),
    ("exclusiveMinimum", lambda value, limit: value <= limit),
    ("exclusiveMaximum", lambda value, limit: value >= limit),
)


def _kind(value: Any) -> str:
    return next((name for name, is_kind in _IS.items() if name != "integer" and is_kind(value)), "something else")


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: Python's, but True is not 1."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        mine, theirs = cast("dict[str, Any]", one), cast("Mapping[str, Any]", other)
        return mine.keys() == theirs.keys() and all(_equal(member, theirs[name]) for name, member in mine.items())
    if isinstance(one, list) and isinstance(other, list | tuple):
        ours, others = cast("list[Any]", one), cast("Sequence[Any]", other)
        return len(ours) == len(others) and all(map(_equal, ours, others))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _all_differ(items: list[Any]) -> bool:
    scalars = {(isinstance(item, bool), item) for item in items if not isinstance(item, dict | list)}
    nested = [item for item in items if isinstance(item, dict | list)]
    if len(nested) > MAX_DEPTH:
        raise Uncheckable(f"more than {MAX_DEPTH} nested items that must differ")
    return len(scalars) + len(nested) == len(items) and not any(
        _equal(item, other) for at, item in enumerate(nested) for other in nested[:at]
    )


def _fewer(count: int, limit: Any) -> bool:
    return _is_number(limit) and count < limit


def _more(count: int, limit: Any) -> bool:
    return _is_number(limit) and count > limit


def _sequence(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
