"""The arguments of the SDK's `request`, which stand for a whole call."""

from __future__ import annotations

from typing import Any, NamedTuple


class Arguments(NamedTuple):
    """Positional and named ones, as the SDK's resource gave them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def options(self) -> Any:
        """The request options."""
        if "options" in self.kwargs:
            return self.kwargs["options"]
        return self.args[1] if len(self.args) > 1 else None

    def with_options(self, options: Any) -> Arguments:
        """The same with other request options."""
        if "options" in self.kwargs:
            return Arguments(self.args, {**self.kwargs, "options": options})
        return Arguments((self.args[0], options, *self.args[2:]), self.kwargs)
