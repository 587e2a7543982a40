"""What the shape of a response schema says about the task, without following references or running the user's code."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, cast, get_args, get_origin

from tierwise.tasks.prompt import fields, listed

_MAX_FIELDS = 32
_WORD = re.compile(r"[a-z]+")

_COMMENTARY_WORDS = (
    "reasoning reason reasons rationale explanation justification thought thoughts thinking analysis confidence "
    "comment comments notes evidence steps feedback critique"
)
_COMMENTARY = frozenset(_COMMENTARY_WORDS.split())
"""Fields that explain an answer; what the answer is stands in the others."""

_TELLING = {
    "answer": "question_answering_open",
    "citations": "question_answering_context",
    "code": "code_generation",
    "entities": "extraction",
    "query": "code_generation",
    "rating": "judge",
    "score": "judge",
    "sources": "question_answering_context",
    "sql": "code_generation",
    "summary": "summarization",
    "translation": "translation",
    "verdict": "judge",
    "winner": "judge",
}
"""Field names that name their task."""


class SchemaShape(NamedTuple):
    """Counts over the fields of a schema, commentary fields left out."""

    label_fields: int
    """Fields with a fixed set of values: enum, const or boolean."""
    value_fields: int
    """Fields that hold text, numbers, lists or objects."""
    telling_tasks: tuple[str, ...]
    """Tasks named by field names."""


def _is_label(declared: Mapping[str, Any]) -> bool:
    if "enum" in declared or "const" in declared or declared.get("type") == "boolean":
        return True
    options = listed(declared.get("anyOf"))
    return bool(options) and all(
        (held := fields(option)).get("type") in ("null", "boolean") or "enum" in held or "const" in held
        for option in options
    )


def _is_label_annotation(annotation: object) -> bool:
    if get_origin(annotation) is Literal or annotation is bool:
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, enum.Enum)
    members = [member for member in get_args(annotation) if member is not type(None)]
    return get_origin(annotation) is not list and len(members) == 1 and _is_label_annotation(members[0])


def _declared_fields(schema: object) -> list[tuple[str, bool]]:
    """(name, is it a label) of each top-level field; of the items' fields when the schema is one list of objects."""
    if isinstance(schema, type):
        held = vars(schema)
        models = held.get("__pydantic_fields__") or held.get("model_fields") or held.get("__annotations__")
        return [
            (name, _is_label_annotation(getattr(declared, "annotation", declared)))
            for name, declared in islice(fields(models).items(), _MAX_FIELDS)
        ]
    properties = fields(fields(schema).get("properties"))
    if len(properties) == 1:
        only = fields(next(iter(properties.values())))
        properties = fields(fields(only.get("items")).get("properties")) or properties
    named = cast("Mapping[object, object]", properties)
    return [
        (name, _is_label(fields(declared)))
        for name, declared in islice(named.items(), _MAX_FIELDS)
        if isinstance(name, str)
    ]


def read_schema(schema: object) -> SchemaShape | None:
    """The shape of a JSON schema or of a pydantic, dataclass or TypedDict class; None when it declares no field."""
    label_fields = value_fields = 0
    telling_tasks: list[str] = []
    for name, is_label in _declared_fields(schema):
        words = _WORD.findall(name.lower())
        if not _COMMENTARY.isdisjoint(words):
            continue
        if is_label:
            label_fields += 1
        else:
            value_fields += 1
        telling_tasks.extend(_TELLING[word] for word in words[-1:] if word in _TELLING)
    if not label_fields and not value_fields:
        return None
    return SchemaShape(label_fields, value_fields, tuple(telling_tasks))
