"""The one place where tierwise's own errors stop, so that the user's call never sees them.

Everything tierwise does in the user's process outside the SDK call itself runs inside `firewall(…)`, or inside a `try`
that ends in `swallow(…)`: around the call itself, where nothing of ours may run that could fail. An error is logged
once a place at WARNING and swallowed. Under pytest it is re-raised, so that our tests and the user's see it.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from types import TracebackType

logger = logging.getLogger("tierwise")

_reported: set[str] = set()


def reraises() -> bool:
    """Whether errors of ours are re-raised: only while a pytest test runs, unless `TIERWISE_FIREWALL=swallow`."""
    return "PYTEST_CURRENT_TEST" in os.environ and os.environ.get("TIERWISE_FIREWALL") != "swallow"


class firewall:
    """Context manager that keeps an error of ours from reaching the user's code.

    `BaseException`s that are not `Exception`s (KeyboardInterrupt, asyncio cancellation) pass: they are the user's.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception) or reraises():
            return False
        report(self._doing, error)
        return True


def swallow(doing: str, error: Exception) -> None:
    """What `firewall` does with an error, for an `except` clause."""
    if reraises():
        raise error
    report(doing, error)


def report(doing: str, error: Exception) -> None:
    """Log one WARNING for the first error of this type at this place; later ones of the same kind at DEBUG.

    The message carries the error's type but not its text, which may quote a prompt; the traceback is at DEBUG.
    """
    # A filter or a handler of the app's own may raise, and there is nobody left to tell.
    with suppress(Exception):
        _report(doing, error)


def _report(doing: str, error: Exception) -> None:
    kind = f"{doing}: {type(error).__name__}"
    if kind in _reported:
        logger.debug("tierwise failed while %s", doing, exc_info=error)
        return
    _reported.add(kind)
    logger.warning(
        "tierwise failed while %s (%s). Your call is not affected; telemetry or routing for it may be missing. "
        "Set the 'tierwise' logger to DEBUG for the traceback.",
        doing,
        type(error).__name__,
    )
    logger.debug("tierwise failed while %s", doing, exc_info=error)
