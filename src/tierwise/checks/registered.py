"""What users registered for the answers of a use case: schemas, and functions that know a right answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, UserCheck

_schemas: dict[str, Any] = {}
_functions: dict[str, tuple[UserCheck, ...]] = {}


def register_schema(use_case: str, schema: Any) -> None:
    """Say what the text of every answer of a use case has to be, where the request itself does not say so.

    Args:
        use_case: its name or id. The last schema registered for it counts.
        schema: a JSON Schema as a dict, or a pydantic model class.
    """
    _schemas[use_case] = schema


def register_function(
    use_case: str, name: str, function: Callable[[dict[str, Any], Answer], bool | float | None]
) -> None:
    """Have the `contradiction` check ask `function`; one of the same name is replaced."""
    others = tuple(other for other in _functions.get(use_case, ()) if other.name != name)
    _functions[use_case] = (*others, UserCheck(name, function))


def unregister(use_case: str) -> None:
    """Forget what was registered for a use case."""
    _schemas.pop(use_case, None)
    _functions.pop(use_case, None)


def context_of(
    *,
    use_case_id: str,
    use_case_name: str | None = None,
    task_type: str | None = None,
    samples: tuple[Answer, ...] = (),
) -> CheckContext:
    """What the checks of a call may know: its task type, and what was registered for its use case."""
    keys = (use_case_id,) if use_case_name in (None, use_case_id) else (use_case_id, use_case_name)
    return CheckContext(
        task_type=task_type,
        schema=next((_schemas[key] for key in reversed(keys) if key in _schemas), None),
        functions=tuple(check for key in keys for check in _functions.get(key, ())),
        samples=samples,
    )
