"""What the instrumentation needs to know about an SDK: which requests are billable, and how to read their answers.

`openai.py`, `openai_responses.py` and `anthropic.py` fill these in. They never import the SDK: objects are read by
attribute, with whatever is missing or of an odd type taken as not said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol, cast

from tierwise.call import AttributeValue, Usage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asked for."""

    name: str
    arguments: str
    """JSON, as the model wrote it: it may be broken."""
    id: str | None = None


@dataclass(slots=True)
class Reply:
    """What an answer says about itself, in the words of no SDK. None: it does not say."""

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    error_type: str | None = None
    """Set when the answer itself reports a failure, as a failed background response does."""
    complete: bool = True
    """False for a stream that stopped before its closing event."""
    output_chars: int = 0
    """Length of what was generated, for an estimate; filled in where `usage` is None."""
    text: str = ""
    """Filled in, as is `tool_calls`, only when the text was asked for."""
    tool_calls: tuple[ToolCall, ...] = ()
    extra: dict[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    """Attributes only this API has."""


class Accumulator(Protocol):
    """Gathers a streamed answer from its chunks, in as little time per chunk as it can."""

    def add(self, chunk: Any) -> None:
        """Take in one chunk."""
        ...

    def reply(self) -> Reply:
        """What the chunks so far amount to."""
        ...


Parameters = Mapping[str, tuple[tuple[str, Callable[[Any], AttributeValue | None]], ...]]
"""Name in the request body → (attribute, what to record of the value; None for nothing) pairs."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One kind of billable request."""

    operation: str
    """`gen_ai.operation.name`."""
    api: str
    parameters: Parameters
    """Of the request body, those that are recorded."""
    read: Callable[[Any, bool], Reply]
    """(answer, with its text?) → Reply."""
    accumulator: Callable[[bool], Accumulator] | None = None
    """(with the text?) → Accumulator; None where there are no streams."""
    routable: bool = True
    """Whether another model could answer: not where the result only has meaning to the model that made it."""
    usage_on_request: bool = False
    """Whether a stream reports usage only when `stream_options.include_usage` asks for it."""
    conversation: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    """The conversation that the request names."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK."""

    name: str
    """The name of its package and, by default, of the provider behind it."""
    surfaces: Mapping[str, Surface]
    """By the path the SDK's methods ask for, without a query."""
    providers: Mapping[str, str]
    """Client class name → `gen_ai.provider.name`, for the clients of other clouds."""

    def surface(self, options: Any) -> Surface | None:
        """What kind of billable request these options make; None for all the rest."""
        url = options.url
        surface = self.surfaces.get(url)
        if surface is None:
            # Anthropic's beta methods add `?beta=true`.
            path, question_mark, _ = url.partition("?")
            surface = self.surfaces.get(path) if question_mark else None
        return surface if surface is not None and options.method.lower() == "post" else None


def read_parameters(parameters: Parameters, body: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Span attributes of a request body's parameters."""
    found: dict[str, AttributeValue] = {}
    for name, value in body.items():
        for attribute, read in parameters.get(name, ()):
            if (recorded := read(value)) is not None:
                found[attribute] = recorded
    return found


def carries_only_usage(chunk: Any) -> bool:
    """Whether a chunk of an OpenAI stream is the extra one that `stream_options.include_usage` asks for."""
    return getattr(chunk, "usage", None) is not None and not getattr(chunk, "choices", None)


def estimated_tokens(chars: int) -> int:
    """Tokens in a text of this length, at four characters each; good to a factor of two."""
    return -(-chars // 4)


def text(value: Any) -> str | None:
    """`value` if it is a text that is not empty; NOT_GIVEN, None and the rest are not said."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> float | None:
    """`value` as a float if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: Any) -> int | None:
    """`value` if it is a whole number of at least 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def stop_sequences(value: Any) -> tuple[str, ...] | None:
    """Stop sequences, given as one text or several."""
    if isinstance(value, str):
        return (value,)
    given = tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()
    return given or None


def member(value: Any, key: str) -> Any:
    """A member of a mapping; None when there is no such member, or no mapping."""
    return cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None


def as_object(document: bytes | str) -> Any:
    """A JSON document as objects with attributes, so that it reads like the SDK's own models.

    Raises:
        ValueError: the document is not JSON.
    """
    return json.loads(document, object_hook=lambda members: SimpleNamespace(**members))
