"""One file a format: which rows are its, and the call each describes.

A format is a module with a name and two functions, listed in FORMATS in the order they are asked:

    NAME                      as `--format` takes it
    claims(row) -> bool       whether a row, told by its members' names, was written in this format
    read(row, reading)        yields what the row holds: a call, a request of a batch, or spans. Raises NotACall for a
                              row that describes none, and UnreadableRow for one that should and cannot
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from tierwise.imports.formats import (
    anthropic_log,
    columns,
    helicone,
    langfuse,
    litellm,
    openai_log,
    openinference,
    otlp,
)
from tierwise.imports.logged import BatchOrder, LoggedCall, Reading
from tierwise.ingest.spans import Span, SpanRefused


class Format(Protocol):
    """What a module in this package offers."""

    @property
    def NAME(self) -> str: ...

    def claims(self, row: Mapping[str, Any], /) -> bool: ...

    def read(
        self, row: Mapping[str, Any], reading: Reading, /
    ) -> Iterable[LoggedCall | BatchOrder | Span | SpanRefused]: ...


_IN_ORDER: Final[tuple[Format, ...]] = (
    otlp,
    litellm,
    helicone,
    langfuse,
    openinference,
    anthropic_log,
    openai_log,
    columns,
)

FORMATS: Final[Mapping[str, Format]] = {item.NAME: item for item in _IN_ORDER}
"""By name. The first that claims a row reads it, so those that claim the least stand last."""
