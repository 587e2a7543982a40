from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierwise.checks.json_schema import MAX_DEPTH, Uncheckable, violation

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-5, 5, allow_nan=False).map(lambda number: round(number, 1))
    | st.sampled_from(["", "a", "bb", "1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def optional(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


LEAVES = st.booleans() | optional(
    type=TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
    enum=st.lists(VALUES, min_size=1, max_size=3),
    const=SCALARS,
    minimum=st.integers(-3, 3),
    maximum=st.integers(-3, 3),
    exclusiveMinimum=st.integers(-3, 3),
    exclusiveMaximum=st.integers(-3, 3),
    multipleOf=st.integers(1, 3),
    minLength=st.integers(0, 2),
    maxLength=st.integers(0, 2),
    minItems=st.integers(0, 2),
    maxItems=st.integers(0, 2),
    uniqueItems=st.booleans(),
    minProperties=st.integers(0, 2),
    maxProperties=st.integers(0, 2),
    required=st.lists(NAMES, max_size=2, unique=True),
)


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    return optional(
        type=TYPES,
        required=st.lists(NAMES, max_size=2, unique=True),
        properties=st.dictionaries(NAMES, inner, max_size=3),
        additionalProperties=inner,
        items=inner,
        prefixItems=several,
        anyOf=several,
        oneOf=several,
        allOf=several,
        **{"not": inner, "if": inner, "then": inner, "else": inner, "$ref": st.just("#/$defs/x")},
    )


SCHEMAS = st.recursive(LEAVES, branches, max_leaves=8)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, SCHEMAS, LEAVES)
def test_it_agrees_with_jsonschema(value: Any, schema: Any, definition: Any) -> None:
    """On the vocabulary it knows, a value fits exactly when the reference implementation of 2020-12 says so."""
    if isinstance(schema, dict):
        schema = {**schema, "$defs": {"x": definition}}

    found = violation(value, schema)

    assert (found is None) == jsonschema.Draft202012Validator(schema).is_valid(value), found


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        (
            {"a": [1, "x"]},
            {"properties": {"a": {"items": {"type": "integer"}}}},
            "$.a[1]: integer expected, string found",
        ),
        ({}, {"required": ["total"]}, "$: field 'total' is missing"),
        ({"secret": 1}, {"additionalProperties": False}, "$: a field that the schema does not have"),
        ({"secret": 1}, {"additionalProperties": {"type": "null"}}, "$.*: null expected, number found"),
        ("x", {"enum": ["a", "b"]}, "$: not one of the 2 values allowed"),
        (True, {"const": 1}, "$: not the one value allowed"),
        (7, {"maximum": 5}, "$: maximum is 5"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "$: fits none of the 2 choices"),
    ],
)
def test_what_is_wrong_is_said_without_quoting_the_answer(value: Any, schema: Any, said: str) -> None:
    """A violation names the place and the rule, and never a value or a field that the schema does not name."""
    assert violation(value, schema) == said


def test_what_is_not_known_makes_nothing_fail() -> None:
    """Keywords that are not known are taken as satisfied, under a negation and an exclusive choice, too."""
    unknown = {"pattern": "^a$"}

    assert violation("b", unknown) is None
    assert violation("b", {"not": unknown}) is None
    assert violation("b", {"oneOf": [unknown, unknown]}) is None
    assert violation("b", {"if": unknown, "then": False}) is None
    assert violation("b", {"$ref": "https://example.com/schema"}) is None


def test_a_recursive_schema_is_followed() -> None:
    """A reference to the whole schema describes nested values of any depth."""
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}

    assert violation({"next": {"next": {}}}, schema) is None
    assert violation({"next": {"next": {"x": 1}}}, schema) == "$.next.next: a field that the schema does not have"


def test_a_schema_that_refers_to_itself_ends() -> None:
    """A reference that leads back to itself is given up, not followed for ever."""
    with pytest.raises(Uncheckable):
        violation(1, {"$ref": "#"})


def test_a_schema_that_multiplies_ends() -> None:
    """References that double at each step are given up after a bounded number of steps."""
    definitions: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(min(40, MAX_DEPTH // 2))
    }
    began_s = time.thread_time()

    with pytest.raises(Uncheckable):
        violation(1, {"$ref": "#/$defs/d0", "$defs": definitions})

    assert time.thread_time() - began_s < 5


def test_it_looks_up_from_its_work() -> None:
    """A long validation asks, every so often, whether there is time left."""

    def no_time() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        violation([1] * 10_000, {"items": {"type": "integer"}}, no_time)
