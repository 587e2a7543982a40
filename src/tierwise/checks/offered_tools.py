"""The tools a request offers and which of them it insists on, whatever the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast


class OfferedTools(NamedTuple):
    """What a request says about tools."""

    schemas: Mapping[str, Any]
    """By name, the JSON Schema of its arguments; None for one whose arguments are not JSON, or not described."""
    forced: frozenset[str] | None
    """The answer has to call one of these; all that are offered when it is up to the model which. None: it need not."""
    forbidden: bool
    """Whether no tool may be called."""
    one_at_most: bool
    """Whether calls in parallel were ruled out."""
    all_named: bool
    """Whether `schemas` has all of them: not where a hosted tool brings its own."""


def read_tools(body: Mapping[str, Any]) -> OfferedTools:
    """The tools of a request body of any API."""
    schemas: dict[str, Any] = {}
    all_named = True
    for tool in _mappings(body.get("tools")):
        inner = _mapping(tool.get("function")) or tool
        name, kind = inner.get("name"), tool.get("type", "custom")
        if isinstance(name, str) and kind in ("function", "custom"):
            schema = inner.get("parameters", inner.get("input_schema"))
            schemas[name] = schema if isinstance(schema, Mapping) else None
        elif kind == "custom" and isinstance(name := _mapping(tool.get("custom")).get("name"), str):
            schemas[name] = None
        else:
            all_named = False
    for function in _mappings(body.get("functions")):
        if isinstance(name := function.get("name"), str):
            schemas[name] = function.get("parameters")
    choice = body.get("tool_choice", body.get("function_call"))
    forced, forbidden = _choice(choice, frozenset(schemas))
    return OfferedTools(
        schemas,
        forced,
        forbidden,
        body.get("parallel_tool_calls") is False or _mapping(choice).get("disable_parallel_tool_use") is True,
        all_named,
    )


def _choice(choice: Any, offered: frozenset[str]) -> tuple[frozenset[str] | None, bool]:
    """(what has to be called, whether nothing may be)."""
    said = _mapping(choice)
    kind = choice if isinstance(choice, str) else said.get("type")
    if kind == "none":
        return None, True
    if kind in ("required", "any"):
        return offered, False
    if kind == "allowed_tools":
        allowed = _mapping(said.get("allowed_tools")) or said
        if allowed.get("mode") != "required":
            return None, False
        named = (_name(tool) for tool in _mappings(allowed.get("tools")))
        return frozenset(name for name in named if name is not None), False
    if said and (name := _name(said)) is not None:
        return frozenset({name}), False
    return None, False


def _name(choice: Mapping[str, Any]) -> str | None:
    inner = _mapping(choice.get("function")) or _mapping(choice.get("custom")) or choice
    name = inner.get("name")
    return name if isinstance(name, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    listed = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
    return (item for item in map(_mapping, listed) if item)
