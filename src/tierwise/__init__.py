"""OpenTelemetry-native cost, task type and evidence-backed model routing for LLM applications.

The public names of the library; each is imported when it is first used, so that `import tierwise` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from tierwise import checks, prices, tasks
    from tierwise.context import use_case
    from tierwise.errors import (
        CollectorUnavailable,
        Conflict,
        MalformedPayload,
        MissingExtra,
        PolicyError,
        QueryError,
        SettingsError,
        StoreError,
        StoreLocked,
        StoreTooNew,
        TierwiseError,
    )
    from tierwise.evaluations import Answer, check, feedback
    from tierwise.instrumentation import flush, instrument, uninstrument
    from tierwise.instrumentation.export import export_profile
    from tierwise.judges import judge
    from tierwise.routing.policy import Policy

__all__ = [
    "Answer",
    "CollectorUnavailable",
    "Conflict",
    "MalformedPayload",
    "MissingExtra",
    "Policy",
    "PolicyError",
    "QueryError",
    "SettingsError",
    "StoreError",
    "StoreLocked",
    "StoreTooNew",
    "TierwiseError",
    "__version__",
    "check",
    "checks",
    "export_profile",
    "feedback",
    "flush",
    "instrument",
    "judge",
    "prices",
    "tasks",
    "uninstrument",
    "use_case",
]

_MODULES = {
    "Policy": "tierwise.routing.policy",
    "check": "tierwise.evaluations",
    "Answer": "tierwise.evaluations",
    "export_profile": "tierwise.instrumentation.export",
    "feedback": "tierwise.evaluations",
    "flush": "tierwise.instrumentation",
    "instrument": "tierwise.instrumentation",
    "judge": "tierwise.judges",
    "uninstrument": "tierwise.instrumentation",
    "use_case": "tierwise.context",
}
"""Where a public name is defined; modules stand for themselves, and errors are in `tierwise.errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tierwise' has no attribute {name!r}")
    value: Any
    if name == "__version__":
        from importlib.metadata import version

        value = version("tierwise")
    elif name in ("checks", "prices", "tasks"):
        value = import_module(f"tierwise.{name}")
    else:
        value = getattr(import_module(_MODULES.get(name, "tierwise.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
