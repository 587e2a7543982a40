"""Which versions of the SDKs are supported, and whether an SDK still has the place that is patched.

The place is private to the SDKs, though the same since their first releases: an SDK that has moved it is left alone,
and said so, rather than patched on luck.
"""

from __future__ import annotations

import inspect
import logging
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, NamedTuple

logger = logging.getLogger("tierwise")


class Range(NamedTuple):
    """Versions as (major, minor)."""

    oldest: tuple[int, int]
    """Older ones are not instrumented."""
    newest_tested: tuple[int, int]
    """Newer ones are instrumented if they have the place that is patched."""

    def __str__(self) -> str:
        return f"{_text(self.oldest)} and newer, tested up to {_text(self.newest_tested)}"


SUPPORTED = {"openai": Range((1, 26), (3, 54)), "anthropic": Range((0, 26), (2, 12))}
"""By package. openai's streams cannot report usage before 1.26."""


def installed_version(package: str) -> str | None:
    """The version of an SDK that is installed; None without it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def is_too_old(package: str, installed: str) -> bool:
    """Whether this version is older than the oldest that is supported."""
    found = _parsed(installed)
    return found is not None and found < SUPPORTED[package].oldest


def is_newer_than_tested(package: str, installed: str) -> bool:
    """Whether this version is newer than the newest that the tests ran with."""
    found = _parsed(installed)
    return found is not None and found > SUPPORTED[package].newest_tested


@cache
def is_supported(package: str) -> bool:
    """Whether the version installed is not too old; one WARNING when it is."""
    installed = installed_version(package)
    if installed is None or not is_too_old(package, installed):
        return True
    logger.warning(
        "%s %s is older than %s, the oldest version that tierwise instruments: its calls are not observed. Upgrade it "
        "with `pip install --upgrade %s`.",
        package,
        installed,
        _text(SUPPORTED[package].oldest),
        package,
    )
    return False


def has_known_shape(module: ModuleType) -> bool:
    """Whether an SDK's `_base_client` has the methods that are patched, with their parameters; one WARNING if not."""
    for name in ("SyncAPIClient", "AsyncAPIClient"):
        request = vars(getattr(module, name, object)).get("request")
        if not callable(request) or not _takes_a_request(request):
            _say_unknown_shape(module.__name__, name)
            return False
    return True


def _takes_a_request(request: Any) -> bool:
    try:
        # As the SDK's own methods call it; a wrapper that somebody put around it takes anything.
        inspect.signature(request).bind("self", "cast_to", "options", stream=True, stream_cls=None)
    except (TypeError, ValueError):
        return False
    return True


@cache
def _say_unknown_shape(module_name: str, class_name: str) -> None:
    package = module_name.partition(".")[0]
    logger.warning(
        "%s %s is not built as tierwise knows it (%s.%s.request): its calls are not observed. Versions known to work: "
        "%s; upgrade tierwise, or install one of those.",
        package,
        installed_version(package),
        module_name,
        class_name,
        SUPPORTED[package],
    )


def _parsed(text: str) -> tuple[int, int] | None:
    """(major, minor); None for a version that is no number."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _text(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"
