"""Named queries: the files in `store/queries/`, and how their parameters are bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from tierwise.errors import QueryError

FILTERS: Final = frozenset({"service", "tenant", "model", "task_type", "use_case"})
"""Parameters that take one text or several."""
TIMES: Final = frozenset({"since", "until"})
"""Parameters that take an aware datetime or nanoseconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def names() -> list[str]:
    """Every named query."""
    folder = files("tierwise.store") / "queries"
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))


@cache
def text(name: str) -> str:
    """The SQL of a named query.

    Raises:
        QueryError: there is none of that name.
    """
    known = names()
    if name not in known:
        raise QueryError(f"no query is named {name!r}; known queries: {', '.join(known)}")
    return (files("tierwise.store") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def bind(name: str, parameters: Mapping[str, Any], *, wanted: frozenset[str]) -> dict[str, Any]:
    """The values to bind for the `$parameters` a query wants: what is not given is NULL.

    Raises:
        QueryError: a parameter the query does not have, or a value of no use.
    """
    unknown = sorted(parameters.keys() - wanted)
    if unknown:
        raise QueryError(
            f"query {name!r} has no parameter {unknown[0]!r}; its parameters: {', '.join(sorted(wanted)) or 'none'}"
        )
    return {key: portable(key, parameters.get(key)) for key in wanted}


def portable(key: str, value: Any) -> Any:
    """A parameter's value in the form that goes over a wire and into the engine: JSON's own types."""
    if value is None:
        return None
    if key in TIMES:
        return _nanoseconds(key, value)
    if key in FILTERS:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence | AbstractSet) or not all(isinstance(item, str) for item in values):
            raise QueryError(f"parameter {key!r} is {value!r}; a text or a sequence of texts is needed")
        return list(values)
    if isinstance(value, str | int | float):
        return value
    raise QueryError(f"parameter {key!r} is {value!r}; a text or a number is needed")


def _nanoseconds(key: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // timedelta(microseconds=1) * 1000
    raise QueryError(f"parameter {key!r} is {value!r}; an aware datetime or nanoseconds since 1970 are needed")
