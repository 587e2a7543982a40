"""Exporter profiles: what a backend needs on a span, beside the GenAI conventions, to show tierwise's costs.

A profile is a module with one function, listed in PROFILES:

    translate(attributes) -> attributes      what to add; nothing for a span that is not a call of tierwise's

It reads the attributes of a finished span and changes none of them, so a collector that forwards spans can use it as
well as an exporter in the app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tierwise import semconv as sc
from tierwise.call import AttributeValue
from tierwise.instrumentation.profiles import langfuse, mlflow, openlit, phoenix, sentry

Translate = Callable[[Mapping[str, Any]], dict[str, AttributeValue]]

PROFILES: Final[Mapping[str, Translate]] = {
    "langfuse": langfuse.translate,
    "mlflow": mlflow.translate,
    "openlit": openlit.translate,
    "phoenix": phoenix.translate,
    "sentry": sentry.translate,
}


def extra_attributes(attributes: Mapping[str, Any], names: Iterable[str]) -> dict[str, AttributeValue]:
    """What the profiles add to a span; nothing to one that tierwise did not write.

    Raises:
        KeyError: no profile has this name.
    """
    if sc.PRICED not in attributes:
        return {}
    extra: dict[str, AttributeValue] = {}
    for name in names:
        extra.update(PROFILES[name](attributes))
    return {key: value for key, value in extra.items() if key not in attributes}


def headers(names: Iterable[str]) -> dict[str, str]:
    """The HTTP headers without which a backend refuses spans."""
    return mlflow.headers() if "mlflow" in names else {}
