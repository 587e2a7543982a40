from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from tierwise.tasks.schema_shape import SchemaShape, read_schema


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_fields_with_fixed_values_are_labels():
    """Enums, constants, booleans and optional enums are labels; text and numbers are values."""
    shape = read_schema(
        schema(
            queue={"type": "string", "enum": ["billing", "sales"]},
            urgent={"type": "boolean"},
            tone={"anyOf": [{"enum": ["angry"]}, {"type": "null"}]},
            vendor={"type": "string"},
            total={"type": "number"},
        )
    )

    assert shape == SchemaShape(label_fields=3, value_fields=2, telling_tasks=())


def test_commentary_fields_do_not_count():
    """A schema of one label and its reasoning asks for a label."""
    shape = read_schema(schema(reasoning={"type": "string"}, label={"enum": ["a", "b"]}, confidence={"type": "number"}))

    assert shape == SchemaShape(label_fields=1, value_fields=0, telling_tasks=())


def test_field_names_tell_the_task():
    """A field called summary holds a summary."""
    shape = read_schema(schema(short_summary={"type": "string"}))

    assert shape == SchemaShape(label_fields=0, value_fields=1, telling_tasks=("summarization",))


def test_a_list_of_objects_is_read_through():
    """The fields of the items count when the schema is one list."""
    shape = read_schema(
        schema(people={"type": "array", "items": schema(name={"type": "string"}, age={"type": "integer"})})
    )

    assert shape == SchemaShape(label_fields=0, value_fields=2, telling_tasks=())


class Mood(enum.Enum):
    GOOD = "good"


class FieldInfo:
    def __init__(self, annotation: object) -> None:
        self.annotation = annotation


class Model:
    """What pydantic leaves on a model class."""

    __pydantic_fields__: ClassVar = {
        "mood": FieldInfo(Mood | None),
        "kind": FieldInfo(Literal["a", "b"]),
        "names": FieldInfo(list[str]),
    }


def test_pydantic_models_are_read_by_their_fields():
    """The class that the SDK builds a schema from shows its labels: enums, literals and booleans, optional or not."""
    assert read_schema(Model) == SchemaShape(label_fields=2, value_fields=1, telling_tasks=())


@dataclass
class Score:
    score: float
    passed: bool


def test_annotations_kept_as_text_are_values():
    """Postponed annotations cannot be read without running code, so they count as values."""
    assert read_schema(Score) == SchemaShape(label_fields=0, value_fields=2, telling_tasks=("judge",))


@pytest.mark.parametrize("nothing", [None, {}, "text", 3, [], {"properties": []}, {"properties": {}}, int])
def test_no_fields_is_no_shape(nothing: object):
    """What declares no field says nothing."""
    assert read_schema(nothing) is None


def test_a_schema_that_holds_itself_is_read_once():
    """References are not followed, so a cycle costs nothing."""
    cyclic = schema(name={"type": "string"}, parent={})
    cyclic["properties"]["parent"] = cyclic

    assert read_schema(cyclic) == SchemaShape(label_fields=0, value_fields=2, telling_tasks=())
